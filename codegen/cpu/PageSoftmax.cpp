#include "codegen/cpu/PageSoftmax.h"

#include "runtime/artifact/KernelAbi.h"

#include <limits>

using namespace mlir;

namespace epigraph::cpu {

Value weighPage(KernelEmitter &e, Value scores, llvm::function_ref<Value(Value)> isVisible,
                Value &maximum, Value &sum) {
  const int64_t width = e.width();
  const Type f32 = e.builder.getF32Type();
  Value none = e.number(-std::numeric_limits<double>::infinity(), width);
  Values visible, masked;
  Value best = none;
  for (int64_t first = 0; first < kPageTokens; first += width) {
    Value loaded =
        e.loadFloats(e.advance(scores, first * static_cast<int64_t>(sizeof(float))), f32, width);
    visible.push_back(isVisible(e.iota(first, width)));
    masked.push_back(e.select(visible.back(), loaded, none));
    best = e.maximumFloats(best, masked.back());
  }
  Value newMaximum = e.maximumFloats(maximum, e.maximumOf(best));
  Value rescale = e.exponential(e.subtractFloats(maximum, newMaximum));
  Value zero = e.number(0.0, width), total = zero;
  for (int64_t i = 0; i * width < kPageTokens; ++i) {
    Value relative = e.subtractFloats(masked[i], e.broadcast(newMaximum, width));
    Value weight = e.select(visible[i], e.exponential(relative), zero);
    e.storeFloats(weight, e.advance(scores, i * width * static_cast<int64_t>(sizeof(float))), f32);
    total = e.addFloats(total, weight);
  }
  sum = e.fma(sum, rescale, e.sumOf(total));
  maximum = newMaximum;
  return rescale;
}

} // namespace epigraph::cpu
