// The dense and structural operations against numbers worked out by hand, or loops in double.
#include "codegen/reference/Dense.h"
#include "codegen/reference/RopeTable.h"
#include "codegen/reference/Structure.h"
#include "test/codegen/reference/Samples.h"

namespace epigraph::reference {
namespace {

using ::testing::HasSubstr;

TEST(Linear, MatchesALoopForEveryKindOfBlock) {
  // 1, 4: small blocks; 5, 16, 17, 33: large ones, full and partial; 67 outputs: two tasks.
  for (int64_t rows : {0, 1, 4, 5, 16, 17, 33})
    for (int threads : {1, 3}) {
      Tensor x = sample({rows, 37}, 1), w = sample({67, 37}, 2);
      std::vector<double> expected;
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t n = 0; n < 67; ++n) {
          double sum = 0;
          for (int64_t k = 0; k < 37; ++k)
            sum += static_cast<double>(x.row(r)[k]) * w.row(n)[k];
          expected.push_back(sum);
        }
      expectFloats(linear(x, w, {threads}), {rows, 67}, expected, 1e-5);
    }
}

TEST(Linear, ARowDoesNotDependOnItsNeighbours) {
  Tensor x = sample({40, 64}, 1), w = sample({50, 64}, 2);
  Tensor together = linear(x, w, {2});
  for (int64_t r = 0; r < 40; ++r)
    expectSame(linear(sliceRows(x, r, r + 1), w, {1}), sliceRows(together, r, r + 1));
}

TEST(HeadLinear, MultipliesEachHeadByItsOwnWeight) {
  Tensor x = floats({2, 2, 2}, {1.f, 2.f, 3.f, 4.f, 5.f, 6.f, 7.f, 8.f});
  Tensor w = floats({2, 1, 2}, {1.f, 10.f, 100.f, 1000.f});
  expectFloats(headLinear(x, w, {}), {2, 2, 1}, {21, 4300, 65, 8700});
}

TEST(Embedding, TakesRowsAndRefusesStrangers) {
  Tensor table = floats({3, 2}, {0.f, 1.f, 2.f, 3.f, 4.f, 5.f});
  expectFloats(*embedding(ints({2}, {2, 0}), table), {2, 2}, {4, 5, 0, 1});
  for (int32_t id : {-1, 3})
    EXPECT_THAT(embedding(ints({1}, {id}), table).status().ToString(),
                HasSubstr("outside the vocabulary of 3"));
}

TEST(RmsNorm, DividesByTheRootOfTheMeanSquare) {
  Tensor x = floats({2, 2}, {3.f, 4.f, 0.f, 0.f}), w = floats({2}, {1.f, 2.f});
  double scale = 1 / std::sqrt(12.5 + 0.5);
  expectFloats(rmsNorm(x, w, 0.5), {2, 2}, {3 * scale, 8 * scale, 0, 0});
}

TEST(Rope, RotatesNeighboursOrHalves) {
  // Position 1 turns the first pair by a quarter, the second not at all.
  Tensor table = floats({2, 4}, {1.f, 1.f, 0.f, 0.f, 0.f, 1.f, 1.f, 0.f});
  Tensor x = floats({2, 4}, {1.f, 2.f, 3.f, 4.f, 1.f, 2.f, 3.f, 4.f});
  expectFloats(*rope(x, table, {0, 1}, /*interleaved=*/true), {2, 4}, {1, 2, 3, 4, -2, 1, 3, 4});
  expectFloats(*rope(x, table, {0, 1}, /*interleaved=*/false), {2, 4}, {1, 2, 3, 4, -3, 2, 1, 4});
  Tensor heads = floats({1, 2, 4}, {1.f, 2.f, 3.f, 4.f, 5.f, 6.f, 7.f, 8.f});
  expectFloats(*rope(heads, table, {1}, true), {1, 2, 4}, {-2, 1, 3, 4, -6, 5, 7, 8});
  EXPECT_THAT(rope(x, table, {0, 2}, true).status().ToString(),
              HasSubstr("position 2 of token 1 is outside the table of 2"));
  EXPECT_THAT(rope(x, table, {0}, true).status().ToString(), HasSubstr("has 2 rows, expected 1"));
}

TEST(RopeTable, IsGeometricWithoutYarn) {
  Tensor table = ropeTable(
      {.positions = 3, .dims = 4, .theta = 1e4, .magnitude = 2, .yarn = {}, .llama3 = {}});
  std::vector<double> expected;
  for (double position : {0.0, 1.0, 2.0})
    for (double turn : {0.0, 1.0}) // cosines, then sines
      for (double frequency : {1.0, 0.01})
        expected.push_back(
            2 * (turn == 0 ? std::cos(position * frequency) : std::sin(position * frequency)));
  expectFloats(table, {3, 4}, expected);
}

// Numbers of a numpy script in float32 that follows transformers' _compute_yarn_parameters.
TEST(RopeTable, StretchesLikeTransformersWithYarn) {
  RopeTableOptions options{.positions = 1001,
                           .dims = 16,
                           .theta = 1e4,
                           .magnitude = 1,
                           .yarn =
                               Yarn{.factor = 4, .original = 1024, .betaFast = 32, .betaSlow = 1}};
  std::vector<double> frequencies = {1,
                                     0.316227764,
                                     0.0812500045,
                                     0.0197642371,
                                     0.00437500002,
                                     0.000790569466,
                                     0.000250000012,
                                     7.90569466e-05};
  std::vector<float> found = ropeFrequencies(options);
  ASSERT_EQ(found.size(), frequencies.size());
  for (size_t i = 0; i < found.size(); ++i)
    EXPECT_NEAR(found[i] / frequencies[i], 1, 2e-7) << i;
  expectFloats(sliceRows(ropeTable(options), 1000, 1001), {1, 16},
               {0.562379076, -0.477397924, 0.90838067, 0.610043745, -0.331024407, 0.703440667,
                0.968912422, 0.996876627, 0.826879541, 0.878687215, -0.418144185, 0.792367736,
                -0.943622192, 0.710753986, 0.247403959, 0.0789746232},
               4e-5); // one unit in the last place of a frequency, times 1000
}

// Numbers of numpy in double precision, from the definitions (test/python/families/plain.py).
TEST(RopeTable, StretchesAsLlama3AndWithoutTruncation) {
  auto expectFrequencies = [](const RopeTableOptions &options, std::vector<double> expected) {
    std::vector<float> found = ropeFrequencies(options);
    ASSERT_EQ(found.size(), expected.size());
    for (size_t i = 0; i < found.size(); ++i)
      EXPECT_NEAR(found[i] / expected[i], 1, 2e-6) << i;
  };
  RopeTableOptions options{
      .positions = 1, .dims = 16, .theta = 5e5, .magnitude = 1, .yarn = {}, .llama3 = {}};
  options.llama3 =
      Llama3Rope{.factor = 8, .original = 8192, .lowFreqFactor = 1, .highFreqFactor = 4};
  expectFrequencies(options, {1, 0.193922745, 0.0376060309, 0.00729266474, 0.000524846161,
                              3.4281022e-05, 6.64786987e-06, 1.28917317e-06});
  options.llama3.reset();
  options.theta = 150000;
  options.yarn =
      Yarn{.factor = 32, .original = 4096, .betaFast = 32, .betaSlow = 1, .truncate = false};
  expectFrequencies(options, {1, 0.225418, 0.0508132748, 0.00679495949, 0.000456483919,
                              1.81883367e-05, 4.09997848e-06, 9.2420895e-07});
}

TEST(Elementwise, AddsMultipliesAndSquashes) {
  Tensor a = floats({1, 2}, {1.f, -2.f}), b = floats({1, 2}, {3.f, 5.f});
  expectFloats(*add(a, b), {1, 2}, {4, 3});
  expectFloats(*mul(a, b), {1, 2}, {3, -10});
  expectFloats(silu(a), {1, 2}, {1 / (1 + std::exp(-1.0)), -2 / (1 + std::exp(2.0))});
  EXPECT_FALSE(add(a, Tensor::floats({2, 2})).ok());
}

TEST(RmsNorm, NormalisesEachHeadByItself) {
  Tensor x = floats({1, 2, 2}, {3.f, 4.f, 0.f, 6.f}), w = floats({2}, {1.f, 2.f});
  double first = 1 / std::sqrt(12.5 + 0.5), second = 1 / std::sqrt(18 + 0.5);
  expectFloats(rmsNorm(x, w, 0.5), {1, 2, 2}, {3 * first, 8 * first, 0, 12 * second});
}

TEST(Rope, LeavesWhatTheTableDoesNotReach) {
  // A quarter turn of the first pair of each head, and none of the second.
  Tensor table = floats({1, 4}, {0.f, 1.f, 1.f, 0.f});
  Tensor x = floats({1, 2, 5}, {1.f, 2.f, 3.f, 4.f, 5.f, 6.f, 7.f, 8.f, 9.f, 10.f});
  expectFloats(*rope(x, table, {0}, /*interleaved=*/true), {1, 2, 5},
               {-2, 1, 3, 4, 5, -7, 6, 8, 9, 10});
  expectFloats(*rope(x, table, {0}, /*interleaved=*/false), {1, 2, 5},
               {-3, 2, 1, 4, 5, -8, 7, 6, 9, 10});
}

TEST(Elementwise, VectorsMeetRowsAndValuesMeetColumns) {
  Tensor x = floats({2, 3}, {1.f, 2.f, 3.f, 4.f, 5.f, 6.f});
  expectFloats(*add(x, floats({3}, {10.f, 20.f, 30.f})), {2, 3}, {11, 22, 33, 14, 25, 36});
  expectFloats(*mul(x, floats({2, 1}, {10.f, 100.f})), {2, 3}, {10, 20, 30, 400, 500, 600});
  Tensor heads = floats({1, 2, 2}, {1.f, 2.f, 3.f, 4.f});
  expectFloats(*add(heads, floats({2}, {10.f, 20.f})), {1, 2, 2}, {11, 22, 13, 24});
  EXPECT_THAT(add(x, floats({2}, {1.f, 2.f})).status().ToString(), HasSubstr("has 2 elements"));
  EXPECT_THAT(mul(x, Tensor::floats({3, 1})).status().ToString(), HasSubstr("has 3 rows"));
}

TEST(Sigmoid, IsHalfAtZero) {
  expectFloats(sigmoid(floats({3}, {0.f, 2.f, -200.f})), {3}, {0.5, 1 / (1 + std::exp(-2.0)), 0});
}

TEST(Softmax, SumsToOneInEachRow) {
  // The second row is far beyond what exp can hold.
  Tensor x = floats({2, 3}, {0.f, 1.f, 3.f, 1000.f, 1001.f, -1000.f});
  double first = 1 + std::exp(1.0) + std::exp(3.0), second = 1 + std::exp(1.0);
  expectFloats(softmax(x), {2, 3},
               {1 / first, std::exp(1.0) / first, std::exp(3.0) / first, 1 / second,
                std::exp(1.0) / second, 0});
}

TEST(ClampedSwiglu, ClampsTheGateAboveAndTheRestOnBothSides) {
  Tensor gate = floats({1, 3}, {9.f, 1.f, -9.f}), up = floats({1, 3}, {-9.f, 2.f, 9.f});
  auto squashed = [](double g) { return g / (1 + std::exp(-1.702 * g)); };
  expectFloats(*clampedSwiglu(gate, up, {.alpha = 1.702, .limit = 7}), {1, 3},
               {-6 * squashed(7), 3 * squashed(1), 8 * squashed(-9)}, 1e-5);
}

TEST(RoundToBFloat16, RoundsTiesToEven) {
  // 1 + 2^-8 lies between 1 and 1 + 2^-7; 1 + 3 * 2^-8 between 1 + 2^-7 and 1 + 2^-6.
  Tensor x = floats({3}, {1.00390625f, 1.01171875f, 0.5f});
  expectFloats(roundToBFloat16(x), {3}, {1, 1.015625, 0.5}, 0);
}

TEST(Structure, TransposesSplitsAndJoins) {
  Tensor x = floats({2, 3, 1}, {0.f, 1.f, 2.f, 3.f, 4.f, 5.f});
  expectFloats(transpose(x, {1, 2, 0}), {3, 1, 2}, {0, 3, 1, 4, 2, 5});
  std::vector<Tensor> parts = split(x, 1, {1, 2});
  expectFloats(parts[0], {2, 1, 1}, {0, 3});
  expectFloats(parts[1], {2, 2, 1}, {1, 2, 4, 5});
  expectFloats(*concat({&parts[1], &parts[0]}, 1), {2, 3, 1}, {1, 2, 0, 4, 5, 3});
  expectFloats(*selectRows(x, {1, 1}), {2, 3, 1}, {3, 4, 5, 3, 4, 5});
  EXPECT_FALSE(selectRows(x, {2}).ok());
  Tensor ids = ints({4}, {7, 8, 9, 10});
  EXPECT_THAT(sliceRows(ids, 1, 3).intVector(), testing::ElementsAre(8, 9));
}

} // namespace
} // namespace epigraph::reference
