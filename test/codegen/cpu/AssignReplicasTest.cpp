// Which slot a token's expert becomes, against the reference.
#include "codegen/reference/Replicas.h"
#include "test/codegen/cpu/KernelHarness.h"

namespace epigraph::cpu::test {
namespace {

using AssignReplicasTest = KernelTest;
EPIGRAPH_INSTANTIATE_KERNEL_TEST(AssignReplicasTest);

/// One, two and three replicas; more rows than a tile has, and an odd number of choices.
TEST_P(AssignReplicasTest, TokensTakeTurns) {
  const int64_t rows = 131, choices = 3;
  Kernel kernel = compile(R"(
    exec.kernel @assign_replicas_0(%ids: tensor<?x3xi32>, %table: tensor<4x4xi32>) -> tensor<?x3xi32> {
      %s = ep.assign_replicas %ids, %table : tensor<?x3xi32>, tensor<4x4xi32>
      exec.yield %s : tensor<?x3xi32>
    })");
  const Tensor table({4, 4}, std::vector<int32_t>{1, 5, 0, 0, 2, 0, 3, 0, 3, 1, 2, 4, 1, 6, 0, 0});
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < rows * choices; ++i)
    ids.push_back(static_cast<int32_t>(i * 7 % 4));
  const Tensor idsTensor({rows, choices}, std::move(ids));
  Buffer idBuffer(ElementType::I32, idsTensor), tableBuffer(ElementType::I32, table);
  Buffer slots(ElementType::I32, Tensor::ints({rows, choices}));
  kernel.run({idBuffer.data(), tableBuffer.data(), slots.data()}, KernelStep{}, rows);
  auto expected = reference::assignReplicas(idsTensor, table);
  ASSERT_TRUE(expected.ok());
  EXPECT_EQ(slots.read({rows, choices}).intVector(), expected->intVector());
}

} // namespace
} // namespace epigraph::cpu::test
