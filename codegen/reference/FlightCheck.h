// Honours the tokens of collectives: what one that has only started gives is poison until a wait,
// and what it reads or gives must not be overwritten before. The interpreter runs a collective
// where it starts, so a schedule that waits too late would come out right; this finds it out.
#ifndef EPIGRAPH_CODEGEN_REFERENCE_FLIGHTCHECK_H
#define EPIGRAPH_CODEGEN_REFERENCE_FLIGHTCHECK_H

#include "mlir/IR/Operation.h"
#include "llvm/ADT/SmallVector.h"

namespace epigraph::reference {

/// The collectives under way in one run of one function on one rank.
class FlightCheck {
public:
  /// Before `op` runs: no operand may be the result of a collective under way. A wait ends those
  /// that it waits for, a collective without a token all. Reports: a value read too early, a
  /// function that returns with collectives under way.
  llvm::LogicalResult enter(mlir::Operation *op);

  /// The collective under way that reads or gives `value`; null if there is none.
  mlir::Operation *holderOf(mlir::Value value) const;

private:
  llvm::SmallVector<mlir::Operation *> underWay; ///< oldest first
};

} // namespace epigraph::reference

#endif // EPIGRAPH_CODEGEN_REFERENCE_FLIGHTCHECK_H
