#include "codegen/cuda/ChosenRows.h"

using namespace mlir;

namespace epigraph::cuda {

ChosenRows ChosenRows::load(KernelFrame &frame, const TensorView &slots, const TensorView &weights,
                            Val row) {
  Emitter &e = frame.e;
  constexpr int64_t kBytes = 4;
  Val slotsOfRow = frame.rowAddress(slots, row), weightsOfRow = frame.rowAddress(weights, row);
  ChosenRows chosen;
  for (int64_t choice = 0; choice < slots.shape[0]; ++choice) {
    chosen.slots.push_back(
        e.load(e.i32(), e.offset(slotsOfRow, choice * slots.strides[0] * kBytes)));
    chosen.weights.push_back(
        e.load(e.f32(), e.offset(weightsOfRow, choice * weights.strides[0] * kBytes)));
  }
  return chosen;
}

Vals ChosenRows::sum(Emitter &e, llvm::function_ref<Vals(Val)> load) const {
  SmallVector<Vals> terms = llvm::map_to_vector(slots, load);
  Vals sums(terms.front().size(), e.f32(0));
  for (auto [term, weight] : llvm::zip_equal(terms, weights))
    for (auto [sum, value] : llvm::zip_equal(sums, term))
      sum = e.fma(weight, value, sum);
  return sums;
}

} // namespace epigraph::cuda
