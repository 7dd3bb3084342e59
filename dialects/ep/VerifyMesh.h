// What verifiers of the ep dialect share.
#ifndef EPIGRAPH_DIALECTS_EP_VERIFYMESH_H
#define EPIGRAPH_DIALECTS_EP_VERIFYMESH_H

#include "dialects/ep/Ep.h"

namespace epigraph::ep {

/// `mesh` must name an `ep.mesh`; with `placement`, of as many ranks as the placement has.
llvm::LogicalResult verifyMesh(mlir::Operation *op, mlir::FlatSymbolRefAttr mesh,
                               mlir::SymbolTableCollection &symbols, PlacementAttr placement = {});

} // namespace epigraph::ep

#endif // EPIGRAPH_DIALECTS_EP_VERIFYMESH_H
