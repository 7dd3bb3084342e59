// Attention over paged caches against the reference's, on ragged batches; and bit for bit against
// itself, one token at a time.
#include <cmath>

#include "codegen/reference/Attention.h"
#include "test/codegen/cpu/KernelHarness.h"

namespace epigraph::cpu::test {
namespace {

using AttentionKernelTest = KernelTest;
EPIGRAPH_INSTANTIATE_KERNEL_TEST(AttentionKernelTest);

const reference::Workers kWorkers;

/// A batch of sequences that have had `before` tokens and get `now` more. Pages are handed out from
/// the last one down, so that no sequence's are in order.
StepBatch makeBatch(const std::vector<std::pair<int32_t, int32_t>> &sequences, int32_t &pages) {
  StepBatch batch;
  batch.pageTableStride = 9;
  pages = 0;
  for (auto [before, now] : sequences)
    pages += (before + now + kPageTokens - 1) / kPageTokens;
  int32_t next = pages;
  for (size_t s = 0; s < sequences.size(); ++s) {
    auto [before, now] = sequences[s];
    for (int32_t i = 0; i < now; ++i) {
      batch.positions.push_back(before + i);
      batch.sequence.push_back(static_cast<int32_t>(s));
    }
    for (int32_t page = 0; page < batch.pageTableStride; ++page)
      batch.pageTable.push_back(page * kPageTokens < before + now ? --next : -1);
  }
  return batch;
}

/// Decode beside prefill, contexts of 1, around one page (63, 64, 65), around two (128, 129), and a
/// chunk that crosses a border.
const std::vector<std::pair<int32_t, int32_t>> kRagged = {
    {0, 1}, {62, 1}, {63, 1}, {64, 1}, {0, 5}, {60, 9}, {127, 1}, {128, 1}, {0, 70}};

/// The same cache for both sides: all slots of the batch's sequences filled, the others NaN in the
/// kernel's.
struct CachePair {
  CachePair(const StepBatch &batch, int32_t pages, int64_t entry, ElementType type)
      : reference(entry), device(type, fill(batch, pages, entry, type, reference)) {}

  static Tensor fill(const StepBatch &batch, int32_t pages, int64_t entry, ElementType type,
                     reference::PagedCache &cache) {
    const Tensor values = randomTensor({pages * kPageTokens, entry}, type, 9);
    Tensor device(Shape{pages * kPageTokens, entry},
                  std::vector<float>(static_cast<size_t>(values.elements()), NAN));
    const auto sequences = reference::sequencesOf(batch);
    EXPECT_TRUE(sequences.ok()) << sequences.status();
    for (const reference::SequenceRows &sequence : *sequences)
      for (int64_t slot : sequence.slots) {
        std::copy_n(values.row(slot), entry, cache.write(slot));
        std::copy_n(values.row(slot), entry, device.row(slot));
      }
    return device;
  }

  reference::PagedCache reference;
  Buffer device;
};

/// The batch of token `token` of `batch` alone.
StepBatch single(const StepBatch &batch, int64_t token) {
  StepBatch alone = batch;
  alone.positions = {batch.positions[token]};
  alone.sequence = {batch.sequence[token]};
  return alone;
}

TEST_P(AttentionKernelTest, AttendsToGroupedQueries) {
  // 6 query heads on 2 key heads; sizes that are multiples of no vector.
  int32_t pages = 0;
  const StepBatch batch = makeBatch(kRagged, pages);
  const int64_t rows = static_cast<int64_t>(batch.positions.size());
  const int64_t heads = 6, key = 20, value = 12, entry = 2 * (key + value);
  Kernel kernel = compile(R"(
    exec.kernel @attention_0(%q: tensor<?x120x$T>, %cache: !epi.kv_cache<heads = 2, key = 20, value = 12, $T>,
                             %step: !epi.step) -> tensor<?x6x12x$T> {
      %0 = epi.reshape %q : tensor<?x120x$T> to tensor<?x6x20x$T>
      %o = epi.attention %0, %cache, %step {scale = 0.2236 : f64}
          : (tensor<?x6x20x$T>, !epi.kv_cache<heads = 2, key = 20, value = 12, $T>) -> tensor<?x6x12x$T>
      exec.yield %o : tensor<?x6x12x$T>
    })");
  CachePair cache(batch, pages, entry, type);
  const Tensor q = random({rows, heads, key}, 1);
  Buffer qBuffer = buffer(q), o = poison({rows, heads, value});
  kernel.run({qBuffer.data(), cache.device.data(), o.data()}, stepOf(batch), rows);
  auto expected =
      reference::attention(q, cache.reference, {2, key, value}, batch, {0.2236}, kWorkers);
  ASSERT_TRUE(expected.ok()) << expected.status();
  expectClose(o.read({rows, heads, value}), *expected, type);
}

/// A page that no cache here has: reading it is a crash.
constexpr int32_t kNoPage = 1 << 24;

/// 8 query heads on 2 key heads, with what `more` holds: "window = 7 : i64", and sinks.
std::string windowed(const std::string &more) {
  return R"(
    exec.kernel @attention_0(%q: tensor<?x8x20x$T>, %cache: !epi.kv_cache<heads = 2, key = 20, value = 12, $T>,
                             %s: tensor<8x$T>, %step: !epi.step) -> tensor<?x8x12x$T> {
      %o = epi.attention %q, %cache, %step sinks %s {scale = 0.2236 : f64)" +
         more + R"(}
          : (tensor<?x8x20x$T>, !epi.kv_cache<heads = 2, key = 20, value = 12, $T>) sinks tensor<8x$T>
            -> tensor<?x8x12x$T>
      exec.yield %o : tensor<?x8x12x$T>
    })";
}

TEST_P(AttentionKernelTest, LeavesPagesBeforeTheWindowAlone) {
  const int64_t heads = 8, key = 20, value = 12, entry = 2 * (key + value);
  // One's own position, part of a page, a page, a page and a bit, more than any context here.
  for (int64_t window : {int64_t{1}, int64_t{7}, kPageTokens, kPageTokens + 1, int64_t{1000}}) {
    SCOPED_TRACE(window);
    int32_t pages = 0;
    StepBatch batch = makeBatch(kRagged, pages);
    const int64_t rows = static_cast<int64_t>(batch.positions.size());
    Kernel kernel = compile(windowed(", window = " + std::to_string(window) + " : i64"));
    CachePair cache(batch, pages, entry, type);
    const Tensor q = random({rows, heads, key}, 1);
    Tensor sinks = random({heads}, 2);
    sinks.data()[3] = 16;  // takes all weight
    sinks.data()[5] = -16; // takes none
    auto expected = reference::attention(q, cache.reference, {2, key, value}, batch,
                                         {0.2236, window, &sinks}, kWorkers);
    ASSERT_TRUE(expected.ok()) << expected.status();
    for (size_t s = 0; s < kRagged.size(); ++s) {
      const int64_t first = std::max<int64_t>(0, kRagged[s].first + 1 - window);
      for (int64_t page = 0; page < first / kPageTokens; ++page)
        batch.pageTable[s * static_cast<size_t>(batch.pageTableStride) + page] = kNoPage;
    }
    Buffer qBuffer = buffer(q), sinkBuffer = buffer(sinks), o = poison({rows, heads, value});
    kernel.run({qBuffer.data(), cache.device.data(), sinkBuffer.data(), o.data()}, stepOf(batch),
               rows);
    expectClose(o.read({rows, heads, value}), *expected, type);
  }
}

TEST_P(AttentionKernelTest, GivesSinksTheirWeight) {
  int32_t pages = 0;
  const StepBatch batch = makeBatch(kRagged, pages);
  const int64_t rows = static_cast<int64_t>(batch.positions.size());
  const int64_t heads = 8, key = 20, value = 12, entry = 2 * (key + value);
  Kernel kernel = compile(windowed(""));
  CachePair cache(batch, pages, entry, type);
  const Tensor q = random({rows, heads, key}, 1), sinks = random({heads}, 2);
  Buffer qBuffer = buffer(q), sinkBuffer = buffer(sinks), o = poison({rows, heads, value});
  kernel.run({qBuffer.data(), cache.device.data(), sinkBuffer.data(), o.data()}, stepOf(batch),
             rows);
  auto expected = reference::attention(q, cache.reference, {2, key, value}, batch,
                                       {.scale = 0.2236, .sinks = &sinks}, kWorkers);
  ASSERT_TRUE(expected.ok()) << expected.status();
  expectClose(o.read({rows, heads, value}), *expected, type);
}

constexpr char kMla[] = R"(
  exec.kernel @mla_attention_0(%q: tensor<?x6x33x$T>, %r: tensor<?x6x14x$T>,
                               %cache: !epi.mla_cache<latent = 33, rope = 10, $T>, %step: !epi.step)
      -> tensor<?x6x33x$T> {
    %0, %1 = epi.split %r dim 2 : tensor<?x6x14x$T> to tensor<?x6x4x$T>, tensor<?x6x10x$T>
    %o = epi.mla_attention %q, %1, %cache, %step {scale = 0.3 : f64}
        : (tensor<?x6x33x$T>, tensor<?x6x10x$T>, !epi.mla_cache<latent = 33, rope = 10, $T>)
          -> tensor<?x6x33x$T>
    exec.yield %o : tensor<?x6x33x$T>
  })";

/// The last 10 of the 14 elements of each head.
Tensor ropePart(const Tensor &wide) {
  Tensor part = Tensor::floats({wide.dim(0), 6, 10});
  for (int64_t i = 0; i < wide.dim(0) * 6; ++i)
    std::copy_n(wide.data() + i * 14 + 4, 10, part.data() + i * 10);
  return part;
}

TEST_P(AttentionKernelTest, AttendsToLatentVectors) {
  int32_t pages = 0;
  const StepBatch batch = makeBatch(kRagged, pages);
  const int64_t rows = static_cast<int64_t>(batch.positions.size()), latent = 33, rope = 10;
  Kernel kernel = compile(kMla);
  CachePair cache(batch, pages, latent + rope, type);
  const Tensor q = random({rows, 6, latent}, 1), r = random({rows, 6, 14}, 2);
  Buffer qBuffer = buffer(q), rBuffer = buffer(r), o = poison({rows, 6, latent});
  kernel.run({qBuffer.data(), rBuffer.data(), cache.device.data(), o.data()}, stepOf(batch), rows);
  auto expected = reference::mlaAttention(q, ropePart(r), cache.reference, {latent, rope}, nullptr,
                                          batch, 0.3, kWorkers);
  ASSERT_TRUE(expected.ok()) << expected.status();
  expectClose(o.read({rows, 6, latent}), *expected, type);
}

TEST_P(AttentionKernelTest, GivesATokenTheSameBitsInEveryBatch) {
  int32_t pages = 0;
  const StepBatch batch = makeBatch(kRagged, pages);
  const int64_t rows = static_cast<int64_t>(batch.positions.size()), latent = 33, rope = 10;
  Kernel kernel = compile(kMla);
  CachePair cache(batch, pages, latent + rope, type);
  const Tensor q = random({rows, 6, latent}, 1), r = random({rows, 6, 14}, 2);
  Buffer qBuffer = buffer(q), rBuffer = buffer(r), o = poison({rows, 6, latent});
  kernel.run({qBuffer.data(), rBuffer.data(), cache.device.data(), o.data()}, stepOf(batch), rows);
  const Tensor together = o.read({rows, 6, latent});
  for (int64_t row = 0; row < rows; ++row) {
    const StepBatch alone = single(batch, row);
    Buffer q1 = buffer(rowsOf(q, row, row + 1)), r1 = buffer(rowsOf(r, row, row + 1));
    Buffer o1 = poison({6, latent});
    kernel.run({q1.data(), r1.data(), cache.device.data(), o1.data()}, stepOf(alone), 1);
    ASSERT_EQ(o1.read({1, 6, latent}).floatVector(), rowsOf(together, row, row + 1).floatVector());
  }
}

/// nope 20, rope 10, value 13, latent 33; q and q_rope are parts of one value.
constexpr char kExpanded[] = R"(
  exec.kernel @mla_attention_0(%q: tensor<?x6x30x$T>, %cache: !epi.mla_cache<latent = 33, rope = 10, $T>,
                               %up: tensor<198x33x$T>, %step: !epi.step) -> tensor<?x6x13x$T> {
    %0, %1 = epi.split %q dim 2 : tensor<?x6x30x$T> to tensor<?x6x20x$T>, tensor<?x6x10x$T>
    %o = epi.mla_attention %0, %1, %cache, %step up %up {scale = 0.3 : f64}
        : (tensor<?x6x20x$T>, tensor<?x6x10x$T>, !epi.mla_cache<latent = 33, rope = 10, $T>)
          up tensor<198x33x$T> -> tensor<?x6x13x$T>
    exec.yield %o : tensor<?x6x13x$T>
  })";

/// Elements [first, last) of the 30 of each head.
Tensor partOf(const Tensor &q, int64_t first, int64_t last) {
  Tensor part = Tensor::floats({q.dim(0), 6, last - first});
  for (int64_t i = 0; i < q.dim(0) * 6; ++i)
    std::copy_n(q.data() + i * 30 + first, last - first, part.data() + i * (last - first));
  return part;
}

/// A batch in which one sequence has more rows than a block of the kernel, on top of `kRagged`.
const std::vector<std::pair<int32_t, int32_t>> kLongChunk = {{3, 1}, {40, 530}, {5, 2}};

TEST_P(AttentionKernelTest, ExpandsLatentVectors) {
  Kernel kernel = compile(kExpanded);
  for (const auto &sequences : {kRagged, kLongChunk}) {
    int32_t pages = 0;
    const StepBatch batch = makeBatch(sequences, pages);
    const int64_t rows = static_cast<int64_t>(batch.positions.size()), latent = 33, rope = 10;
    CachePair cache(batch, pages, latent + rope, type);
    const Tensor q = random({rows, 6, 30}, 1), up = random({198, latent}, 2);
    Buffer qBuffer = buffer(q), upBuffer = buffer(up), o = poison({rows, 6, 13});
    kernel.run({qBuffer.data(), cache.device.data(), upBuffer.data(), o.data()}, stepOf(batch),
               rows);
    auto expected = reference::mlaAttention(partOf(q, 0, 20), partOf(q, 20, 30), cache.reference,
                                            {latent, rope}, &up, batch, 0.3, kWorkers);
    ASSERT_TRUE(expected.ok()) << expected.status();
    expectClose(o.read({rows, 6, 13}), *expected, type);
  }
}

TEST_P(AttentionKernelTest, ExpandsForATokenTheSameBitsInEveryBatch) {
  int32_t pages = 0;
  const StepBatch batch = makeBatch(kRagged, pages);
  const int64_t rows = static_cast<int64_t>(batch.positions.size()), latent = 33, rope = 10;
  Kernel kernel = compile(kExpanded);
  CachePair cache(batch, pages, latent + rope, type);
  const Tensor q = random({rows, 6, 30}, 1);
  Buffer qBuffer = buffer(q), upBuffer = buffer(random({198, latent}, 2));
  Buffer o = poison({rows, 6, 13});
  kernel.run({qBuffer.data(), cache.device.data(), upBuffer.data(), o.data()}, stepOf(batch), rows);
  const Tensor together = o.read({rows, 6, 13});
  for (int64_t row = 0; row < rows; ++row) {
    const StepBatch alone = single(batch, row);
    Buffer q1 = buffer(rowsOf(q, row, row + 1)), o1 = poison({6, 13});
    kernel.run({q1.data(), cache.device.data(), upBuffer.data(), o1.data()}, stepOf(alone), 1);
    ASSERT_EQ(o1.read({1, 6, 13}).floatVector(), rowsOf(together, row, row + 1).floatVector());
  }
}

TEST_P(AttentionKernelTest, SurvivesLargeScores) {
  // Scores of thousands: without the running maximum their exponentials would overflow. The largest
  // comes last, so that everything before must be scaled down to nothing.
  int32_t pages = 0;
  const StepBatch batch = makeBatch({{99, 1}}, pages);
  Kernel kernel = compile(R"(
    exec.kernel @attention_0(%q: tensor<?x1x4x$T>, %cache: !epi.kv_cache<heads = 1, key = 4, value = 4, $T>,
                             %step: !epi.step) -> tensor<?x1x4x$T> {
      %o = epi.attention %q, %cache, %step {scale = 1.0 : f64}
          : (tensor<?x1x4x$T>, !epi.kv_cache<heads = 1, key = 4, value = 4, $T>) -> tensor<?x1x4x$T>
      exec.yield %o : tensor<?x1x4x$T>
    })");
  Tensor cache = Tensor::floats({pages * kPageTokens, 8});
  for (int64_t position = 0; position < 100; ++position) {
    float *entry =
        cache.row(batch.pageTable[position / kPageTokens] * kPageTokens + position % kPageTokens);
    entry[0] = static_cast<float>(position);
    entry[4] = static_cast<float>(position); // the value says whose it is
  }
  Buffer cacheBuffer = buffer(cache), o = poison({4});
  Buffer q = buffer(Tensor({4}, std::vector<float>{64, 0, 0, 0}));
  kernel.run({q.data(), cacheBuffer.data(), o.data()}, stepOf(batch), 1);
  EXPECT_EQ(o.read({4}).floatVector(), (std::vector<float>{99, 0, 0, 0}));
}

} // namespace
} // namespace epigraph::cpu::test
