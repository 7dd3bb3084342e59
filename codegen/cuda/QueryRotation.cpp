#include "codegen/cuda/QueryRotation.h"

#include "codegen/cuda/Elementwise.h"

using namespace mlir;

namespace epigraph::cuda {
namespace {

constexpr int64_t kPairs = 8; ///< of a share
constexpr int64_t kFloatBytes = sizeof(float);

Vals loadReadOnly(Emitter &e, Val address) {
  Vals values;
  for (int64_t i = 0; i < kPairs; i += 4)
    values.append(e.elements(
        e.load(e.vector(e.f32(), 4), e.offset(address, i * kFloatBytes), LoadHint::ReadOnly)));
  return values;
}

} // namespace

QueryRotation::Angles QueryRotation::load(KernelFrame &frame, Val position, Val share) const {
  Emitter &e = frame.e;
  Val line = e.at(frame.rowAddress(table, e.i32(0)), position, elements * kFloatBytes);
  Val cosines = e.at(line, share, kPairs * kFloatBytes);
  return {loadReadOnly(e, cosines), loadReadOnly(e, e.offset(cosines, elements / 2 * kFloatBytes))};
}

void QueryRotation::turn(const Angles &angles, Val share,
                         llvm::function_ref<Val(Val)> piece) const {
  Emitter &e = share.owner();
  const std::array<Val, 2> addresses = {piece(interleaved ? share * 2 : share),
                                        piece(interleaved ? share * 2 + 1 : share + elements / 16)};
  Type type = e.vector(e.bf16(), kPairs);
  Vals values;
  for (Val address : addresses)
    values.append(e.elements(e.toF32(e.load(type, address, LoadHint::Plain, 16))));
  for (int64_t i = 0; i < kPairs; ++i) {
    Val &first = values[interleaved ? 2 * i : i];
    Val &second = values[interleaved ? 2 * i + 1 : i + kPairs];
    std::tie(first, second) = rotatePair(first, second, angles.cosines[i], angles.sines[i]);
  }
  for (int64_t half = 0; half < 2; ++half)
    e.store(e.fromF32(e.pack(ArrayRef(values).slice(half * kPairs, kPairs)), e.bf16()),
            addresses[half], 16);
}

} // namespace epigraph::cuda
