// The ep dialect: meshes, placement, dispatch, combine and collectives. Reference: EpOps.td.
#ifndef EPIGRAPH_DIALECTS_EP_EP_H
#define EPIGRAPH_DIALECTS_EP_EP_H

#include "dialects/epi/Epi.h"
#include "mlir/IR/SymbolTable.h"

#include "dialects/ep/EpDialect.h.inc"
#include "dialects/ep/EpEnums.h.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/ep/EpTypes.h.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/ep/EpAttrs.h.inc"
#define GET_OP_CLASSES
#include "dialects/ep/EpOps.h.inc"

#endif // EPIGRAPH_DIALECTS_EP_EP_H
