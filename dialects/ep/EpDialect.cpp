// Registration of the ep dialect; its types and attributes.
#include "dialects/ep/Ep.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace epigraph::ep;

#include "dialects/ep/EpDialect.cpp.inc"
#include "dialects/ep/EpEnums.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/ep/EpTypes.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/ep/EpAttrs.cpp.inc"

void EpDialect::initialize() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/ep/EpTypes.cpp.inc"
      >();
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/ep/EpAttrs.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/ep/EpOps.cpp.inc"
      >();
}

LogicalResult PlacementAttr::verify(function_ref<InFlightDiagnostic()> emitError, int64_t experts,
                                    int64_t ranks) {
  if (experts <= 0 || ranks <= 0 || experts % ranks) // (C1)
    return emitError() << "ranks (" << ranks << ") must divide experts (" << experts << ")";
  return success();
}
