#include "runtime/exec/RankIdentity.h"

#include <cstdlib>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "runtime/base/ErrorCode.h"
#include "runtime/base/Status.h"

namespace epigraph {
namespace {

/// Two variables of one launcher.
struct Launcher {
  const char *rank;
  const char *size;
};

constexpr Launcher kLaunchers[] = {
    {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"},
    {"PMI_RANK", "PMI_SIZE"},
    {"RANK", "WORLD_SIZE"},
    // Of the step that srun started. SLURM_NTASKS is of the allocation, which a process that sbatch
    // started is alone in.
    {"SLURM_PROCID", "SLURM_STEP_NUM_TASKS"},
};

absl::Status bad(const std::string &what) {
  return withCode(ErrorCode::BadRank,
                  absl::InvalidArgumentError(absl::StrCat(
                      what, "; start the ranks with mpirun, torchrun or srun, or unset it")));
}

absl::StatusOr<int> numberOf(const char *name, const char *text) {
  int value = 0;
  if (!absl::SimpleAtoi(text, &value))
    return bad(absl::StrCat(name, " is '", text, "'; expected a number"));
  return value;
}

} // namespace

absl::StatusOr<RankIdentity> rankIdentity(const Environment &environment) {
  for (const Launcher &launcher : kLaunchers) {
    const char *rank = environment(launcher.rank), *size = environment(launcher.size);
    // A shell may have one of such general names as RANK for reasons of its own.
    if (!rank || !size)
      continue;
    RankIdentity identity;
    identity.source = launcher.rank;
    EPIGRAPH_ASSIGN_OR_RETURN(identity.rank, numberOf(launcher.rank, rank));
    EPIGRAPH_ASSIGN_OR_RETURN(identity.size, numberOf(launcher.size, size));
    if (identity.size < 1 || identity.rank < 0 || identity.rank >= identity.size)
      return bad(absl::StrCat(launcher.rank, " is ", identity.rank, " and ", launcher.size, " ",
                              identity.size, "; expected a rank from 0 to ", identity.size - 1));
    return identity;
  }
  return RankIdentity();
}

absl::StatusOr<RankIdentity> rankIdentity() {
  return rankIdentity([](const char *name) -> const char * { return std::getenv(name); });
}

absl::Status checkWorld(const RankIdentity &identity, int ranks) {
  if (identity.size == ranks)
    return absl::OkStatus();
  return withCode(
      ErrorCode::WrongWorld,
      absl::FailedPreconditionError(absl::StrCat(
          "the artifact has ", ranks, ranks == 1 ? " rank" : " ranks", ", and ",
          identity.source.empty()
              ? "this process is on its own"
              : absl::StrCat(identity.source, " says that there are ", identity.size, " processes"),
          "; on this target each rank is a process: start ", ranks, ", as with 'mpirun -n ", ranks,
          "', or compile the model again for ", identity.size)));
}

} // namespace epigraph
