#include "codegen/cuda/AttentionOperands.h"

#include "codegen/cuda/RowUnits.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace epigraph::cuda {
namespace {

int64_t elementBytes(const TensorView &view) {
  return view.elementType.getIntOrFloatBitWidth() / 8;
}

Val headAddress(KernelFrame &frame, const TensorView &query, Val row, Val head) {
  return frame.e.at(frame.rowAddress(query, row), head, query.strides[0] * elementBytes(query));
}

GlobalRows rowsAt(Val address, const TensorView &query, int64_t rows, int64_t stride) {
  const int64_t columns = query.shape[1];
  return {address, rows, columns * elementBytes(query), stride * elementBytes(query),
          accessBytes(query, columns)};
}

} // namespace

FailureOr<TensorView> queryView(KernelAssembly &assembly, Operation *op, Value operand,
                                StringRef name) {
  FailureOr<TensorView> view = assembly.view(op, operand, name);
  if (failed(view))
    return failure();
  if (!view->elementType.isBF16())
    return op->emitError("CUDA kernel @")
           << assembly.kernel.getSymName() << " needs a '" << name << "' of bf16, got "
           << view->elementType << "; compile with --compute bfloat16";
  if (view->strides.back() != 1 && view->shape.back() != 1)
    return op->emitError("CUDA kernel @")
           << assembly.kernel.getSymName() << " needs a '" << name
           << "' whose last dimension is contiguous; copy it by a kernel of its own";
  return view;
}

FailureOr<BlockArgument> cacheArgument(KernelAssembly &assembly, Operation *op, Value cache) {
  auto argument = dyn_cast<BlockArgument>(cache);
  if (!argument)
    return op->emitError("the cache of CUDA kernel @")
           << assembly.kernel.getSymName() << " must be an argument; outline epi.kv_append apart";
  Type element = llvm::TypeSwitch<Type, Type>(cache.getType())
                     .Case<epi::KvCacheType, epi::MlaCacheType>(
                         [](auto type) { return type.getElementType(); });
  if (!element.isBF16())
    return op->emitError("CUDA kernel @")
           << assembly.kernel.getSymName() << " needs a cache of bf16, got " << element
           << "; compile with --compute bfloat16";
  return argument;
}

LogicalResult checkHeadSize(KernelAssembly &assembly, Operation *op, StringRef name,
                            int64_t elements, int64_t most) {
  if (elements % 16 == 0 && elements <= most)
    return success();
  return op->emitError("CUDA kernel @")
         << assembly.kernel.getSymName() << " needs a " << name
         << " size that is a multiple of 16 up to " << most << ", got " << elements;
}

GlobalRows rowsOfHead(KernelFrame &frame, const TensorView &query, Val row, Val head,
                      int64_t rows) {
  return rowsAt(headAddress(frame, query, row, head), query, rows, query.rowStride);
}

GlobalRows headsOfRow(KernelFrame &frame, const TensorView &query, Val row, Val head,
                      int64_t heads) {
  return rowsAt(headAddress(frame, query, row, head), query, heads, query.strides[0]);
}

} // namespace epigraph::cuda
