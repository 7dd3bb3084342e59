#include "codegen/cuda/AttentionOperands.h"

#include "codegen/cuda/RowUnits.h"
#include "runtime/artifact/KernelAbi.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace epigraph::cuda {
namespace {

/// Columns of a tensor map's box: 128 bytes.
constexpr uint32_t kChunkColumns = 64;

/// Between the heads of a query.
int64_t headStride(const TensorView &query) {
  const bool hasOneHead = query.shape[0] == 1;
  return hasOneHead ? query.rowStride : query.strides[0];
}

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

bool isMappable(const TensorView &query) {
  const int64_t head = headStride(query);
  return query.strides.back() == 1 && query.offset + query.shape[1] <= head &&
         (query.offset | head | query.rowStride) % 8 == 0;
}

TensorMapSpec queryMap(KernelAssembly &assembly, const TensorView &query, int64_t heads,
                       int64_t rows) {
  TensorMapSpec map;
  map.operand = assembly.operandIndex(query.argument);
  map.sizes = {static_cast<uint64_t>(query.offset + query.shape[1]),
               static_cast<uint64_t>(query.shape[0]), 0};
  map.strides = {static_cast<uint64_t>(headStride(query) * 2),
                 static_cast<uint64_t>(query.rowStride * 2)};
  map.box = {kChunkColumns, static_cast<uint32_t>(heads), static_cast<uint32_t>(rows)};
  map.swizzleBytes = 128;
  return map;
}

TensorMapSpec cacheMap(KernelAssembly &assembly, BlockArgument cache, int64_t entry) {
  TensorMapSpec map;
  map.operand = assembly.operandIndex(cache);
  map.sizes = {static_cast<uint64_t>(entry), 0};
  map.strides = {static_cast<uint64_t>(entry * 2)};
  map.box = {kChunkColumns, kPageTokens};
  map.swizzleBytes = 128;
  return map;
}

} // namespace epigraph::cuda
