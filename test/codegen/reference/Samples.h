// Tensors to test with, and what to compare them by.
#ifndef EPIGRAPH_TEST_CODEGEN_REFERENCE_SAMPLES_H
#define EPIGRAPH_TEST_CODEGEN_REFERENCE_SAMPLES_H

#include <cmath>

#include "codegen/reference/Tensor.h"
#include "runtime/artifact/KernelAbi.h"
#include "runtime/exec/StepExecutor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace epigraph::reference {

inline Tensor floats(Shape shape, std::vector<float> values) {
  return Tensor(std::move(shape), std::move(values));
}
inline Tensor ints(Shape shape, std::vector<int32_t> values) {
  return Tensor(std::move(shape), std::move(values));
}

/// Values between -1 and 1 without a pattern that could hide a mistake in an index.
inline Tensor sample(Shape shape, int seed) {
  Tensor result = Tensor::floats(std::move(shape));
  for (int64_t i = 0; i < result.elements(); ++i)
    result.data()[i] = static_cast<float>(std::sin(0.7 * static_cast<double>(i * i + 1) + seed));
  return result;
}

inline void expectFloats(const Tensor &found, const Shape &shape,
                         const std::vector<double> &expected, double tolerance = 1e-6) {
  EXPECT_EQ(found.shape(), shape);
  ASSERT_EQ(found.floatVector().size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i)
    EXPECT_NEAR(found.floatVector()[i], expected[i], tolerance) << "element " << i;
}

/// Bit for bit.
inline void expectSame(const Tensor &found, const Tensor &expected) {
  EXPECT_EQ(found.shape(), expected.shape());
  EXPECT_EQ(found.floatVector(), expected.floatVector());
  EXPECT_EQ(found.intVector(), expected.intVector());
}

/// Part of a sequence in a batch.
struct Piece {
  int32_t firstPosition;
  int32_t tokens;
  std::vector<int32_t> pages; ///< of the sequence, from position 0 on
};

/// The batch of `pieces`, each of a sequence of its own, with output row at the last token of each.
/// Ids are left to the caller.
inline StepBatch batchOf(const std::vector<Piece> &pieces) {
  StepBatch batch;
  for (const Piece &piece : pieces)
    batch.pageTableStride =
        std::max(batch.pageTableStride, static_cast<int32_t>(piece.pages.size()));
  for (size_t row = 0; row < pieces.size(); ++row) {
    const Piece &piece = pieces[row];
    for (int32_t i = 0; i < piece.tokens; ++i) {
      batch.positions.push_back(piece.firstPosition + i);
      batch.sequence.push_back(static_cast<int32_t>(row));
    }
    if (piece.tokens > 0)
      batch.outputRows.push_back(static_cast<int32_t>(batch.positions.size()) - 1);
    std::vector<int32_t> pages = piece.pages;
    pages.resize(static_cast<size_t>(batch.pageTableStride), 0);
    batch.pageTable.insert(batch.pageTable.end(), pages.begin(), pages.end());
  }
  return batch;
}

} // namespace epigraph::reference

#endif // EPIGRAPH_TEST_CODEGEN_REFERENCE_SAMPLES_H
