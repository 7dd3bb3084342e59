#include "runtime/exec/RankIdentity.h"

#include <map>

#include "runtime/base/ErrorCode.h"
#include "test/runtime/base/TestFiles.h"

namespace epigraph {
namespace {

using Variables = std::map<std::string, std::string>;

absl::StatusOr<RankIdentity> identityIn(const Variables &variables) {
  return rankIdentity([&](const char *name) -> const char * {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  });
}

TEST(RankIdentityTest, AProcessOnItsOwnIsTheOnlyRank) {
  for (const Variables &variables : {Variables{}, Variables{{"RANK", "3"}},
                                     Variables{{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "8"}}}) {
    const absl::StatusOr<RankIdentity> identity = identityIn(variables);
    ASSERT_TRUE(identity.ok()) << identity.status();
    EXPECT_EQ(identity->rank, 0);
    EXPECT_EQ(identity->size, 1);
    EXPECT_EQ(identity->source, "");
  }
}

TEST(RankIdentityTest, KnowsLaunchers) {
  const std::pair<const char *, const char *> launchers[] = {
      {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"},
      {"PMI_RANK", "PMI_SIZE"},
      {"RANK", "WORLD_SIZE"},
      {"SLURM_PROCID", "SLURM_STEP_NUM_TASKS"}};
  for (const auto &[rank, size] : launchers) {
    const absl::StatusOr<RankIdentity> identity = identityIn({{rank, "5"}, {size, "8"}});
    ASSERT_TRUE(identity.ok()) << identity.status();
    EXPECT_EQ(identity->rank, 5);
    EXPECT_EQ(identity->size, 8);
    EXPECT_EQ(identity->source, rank);
  }
}

/// mpirun inside an allocation of Slurm.
TEST(RankIdentityTest, TheInnermostLauncherCounts) {
  const absl::StatusOr<RankIdentity> identity = identityIn({{"OMPI_COMM_WORLD_RANK", "1"},
                                                            {"OMPI_COMM_WORLD_SIZE", "4"},
                                                            {"SLURM_PROCID", "0"},
                                                            {"SLURM_STEP_NUM_TASKS", "1"}});
  ASSERT_TRUE(identity.ok()) << identity.status();
  EXPECT_EQ(identity->rank, 1);
}

TEST(RankIdentityTest, RefusesWhatIsNoRank) {
  const auto refuse = [](const char *rank, const char *size, const char *message) {
    const auto identity = identityIn({{"RANK", rank}, {"WORLD_SIZE", size}});
    expectError(identity, absl::StatusCode::kInvalidArgument, message);
    EXPECT_EQ(errorCodeOf(identity.status()), ErrorCode::BadRank);
  };
  refuse("one", "2", "RANK is 'one'; expected a number");
  refuse("1", "", "WORLD_SIZE is ''; expected a number");
  refuse("2", "2", "RANK is 2 and WORLD_SIZE 2; expected a rank from 0 to 1");
  refuse("-1", "2", "RANK is -1");
  refuse("0", "0", "WORLD_SIZE 0");
}

TEST(RankIdentityTest, TheWorldMustBeTheArtifacts) {
  EXPECT_TRUE(checkWorld({3, 4, "RANK"}, 4).ok());
  expectError(checkWorld({}, 4), absl::StatusCode::kFailedPrecondition,
              "the artifact has 4 ranks, and this process is on its own");
  expectError(checkWorld({0, 2, "PMI_RANK"}, 4), absl::StatusCode::kFailedPrecondition,
              "PMI_RANK says that there are 2 processes; on this target each rank is a process: "
              "start 4, as with 'mpirun -n 4'");
  EXPECT_EQ(errorCodeOf(checkWorld({}, 4)), ErrorCode::WrongWorld);
}

} // namespace
} // namespace epigraph
