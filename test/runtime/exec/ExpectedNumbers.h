// What the test model computes, by its definition (TestModel.h).
#ifndef EPIGRAPH_TEST_RUNTIME_EXEC_EXPECTEDNUMBERS_H
#define EPIGRAPH_TEST_RUNTIME_EXEC_EXPECTEDNUMBERS_H

#include <cstdint>
#include <vector>

#include "runtime/base/BFloat16.h"
#include "test/runtime/exec/TestModel.h"

namespace epigraph::testmodel {

inline std::vector<float> hiddenAfter(const std::vector<int32_t> &history) {
  std::vector<float> z(kHidden);
  for (size_t position = 0; position < history.size(); ++position)
    for (int64_t h = 0; h < kHidden; ++h)
      z[static_cast<size_t>(h)] += tableAt(history[position], h) *
                                   static_cast<float>(expertOf(history[position]) + 1) *
                                   weightOf(static_cast<int64_t>(position));
  return z;
}

inline std::vector<float> logitsAfter(const std::vector<int32_t> &history) {
  const std::vector<float> z = hiddenAfter(history);
  std::vector<float> logits(kVocab);
  for (int64_t v = 0; v < kVocab; ++v)
    for (int64_t h = 0; h < kHidden; ++h)
      logits[static_cast<size_t>(v)] += headAt(v, h) * z[static_cast<size_t>(h)];
  return logits;
}

inline std::vector<float> mtpLogits(const std::vector<float> &hidden, int32_t next) {
  std::vector<float> logits;
  for (int64_t v = 0; v < kVocab; ++v) {
    const float state = floatOfBFloat16(bfloat16OfFloat(hidden[static_cast<size_t>(v % kHidden)]));
    logits.push_back(floatOfBFloat16(bfloat16OfFloat(state + tableAt(next, v % kHidden))));
  }
  return logits;
}

/// Some prompt.
inline std::vector<int32_t> idsOf(size_t length, int32_t seed) {
  std::vector<int32_t> ids;
  for (size_t i = 0; i < length; ++i)
    ids.push_back(static_cast<int32_t>((i * 5 + static_cast<size_t>(seed) * 3 + i * i) % 20));
  return ids;
}

} // namespace epigraph::testmodel

#endif // EPIGRAPH_TEST_RUNTIME_EXEC_EXPECTEDNUMBERS_H
