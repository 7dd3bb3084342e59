#include "codegen/reference/FlightCheck.h"

#include "dialects/ep/Ep.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;

namespace epigraph::reference {

static bool startsOnly(Operation *op) {
  return op->getNumResults() != 0 && isa<ep::TokenType>(op->getResults().back().getType());
}

/// Whether `op` meets other ranks; those that share out what a rank has do not.
static bool meets(Operation *op) {
  return isa<ep::AllGatherOp, ep::AllReduceOp, ep::ReduceScatterOp, ep::GatherColumnsOp,
             ep::ScatterExpertsOp, ep::GatherExpertsOp, ep::DispatchOp, ep::CombineOp>(op);
}

LogicalResult FlightCheck::enter(Operation *op) {
  if (auto wait = dyn_cast<ep::WaitOp>(op)) {
    for (Value token : wait.getTokens())
      if (auto *found = llvm::find(underWay, token.getDefiningOp()); found != underWay.end())
        underWay.erase(underWay.begin(), found + 1);
    return success();
  }
  for (Value operand : op->getOperands()) {
    Operation *giver = operand.getDefiningOp();
    if (!giver || !llvm::is_contained(underWay, giver))
      continue;
    InFlightDiagnostic diagnostic = op->emitOpError("reads a result of '")
                                    << giver->getName()
                                    << "', which has only started: an ep.wait for its token must "
                                       "come first (--exec-insert-waits)";
    diagnostic.attachNote(giver->getLoc()) << "started here";
    return diagnostic;
  }
  if (isa<func::ReturnOp>(op) && !underWay.empty()) {
    InFlightDiagnostic diagnostic =
        op->emitOpError("returns while '")
        << underWay.back()->getName()
        << "' is under way: an ep.wait for its token must come first (--exec-insert-waits)";
    diagnostic.attachNote(underWay.back()->getLoc()) << "started here";
    return diagnostic;
  }
  if (startsOnly(op))
    underWay.push_back(op);
  else if (meets(op))
    underWay.clear(); // it finishes, and so has all that started before
  return success();
}

Operation *FlightCheck::holderOf(Value value) const {
  for (Operation *op : underWay)
    if (op == value.getDefiningOp() || llvm::is_contained(op->getOperands(), value))
      return op;
  return nullptr;
}

} // namespace epigraph::reference
