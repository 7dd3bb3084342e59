// Memory plans, right and wrong.
#include "test/codegen/reference/InterpreterHarness.h"

namespace epigraph::reference {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// Three launches of doubling kernels: a = 2x, b = 2a, c = 2b; returns c and, if `usesA`, adds a to
/// it. `buffers` are those of a, b, c.
std::string chain(const std::vector<std::string> &buffers, int arenaBytes, bool usesA) {
  std::string text = R"(
    exec.kernel @double(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
      %0 = epi.add %x, %x : tensor<?x4xf32>
      exec.yield %0 : tensor<?x4xf32>
    }
    func.func @main(%x: tensor<?x4xf32>) -> tensor<?x4xf32> attributes {exec.arena_bytes = ARENA : i64} {
)";
  text.replace(text.find("ARENA"), 5, std::to_string(arenaBytes));
  std::string operand = "%x";
  for (size_t i = 0; i < buffers.size(); ++i) {
    std::string result = "%" + std::string(1, static_cast<char>('a' + i));
    text += result + " = exec.launch @double(" + operand + ")" +
            (buffers[i].empty() ? "" : " {exec.buffers = [#exec.buffer<" + buffers[i] + ">]}") +
            " : (tensor<?x4xf32>) -> tensor<?x4xf32>\n";
    operand = result;
  }
  return text + "return " + (usesA ? "%a" : operand) + " : tensor<?x4xf32>\n}";
}

RankInput twoRows() { return {{sample({2, 4}, 1)}, {}}; }

/// What a run of the chain says.
std::vector<std::string> saysOf(const std::vector<std::string> &buffers, int arenaBytes,
                                bool usesA = false) {
  Program program(chain(buffers, arenaBytes, usesA));
  std::vector<RankResult> results = program.run({twoRows()});
  EXPECT_EQ(results.empty(), !program.said.empty());
  for (const RankResult &result : results)
    for (int i = 0; i < 8; ++i)
      EXPECT_EQ(result[0]->data()[i], (usesA ? 2 : 8) * twoRows().tensors[0].data()[i]);
  return program.said;
}

TEST(MemoryPlan, ReuseOfDeadBuffersIsRight) {
  EXPECT_THAT(
      saysOf({"offset = 0, bytes = 32", "offset = 64, bytes = 32", "offset = 0, bytes = 32"}, 96),
      IsEmpty());
}

TEST(MemoryPlan, ReadingWhatWasOverwrittenIsFound) {
  EXPECT_THAT(
      saysOf({"offset = 0, bytes = 128", "offset = 128, bytes = 32", "offset = 64, bytes = 64"},
             192, /*usesA=*/true),
      ElementsAre(AllOf(HasSubstr("reads result 0 of 'exec.launch' @double, whose buffer was "
                                  "overwritten"),
                        HasSubstr("and overwritten here, by 'exec.launch'"))));
}

TEST(MemoryPlan, AResultOverAnOperandIsFound) {
  EXPECT_THAT(
      saysOf({"offset = 0, bytes = 64", "offset = 0, bytes = 64", "offset = 64, bytes = 32"}, 128),
      ElementsAre(HasSubstr("overlaps its operand")));
}

TEST(MemoryPlan, ABufferTooSmallForTheRowsIsFound) {
  EXPECT_THAT(
      saysOf({"offset = 0, bytes = 31", "offset = 64, bytes = 32", "offset = 0, bytes = 32"}, 96),
      ElementsAre(HasSubstr("has 2 rows and needs 32 bytes; its buffer has 31")));
}

TEST(MemoryPlan, ABufferBeyondTheArenaIsFound) {
  EXPECT_THAT(
      saysOf({"offset = 64, bytes = 32", "offset = 0, bytes = 32", "offset = 64, bytes = 32"}, 80),
      ElementsAre(HasSubstr("ends at 96, beyond the arena of 80 bytes")));
}

TEST(MemoryPlan, AResultWithoutABufferIsFound) {
  EXPECT_THAT(saysOf({"", "", ""}, 96),
              ElementsAre(HasSubstr("has 1 tensor results but 0 exec.buffers")));
}

} // namespace
} // namespace epigraph::reference
