#include "codegen/cpu/AttentionOperands.h"

using namespace mlir;

namespace epigraph::cpu {

FailureOr<TensorView> queryView(KernelFrame &frame, Operation *op, Value operand, StringRef name) {
  FailureOr<TensorView> view = frame.view(op, operand, name);
  if (succeeded(view) && view->strides.back() != 1 && view->shape.back() != 1)
    return op->emitError("CPU kernel @")
           << frame.kernel.getSymName() << " needs a '" << name
           << "' whose last dimension is contiguous; copy it by a kernel of its own";
  return view;
}

FailureOr<BlockArgument> cacheArgument(KernelFrame &frame, Operation *op, Value cache) {
  if (auto argument = dyn_cast<BlockArgument>(cache))
    return argument;
  return op->emitError("the cache of CPU kernel @")
         << frame.kernel.getSymName() << " must be an argument; outline epi.kv_append apart";
}

} // namespace epigraph::cpu
