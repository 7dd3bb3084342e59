#include "runtime/exec/BatchCheck.h"

#include "test/runtime/base/TestFiles.h"

namespace epigraph {
namespace {

ModelInfo limits() {
  ModelInfo info;
  info.vocab = 10;
  info.hidden = 2;
  info.maxBatchTokens = 6;
  info.maxSequences = 2;
  info.maxContext = 200;
  info.pages = 5;
  return info;
}

/// Three tokens of sequence 1 over a page border, then one of sequence 0.
StepBatch goodBatch() {
  StepBatch batch;
  batch.ids = {1, 2, 9, 0};
  batch.positions = {63, 64, 65, 0};
  batch.sequence = {1, 1, 1, 0};
  batch.pageTableStride = 2;
  batch.pageTable = {4, -1, 0, 3};
  batch.outputRows = {3, 0};
  return batch;
}

void expectRefused(const std::function<void(StepBatch &)> &change, const char *message) {
  BatchCheck check(limits());
  StepBatch batch = goodBatch();
  change(batch);
  expectError(check.check(batch, false), absl::StatusCode::kInvalidArgument, message);
  const absl::Status after = check.check(goodBatch(), false);
  EXPECT_TRUE(after.ok()) << "nothing is left of a refused batch: " << after;
}

TEST(BatchCheck, AcceptsRaggedAndEmptyBatches) {
  BatchCheck check(limits());
  for (int round = 0; round < 2; ++round) {
    EXPECT_TRUE(check.check(goodBatch(), false).ok()) << check.check(goodBatch(), false);
    EXPECT_TRUE(check.check(StepBatch(), false).ok());
  }
  StepBatch last = goodBatch();
  last.positions[3] = 127;
  last.pageTable[1] = 2;
  EXPECT_TRUE(check.check(last, false).ok());
}

TEST(BatchCheck, Sizes) {
  expectRefused([](StepBatch &b) { b.ids.resize(7); }, "7 tokens; the limit of this artifact is 6");
  expectRefused([](StepBatch &b) { b.positions.pop_back(); }, "3 positions");
  expectRefused([](StepBatch &b) { b.sequence.push_back(0); }, "5 sequence rows");
  expectRefused([](StepBatch &b) { b.outputRows = {0, 1, 2}; }, "3 output rows");
  expectRefused([](StepBatch &b) { b.outputRows = {4}; }, "outputRows[0] is 4");
  expectRefused([](StepBatch &b) { b.outputRows = {0, -1}; }, "outputRows[1] is -1");
  expectRefused([](StepBatch &b) { b.sampling.resize(1); },
                "1 choices of tokens; expected one for each of 2 output rows, or none");
  expectRefused([](StepBatch &b) { b.pageTableStride = -2; }, "-2 pages wide");
  expectRefused([](StepBatch &b) { b.pageTableStride = 5; }, "5 pages wide; expected 0 to 4");
  expectRefused([](StepBatch &b) { b.pageTableStride = 3; }, "4 entries; expected rows of 3");
  expectRefused([](StepBatch &b) { b.pageTableStride = 0; }, "expected rows of 0");
  expectRefused([](StepBatch &b) { b.pageTable.resize(6); }, "3 sequences; the limit");
  expectRefused([](StepBatch &b) { b.hidden.resize(8); }, "8 hidden values; expected 0");
}

TEST(BatchCheck, Tokens) {
  expectRefused([](StepBatch &b) { b.ids[2] = 10; }, "token 2: id 10 is outside");
  expectRefused([](StepBatch &b) { b.ids[0] = -1; }, "token 0: id -1 is outside");
  expectRefused([](StepBatch &b) { b.positions[3] = 200; }, "token 3: position 200 is outside");
  expectRefused([](StepBatch &b) { b.positions[0] = -1; }, "token 0: position -1");
  expectRefused([](StepBatch &b) { b.sequence[3] = 2; }, "token 3: page table row 2");
  expectRefused([](StepBatch &b) { b.sequence[3] = -1; }, "token 3: page table row -1");
  expectRefused([](StepBatch &b) { b.positions[1] = 63; }, "token 1: position 63 after 63");
  expectRefused([](StepBatch &b) { b.positions[2] = 66; }, "token 2: position 66 after 64");
  expectRefused(
      [](StepBatch &b) {
        b.sequence = {1, 0, 1, 1};
        b.positions[1] = 0;
      },
      "token 2: the tokens of page table row 1 are not next to each other");
}

TEST(BatchCheck, Pages) {
  expectRefused([](StepBatch &b) { b.pageTable[2] = 5; }, "page table row 1, entry 0 is page 5");
  expectRefused([](StepBatch &b) { b.pageTable[3] = -1; }, "page table row 1, entry 1 is page -1");
  expectRefused([](StepBatch &b) { b.positions[3] = 64; }, "page table row 0, entry 1 is page -1");
  expectRefused([](StepBatch &b) { b.positions[3] = 128; }, "position 128 needs 3");
}

TEST(BatchCheck, HiddenStates) {
  BatchCheck check(limits());
  StepBatch batch = goodBatch();
  expectError(check.check(batch, true), absl::StatusCode::kInvalidArgument,
              "0 hidden values; expected 8");
  batch.hidden.resize(8);
  EXPECT_TRUE(check.check(batch, true).ok());
}

} // namespace
} // namespace epigraph
