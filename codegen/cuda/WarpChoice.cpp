#include "codegen/cuda/WarpChoice.h"

namespace epigraph::cuda {

Val orderKey(Val x) {
  Emitter &e = x.owner();
  // Adding 0 makes -0 the equal of 0.
  Val bits = e.bitcast(e.i32(), x + e.f32(0.0));
  return e.select(bits < 0, bits ^ std::numeric_limits<int32_t>::max(), bits);
}

Val largestOfWarp(Val x) {
  Emitter &e = x.owner();
  return e.ptx(e.i32(), "redux.sync.max.s32 $0, $1, 0xffffffff;", "=r,r", x)[0];
}

Val smallestOfWarp(Val x) {
  Emitter &e = x.owner();
  return e.ptx(e.i32(), "redux.sync.min.s32 $0, $1, 0xffffffff;", "=r,r", x)[0];
}

} // namespace epigraph::cuda
