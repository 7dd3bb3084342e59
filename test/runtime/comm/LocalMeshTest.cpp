// Who meets whom along which axis, and what messages call them.
#include "runtime/comm/LocalMesh.h"

#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "runtime/comm/LocalCommunicator.h"

namespace epigraph {
namespace {

using ::testing::HasSubstr;

LocalGroupOptions options(int milliseconds) {
  return {std::chrono::milliseconds(milliseconds), false};
}

TEST(LocalMesh, RanksOfAGroupAreNeighbours) {
  LocalMesh mesh(3, 2, options(1000));
  EXPECT_EQ(mesh.size(), 6);
  EXPECT_EQ(mesh.size(MeshAxis::Expert), 3);
  EXPECT_EQ(mesh.size(MeshAxis::Tensor), 2);
  EXPECT_EQ(mesh.place(MeshAxis::Expert, 5), 2);
  EXPECT_EQ(mesh.place(MeshAxis::Tensor, 5), 1);
  EXPECT_EQ(&mesh.group(MeshAxis::Tensor, 4), &mesh.group(MeshAxis::Tensor, 5));
  EXPECT_EQ(&mesh.group(MeshAxis::Expert, 1), &mesh.group(MeshAxis::Expert, 5));
  EXPECT_NE(&mesh.group(MeshAxis::Expert, 0), &mesh.group(MeshAxis::Expert, 1));
  EXPECT_EQ(mesh.group(MeshAxis::Expert, 1).nameOf(2), 5);
  EXPECT_EQ(mesh.group(MeshAxis::Tensor, 4).nameOf(1), 5);
}

/// Each rank adds up along one axis and then along the other: the sum over all.
TEST(LocalMesh, AxesDoNotMix) {
  LocalMesh mesh(3, 2, options(20000));
  std::vector<float> sums(6);
  std::vector<std::thread> threads;
  for (int rank = 0; rank < 6; ++rank)
    threads.emplace_back([&, rank] {
      float value = static_cast<float>(1 << rank), along = 0;
      const auto bytes = [](float &x) {
        return absl::Span<uint8_t>(reinterpret_cast<uint8_t *>(&x), sizeof(x));
      };
      LocalCommunicator tensor(mesh.group(MeshAxis::Tensor, rank),
                               mesh.place(MeshAxis::Tensor, rank));
      LocalCommunicator expert(mesh.group(MeshAxis::Expert, rank),
                               mesh.place(MeshAxis::Expert, rank));
      EXPECT_TRUE(tensor.allReduce(SumType::Float32, bytes(value), bytes(along), "t").ok());
      EXPECT_EQ(along, static_cast<float>(3 << (rank / 2 * 2)));
      EXPECT_TRUE(expert
                      .allReduce(SumType::Float32, bytes(along),
                                 bytes(sums[static_cast<size_t>(rank)]), "e")
                      .ok());
    });
  for (std::thread &thread : threads)
    thread.join();
  for (float sum : sums)
    EXPECT_EQ(sum, 63);
}

TEST(LocalMesh, LateRanksGoByTheirNumberInTheMesh) {
  LocalMesh mesh(3, 2, options(50));
  LocalCommunicator early(mesh.group(MeshAxis::Expert, 3), mesh.place(MeshAxis::Expert, 3));
  const absl::Status status = early.barrier("layer");
  EXPECT_TRUE(absl::IsDeadlineExceeded(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("rank 3: barrier (layer): rank 1, rank 5"));
}

TEST(LocalMesh, AFailureReachesEveryGroup) {
  LocalMesh mesh(2, 2, options(20000));
  mesh.abort(3, absl::InternalError("broken"));
  for (int rank = 0; rank < 3; ++rank) {
    LocalCommunicator self(mesh.group(MeshAxis::Tensor, rank), mesh.place(MeshAxis::Tensor, rank));
    const absl::Status status = self.barrier("layer");
    EXPECT_TRUE(absl::IsAborted(status));
    EXPECT_THAT(std::string(status.message()), HasSubstr("because rank 3 failed: broken"));
  }
  mesh.reset();
  LocalCommunicator alone(mesh.group(MeshAxis::Expert, 0), 0);
  std::thread other([&] {
    LocalCommunicator partner(mesh.group(MeshAxis::Expert, 2), 1);
    EXPECT_TRUE(partner.barrier("layer").ok());
  });
  EXPECT_TRUE(alone.barrier("layer").ok());
  other.join();
}

} // namespace
} // namespace epigraph
