// Kernels that gather or turn rows: embedding, output rows, rope, cache entries.
#include "codegen/reference/Attention.h"
#include "codegen/reference/Dense.h"
#include "test/codegen/cpu/KernelHarness.h"

namespace epigraph::cpu::test {
namespace {

using RowMovementTest = KernelTest;
EPIGRAPH_INSTANTIATE_KERNEL_TEST(RowMovementTest);

TEST_P(RowMovementTest, LooksUpEmbeddings) {
  // 37 columns: no multiple of any vector. Ids: the first and last row of the table, repeated.
  const int64_t vocabulary = 11, hidden = 37;
  const std::vector<int32_t> ids = {10, 0, 3, 3, 10, 7, 1, 0, 9, 10};
  const int64_t rows = static_cast<int64_t>(ids.size());
  Kernel kernel = compile(R"(
    exec.kernel @embedding_0(%ids: tensor<?xi32>, %table: tensor<11x37x$T>) -> tensor<?x37x$T> {
      %x = epi.embedding %ids, %table : (tensor<?xi32>, tensor<11x37x$T>) -> tensor<?x37x$T>
      exec.yield %x : tensor<?x37x$T>
    })");
  const Tensor table = random({vocabulary, hidden}, 1);
  Buffer idBuffer(ElementType::I32, Tensor({rows}, std::vector<int32_t>(ids)));
  Buffer tableBuffer = buffer(table), x = poison({rows, hidden});
  kernel.run({idBuffer.data(), tableBuffer.data(), x.data()}, KernelStep{}, rows);
  const Tensor actual = x.read({rows, hidden});
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t i = 0; i < hidden; ++i)
      ASSERT_EQ(actual.row(row)[i], table.row(ids[row])[i]);
}

TEST_P(RowMovementTest, PicksTheOutputRows) {
  Kernel kernel = compile(R"(
    exec.kernel @output_rows_0(%x: tensor<?x21x$T>, %step: !epi.step) -> tensor<?x21x$T> {
      %y = epi.output_rows %x, %step : tensor<?x21x$T>
      exec.yield %y : tensor<?x21x$T>
    })");
  const Tensor x = random({6, 21}, 1);
  StepBatch batch;
  batch.outputRows = {5, 0, 3};
  Buffer xBuffer = buffer(x), y = poison({3, 21});
  kernel.run({xBuffer.data(), y.data()}, stepOf(batch), 3);
  const Tensor actual = y.read({3, 21});
  for (int64_t row = 0; row < 3; ++row)
    EXPECT_EQ(rowsOf(actual, row, row + 1).floatVector(),
              rowsOf(x, batch.outputRows[row], batch.outputRows[row] + 1).floatVector());
}

/// No row, one (the second half is empty), more than a tile, an odd number.
TEST_P(RowMovementTest, HalvesBatchesAndJoinsThem) {
  Kernel halve = compile(R"(
    exec.kernel @halve_rows_0(%x: tensor<?x21x$T>) -> (tensor<?x21x$T>, tensor<?x21x$T>) {
      %a, %b = epi.halve_rows %x : tensor<?x21x$T>
      exec.yield %a, %b : tensor<?x21x$T>, tensor<?x21x$T>
    })");
  Kernel join = compile(R"(
    exec.kernel @join_rows_0(%a: tensor<?x21x$T>, %b: tensor<?x21x$T>) -> tensor<?x21x$T> {
      %x = epi.join_rows %a, %b : tensor<?x21x$T>
      exec.yield %x : tensor<?x21x$T>
    })");
  for (int64_t rows : {0, 1, 2, 16, 19}) {
    const int64_t second = rows / 2, first = rows - second;
    const Tensor x = random({rows, 21}, 1);
    Buffer xBuffer = buffer(x), a = poison({first, 21}), b = poison({second, 21});
    halve.run({xBuffer.data(), a.data(), b.data()}, KernelStep{}, rows);
    EXPECT_EQ(a.read({first, 21}).floatVector(), rowsOf(x, 0, first).floatVector());
    EXPECT_EQ(b.read({second, 21}).floatVector(), rowsOf(x, first, rows).floatVector());
    Buffer y = poison({rows, 21});
    join.run({a.data(), b.data(), y.data()}, KernelStep{}, rows);
    EXPECT_EQ(y.read({rows, 21}).floatVector(), x.floatVector());
  }
}

TEST_P(RowMovementTest, RotatesHeadsInPlaceOfWiderOnes) {
  // The rope part of queries, as latent attention has it: the last 16 of 22 elements of each head.
  // And 12 dimensions: 6 pairs are no multiple of a vector.
  for (const char *interleaved : {"", "{interleaved}"})
    for (int64_t dims : {16, 12}) {
      const int64_t rows = 9, heads = 3, wide = 22, skipped = wide - dims;
      std::string ir = R"(
        exec.kernel @rope_0(%x: tensor<?x3x22x$T>, %table: tensor<40x$Kxf32>, %step: !epi.step)
            -> tensor<?x3x$Kx$T> {
          %0, %1 = epi.split %x dim 2 : tensor<?x3x22x$T> to tensor<?x3x$Sx$T>, tensor<?x3x$Kx$T>
          %y = epi.rope %1, %table, %step $I : tensor<?x3x$Kx$T>, tensor<40x$Kxf32>
          exec.yield %y : tensor<?x3x$Kx$T>
        })";
      for (auto [from, to] : {std::pair<std::string, std::string>{"$K", std::to_string(dims)},
                              {"$S", std::to_string(skipped)},
                              {"$I", interleaved}})
        for (size_t at; (at = ir.find(from)) != std::string::npos;)
          ir.replace(at, 2, to);
      Kernel kernel = compile(ir);
      const Tensor x = random({rows, heads, wide}, 1);
      const Tensor table = randomTensor({40, dims}, ElementType::F32, 2);
      StepBatch batch;
      batch.positions = {0, 1, 2, 39, 7, 8, 9, 10, 0};
      Tensor part = Tensor::floats({rows, heads, dims});
      for (int64_t i = 0; i < rows * heads; ++i)
        std::copy_n(x.data() + i * wide + skipped, dims, part.data() + i * dims);
      Buffer xBuffer = buffer(x), tableBuffer(ElementType::F32, table);
      Buffer y = poison({rows, heads, dims});
      kernel.run({xBuffer.data(), tableBuffer.data(), y.data()}, stepOf(batch), rows);
      expectClose(y.read({rows, heads, dims}),
                  *reference::rope(part, table, batch.positions, *interleaved != 0), type);
    }
}

TEST_P(RowMovementTest, RotatesRowsWithoutHeads) {
  const int64_t rows = 2, dims = 16;
  Kernel kernel = compile(R"(
    exec.kernel @rope_0(%x: tensor<?x16x$T>, %table: tensor<4x16xf32>, %step: !epi.step) -> tensor<?x16x$T> {
      %y = epi.rope %x, %table, %step {interleaved} : tensor<?x16x$T>, tensor<4x16xf32>
      exec.yield %y : tensor<?x16x$T>
    })");
  const Tensor x = random({rows, dims}, 1), table = randomTensor({4, dims}, ElementType::F32, 2);
  StepBatch batch;
  batch.positions = {3, 1};
  Buffer xBuffer = buffer(x), tableBuffer(ElementType::F32, table), y = poison({rows, dims});
  kernel.run({xBuffer.data(), tableBuffer.data(), y.data()}, stepOf(batch), rows);
  expectClose(y.read({rows, dims}), *reference::rope(x, table, batch.positions, true), type);
}

TEST_P(RowMovementTest, LeavesWhatTheTableDoesNotReach) {
  // Half of each head turns (GLM-4), and no multiple of a vector; heads in wider rows.
  for (const char *interleaved : {"", "{interleaved}"})
    for (int64_t dims : {16, 6}) {
      const int64_t rows = 3, heads = 2, columns = 31;
      std::string ir = R"(
        exec.kernel @rope_0(%x: tensor<?x2x40x$T>, %table: tensor<4x$Kxf32>, %step: !epi.step)
            -> tensor<?x2x31x$T> {
          %0, %1 = epi.split %x dim 2 : tensor<?x2x40x$T> to tensor<?x2x9x$T>, tensor<?x2x31x$T>
          %y = epi.rope %1, %table, %step $I : tensor<?x2x31x$T>, tensor<4x$Kxf32>
          exec.yield %y : tensor<?x2x31x$T>
        })";
      for (auto [from, to] :
           {std::pair<std::string, std::string>{"$K", std::to_string(dims)}, {"$I", interleaved}})
        for (size_t at; (at = ir.find(from)) != std::string::npos;)
          ir.replace(at, 2, to);
      Kernel kernel = compile(ir);
      const Tensor x = random({rows, heads, 40}, 1);
      const Tensor table = randomTensor({4, dims}, ElementType::F32, 2);
      StepBatch batch;
      batch.positions = {3, 0, 2};
      Tensor part = Tensor::floats({rows, heads, columns});
      for (int64_t i = 0; i < rows * heads; ++i)
        std::copy_n(x.data() + i * 40 + 9, columns, part.data() + i * columns);
      Buffer xBuffer = buffer(x), tableBuffer(ElementType::F32, table);
      Buffer y = poison({rows, heads, columns});
      kernel.run({xBuffer.data(), tableBuffer.data(), y.data()}, stepOf(batch), rows);
      const Tensor actual = y.read({rows, heads, columns});
      expectClose(actual, *reference::rope(part, table, batch.positions, *interleaved != 0), type);
      for (int64_t i = 0; i < rows * heads; ++i)
        for (int64_t k = dims; k < columns; ++k)
          ASSERT_EQ(actual.data()[i * columns + k], part.data()[i * columns + k]);
    }
}

TEST_P(RowMovementTest, AppendsEntriesToTheirPages) {
  // Two sequences on pages in no order; positions on both sides of a page's border. The latent
  // vector is the first part of wider rows, the rotated key the second.
  const int64_t latent = 19, rope = 6, entry = latent + rope, pages = 4;
  Kernel kernel = compile(R"(
    exec.kernel @kv_append_0(%cache: !epi.mla_cache<latent = 19, rope = 6, $T>, %x: tensor<?x25x$T>,
                             %step: !epi.step) -> !epi.mla_cache<latent = 19, rope = 6, $T> {
      %c, %r = epi.split %x dim 1 : tensor<?x25x$T> to tensor<?x19x$T>, tensor<?x6x$T>
      %new = epi.kv_append %cache, %c, %r, %step
          : !epi.mla_cache<latent = 19, rope = 6, $T>, tensor<?x19x$T>, tensor<?x6x$T>
      exec.yield %new : !epi.mla_cache<latent = 19, rope = 6, $T>
    })");
  StepBatch batch;
  batch.positions = {62, 63, 64, 5};
  batch.sequence = {1, 1, 1, 0};
  batch.pageTable = {2, -1, 3, 0};
  batch.pageTableStride = 2;
  const int64_t slots[] = {3 * 64 + 62, 3 * 64 + 63, 0, 2 * 64 + 5};
  const Tensor x = random({4, entry}, 1);
  Tensor expected = Tensor::floats({pages * 64, entry});
  Buffer xBuffer = buffer(x), cache = buffer(expected);
  kernel.run({cache.data(), xBuffer.data()}, stepOf(batch), 4);
  for (int64_t row = 0; row < 4; ++row)
    std::copy_n(x.row(row), entry, expected.row(slots[row]));
  EXPECT_EQ(cache.read({pages * 64, entry}).floatVector(), expected.floatVector());
}

TEST_P(RowMovementTest, AppendsKeysAndValuesOfAllHeads) {
  // Keys and values are parts of one projection: heads of keys lie apart in memory only if they are
  // split along the last dimension, as the keys are here.
  Kernel kernel = compile(R"(
    exec.kernel @kv_append_0(%cache: !epi.kv_cache<heads = 2, key = 5, value = 3, $T>, %x: tensor<?x2x8x$T>,
                             %step: !epi.step) -> !epi.kv_cache<heads = 2, key = 5, value = 3, $T> {
      %k, %v = epi.split %x dim 2 : tensor<?x2x8x$T> to tensor<?x2x5x$T>, tensor<?x2x3x$T>
      %new = epi.kv_append %cache, %k, %v, %step
          : !epi.kv_cache<heads = 2, key = 5, value = 3, $T>, tensor<?x2x5x$T>, tensor<?x2x3x$T>
      exec.yield %new : !epi.kv_cache<heads = 2, key = 5, value = 3, $T>
    })");
  StepBatch batch;
  batch.positions = {0, 1};
  batch.sequence = {0, 0};
  batch.pageTable = {0};
  batch.pageTableStride = 1;
  const Tensor x = random({2, 2, 8}, 1);
  Tensor expected = Tensor::floats({64, 16});
  Buffer xBuffer = buffer(x), cache = buffer(expected);
  kernel.run({cache.data(), xBuffer.data()}, stepOf(batch), 2);
  for (int64_t row = 0; row < 2; ++row)
    for (int64_t head = 0; head < 2; ++head) {
      std::copy_n(x.row(row) + head * 8, 5, expected.row(row) + head * 5);
      std::copy_n(x.row(row) + head * 8 + 5, 3, expected.row(row) + 10 + head * 3);
    }
  EXPECT_EQ(cache.read({64, 16}).floatVector(), expected.floatVector());
}

} // namespace
} // namespace epigraph::cpu::test
