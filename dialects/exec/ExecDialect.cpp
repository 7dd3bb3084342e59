// Registration of the exec dialect; its attributes.
#include "dialects/epi/FloatAssembly.h"
#include "dialects/exec/Exec.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace epigraph::exec;

using epigraph::epi::parseF64;
using epigraph::epi::printF64;

#include "dialects/exec/ExecDialect.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/exec/ExecAttrs.cpp.inc"

void ExecDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/exec/ExecAttrs.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/exec/ExecOps.cpp.inc"
      >();
}

LogicalResult LimitsAttr::verify(function_ref<InFlightDiagnostic()> emitError, int64_t batchTokens,
                                 int64_t sequences, int64_t context) {
  if (batchTokens <= 0 || sequences <= 0 || context <= 0)
    return emitError() << "limits must be positive";
  if (sequences > batchTokens)
    return emitError() << "sequences (" << sequences << ") may not exceed batch_tokens ("
                       << batchTokens << "): every sequence decodes one token a step";
  return success();
}

LogicalResult TargetAttr::verify(function_ref<InFlightDiagnostic()> emitError, StringAttr,
                                 int64_t cores, int64_t vectorBits, int64_t registers,
                                 int64_t cacheBytes, FloatAttr memoryGbps, FloatAttr gflops,
                                 int64_t launchNs, FloatAttr linkGbps, int64_t linkLatencyNs) {
  bool counts = llvm::all_of(
      ArrayRef<int64_t>{cores, vectorBits, registers, cacheBytes, launchNs, linkLatencyNs},
      [](int64_t value) { return value > 0; });
  bool rates = llvm::all_of(ArrayRef<FloatAttr>{memoryGbps, gflops, linkGbps},
                            [](FloatAttr value) { return value.getValueAsDouble() > 0; });
  if (!counts || !rates) // (C1)
    return emitError() << "all numbers of a target must be positive";
  return success();
}

LogicalResult BufferAttr::verify(function_ref<InFlightDiagnostic()> emitError, int64_t offset,
                                 int64_t bytes) {
  if (offset < 0 || bytes < 0 || offset % kBufferAlignment)
    return emitError() << "offset must be a multiple of " << kBufferAlignment
                       << " and bytes not negative, got offset " << offset << ", bytes " << bytes;
  return success();
}

LogicalResult TilingAttr::verify(function_ref<InFlightDiagnostic()> emitError, int64_t rows,
                                 int64_t columns) {
  if (rows < 0 || columns <= 0)
    return emitError() << "rows may not be negative and columns must be positive, got rows " << rows
                       << ", columns " << columns;
  return success();
}

LogicalResult PanelAttr::verify(function_ref<InFlightDiagnostic()> emitError, int64_t columns,
                                int64_t depth) {
  if (columns <= 0 || depth <= 0)
    return emitError() << "columns and depth must be positive";
  return success();
}

SmallVector<int64_t> PanelAttr::getStoredShape(ArrayRef<int64_t> shape) const {
  SmallVector<int64_t> stored(shape.drop_back(2));
  int64_t n = shape[shape.size() - 2], k = shape.back();
  stored.append({llvm::divideCeilSigned(n, getColumns()), llvm::divideCeilSigned(k, getDepth()),
                 getColumns(), getDepth()});
  return stored;
}
