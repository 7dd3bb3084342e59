// The kernels of the test model (TestModel.h), built as a library like an artifact's. Some
// misbehave when they see certain tokens.
#include <algorithm>
#include <bit>
#include <chrono>
#include <cstring>
#include <thread>

#include "runtime/artifact/KernelAbi.h"
#include "runtime/base/BFloat16.h"
#include "test/runtime/exec/TestModel.h"

using epigraph::KernelStep;
using namespace epigraph::testmodel;

#define KERNEL extern "C" __attribute__((visibility("default"))) void

namespace {

int64_t slotOf(const KernelStep *step, int64_t token, int64_t position) {
  const int64_t row = step->sequence[token] * step->pageTableStride;
  return step->pageTable[row + position / epigraph::kPageTokens] * epigraph::kPageTokens +
         position % epigraph::kPageTokens;
}

} // namespace

/// ids, table [vocab][hidden] -> x [tokens][hidden]. Tiles of two rows, so that several threads
/// take part.
KERNEL test_embed(void *const *args, const KernelStep *, int64_t rows, int64_t begin, int64_t end) {
  const auto *ids = static_cast<const int32_t *>(args[0]);
  const auto *table = static_cast<const float *>(args[1]);
  auto *x = static_cast<float *>(args[2]);
  for (int64_t row = begin * kRowTile; row < end * kRowTile && row < rows; ++row)
    std::memcpy(x + row * kHidden, table + ids[row] * kHidden, kHidden * sizeof(float));
}

/// ids, rank [1] -> nothing, or trouble.
KERNEL test_trouble(void *const *args, const KernelStep *step, int64_t, int64_t, int64_t) {
  const auto *ids = static_cast<const int32_t *>(args[0]);
  const int32_t rank = *static_cast<const int32_t *>(args[1]);
  for (int64_t token = 0; token < step->tokens; ++token)
    if (rank == 1 && (ids[token] == kShortSleep || ids[token] == kLongSleep))
      std::this_thread::sleep_for(ids[token] == kShortSleep ? kShortSleepTime : kLongSleepTime);
}

/// x [local][hidden] -> sorted [local][hidden], counts [experts], order [local]. The first number
/// of a row is its token's id, which decides about its expert.
KERNEL test_route(void *const *args, const KernelStep *, int64_t rows, int64_t, int64_t) {
  const auto *x = static_cast<const float *>(args[0]);
  auto *sorted = static_cast<float *>(args[1]);
  auto *counts = static_cast<int32_t *>(args[2]);
  auto *order = static_cast<int32_t *>(args[3]);
  int32_t next = 0;
  for (int32_t expert = 0; expert < kExperts; ++expert) {
    counts[expert] = 0;
    for (int64_t row = 0; row < rows; ++row) {
      const int32_t id = static_cast<int32_t>(x[row * kHidden]);
      if (expertOf(id) != expert)
        continue;
      std::memcpy(sorted + next * kHidden, x + row * kHidden, kHidden * sizeof(float));
      order[next++] = static_cast<int32_t>(row);
      counts[expert] += id == kBadCount ? -1 : 1;
    }
  }
}

/// received [received][hidden], counts [local experts], scale [local experts] -> received, each row
/// times its expert's scale.
KERNEL test_experts(void *const *args, const KernelStep *, int64_t rows, int64_t, int64_t) {
  const auto *received = static_cast<const float *>(args[0]);
  const auto *counts = static_cast<const int32_t *>(args[1]);
  const auto *scale = static_cast<const float *>(args[2]);
  auto *result = static_cast<float *>(args[3]);
  int64_t row = 0;
  for (int64_t expert = 0; row < rows; ++expert)
    for (int32_t i = 0; i < counts[expert]; ++i, ++row)
      for (int64_t h = 0; h < kHidden; ++h)
        result[row * kHidden + h] = received[row * kHidden + h] * scale[expert];
}

/// back [local][hidden], order [local] -> y [local][hidden].
KERNEL test_unsort(void *const *args, const KernelStep *, int64_t rows, int64_t, int64_t) {
  const auto *back = static_cast<const float *>(args[0]);
  const auto *order = static_cast<const int32_t *>(args[1]);
  auto *y = static_cast<float *>(args[2]);
  for (int64_t row = 0; row < rows; ++row)
    std::memcpy(y + order[row] * kHidden, back + row * kHidden, kHidden * sizeof(float));
}

/// y [tokens][hidden], cache -> z [tokens][hidden]: the sum over the history of y times a weight of
/// its position.
KERNEL test_attend(void *const *args, const KernelStep *step, int64_t rows, int64_t, int64_t) {
  const auto *y = static_cast<const float *>(args[0]);
  auto *cache = static_cast<float *>(args[1]);
  auto *z = static_cast<float *>(args[2]);
  for (int64_t row = 0; row < rows; ++row)
    std::memcpy(cache + slotOf(step, row, step->positions[row]) * kHidden, y + row * kHidden,
                kHidden * sizeof(float));
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t h = 0; h < kHidden; ++h) {
      float sum = 0;
      for (int64_t position = 0; position <= step->positions[row]; ++position)
        sum += cache[slotOf(step, row, position) * kHidden + h] * weightOf(position);
      z[row * kHidden + h] = sum;
    }
}

/// z [tokens][hidden], head [vocab][hidden] -> logits [outputs][vocab], float32.
KERNEL test_head(void *const *args, const KernelStep *step, int64_t rows, int64_t, int64_t) {
  const auto *z = static_cast<const float *>(args[0]);
  const auto *head = static_cast<const float *>(args[1]);
  auto *logits = static_cast<float *>(args[2]);
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t v = 0; v < kVocab; ++v) {
      float sum = 0;
      for (int64_t h = 0; h < kHidden; ++h)
        sum += z[step->outputRows[row] * kHidden + h] * head[v * kHidden + h];
      logits[row * kVocab + v] = sum;
    }
}

/// logits [outputs][vocab] -> best [outputs]: the token with the largest.
KERNEL test_best(void *const *args, const KernelStep *, int64_t rows, int64_t, int64_t) {
  const auto *logits = static_cast<const float *>(args[0]);
  auto *best = static_cast<int32_t *>(args[1]);
  for (int64_t row = 0; row < rows; ++row, logits += kVocab)
    best[row] = static_cast<int32_t>(std::max_element(logits, logits + kVocab) - logits);
}

/// ids, hidden [tokens][hidden] bf16, table -> logits [outputs][vocab], bf16: the id-th row of the
/// table plus the hidden state, number v modulo hidden.
KERNEL test_mtp(void *const *args, const KernelStep *step, int64_t rows, int64_t, int64_t) {
  const auto *ids = static_cast<const int32_t *>(args[0]);
  const auto *hidden = static_cast<const uint16_t *>(args[1]);
  const auto *table = static_cast<const float *>(args[2]);
  auto *logits = static_cast<uint16_t *>(args[3]);
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t v = 0; v < kVocab; ++v) {
      const int64_t token = step->outputRows[row];
      const float state = epigraph::floatOfBFloat16(hidden[token * kHidden + v % kHidden]);
      logits[row * kVocab + v] =
          epigraph::bfloat16OfFloat(state + table[ids[token] * kHidden + v % kHidden]);
    }
}
