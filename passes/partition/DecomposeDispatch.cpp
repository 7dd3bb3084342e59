// Each dispatch is decomposed where it stands, together with the combines that take its exchange:
// what they need of the way out (slots, counts) are results of the operations that the dispatch
// becomes. An exchange that leads anywhere else is refused. Cost: linear.
#include "passes/PassRemarks.h"
#include "passes/partition/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"

namespace epigraph {
#define GEN_PASS_DEF_DECOMPOSEDISPATCHPASS
#include "passes/partition/Passes.h.inc"
} // namespace epigraph

using namespace mlir;
using namespace epigraph;

namespace {

/// Rows of any number, otherwise like `type`: an exchange does not keep the number of rows.
RankedTensorType withAnyRows(Type type) {
  auto tensor = cast<RankedTensorType>(type);
  SmallVector<int64_t> shape(tensor.getShape());
  shape[0] = ShapedType::kDynamic;
  return RankedTensorType::get(shape, tensor.getElementType());
}

struct DecomposeDispatchPass : epigraph::impl::DecomposeDispatchPassBase<DecomposeDispatchPass> {
  void runOnOperation() override {
    numDispatches = numExchanges = 0;
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      SmallVector<ep::DispatchOp> dispatches(function.getOps<ep::DispatchOp>());
      for (auto combine : function.getOps<ep::CombineOp>())
        if (!combine.getExchange().getDefiningOp<ep::DispatchOp>()) {
          combine.emitOpError(
              "takes an exchange that is no result of an ep.dispatch in its function");
          return signalPassFailure();
        }
      for (ep::DispatchOp dispatch : dispatches)
        if (failed(decompose(dispatch)))
          return signalPassFailure();
    }
    reportStatistics(*this, getOperation())
        << metric("dispatches", numDispatches) << metric("exchanges", numExchanges);
  }

  LogicalResult decompose(ep::DispatchOp dispatch) {
    for (Operation *user : dispatch.getExchange().getUsers())
      if (!isa<ep::CombineOp>(user))
        return user->emitOpError("uses the exchange of an ep.dispatch; only ep.combine can");

    Location loc = dispatch.getLoc();
    OpBuilder builder(dispatch);
    ep::PlacementAttr placement = dispatch.getPlacement();
    auto counts = RankedTensorType::get({placement.getNumSlots()}, builder.getI32Type());
    auto permute = epi::PermuteOp::create(builder, loc, withAnyRows(dispatch.getX().getType()),
                                          dispatch.getIds().getType(), counts, dispatch.getX(),
                                          dispatch.getIds());
    ep::ScatterExpertsOp scatter;
    if (placement.getRanks() > 1) {
      scatter = ep::ScatterExpertsOp::create(
          builder, loc, dispatch.getRows().getType(), dispatch.getCounts().getType(),
          permute.getRows(), permute.getCounts(), dispatch.getMeshAttr(), placement);
      numExchanges += 2;
    }
    dispatch.getRows().replaceAllUsesWith(scatter ? scatter.getReceived() : permute.getRows());
    dispatch.getCounts().replaceAllUsesWith(scatter ? scatter.getReceivedCounts()
                                                    : permute.getCounts());
    for (Operation *combine : llvm::make_early_inc_range(dispatch.getExchange().getUsers()))
      decompose(cast<ep::CombineOp>(combine), permute, scatter);
    dispatch.erase();
    ++numDispatches;
    return success();
  }

  void decompose(ep::CombineOp combine, epi::PermuteOp permute, ep::ScatterExpertsOp scatter) {
    OpBuilder builder(combine);
    Value rows = combine.getRows();
    if (scatter)
      rows = ep::GatherExpertsOp::create(builder, combine.getLoc(), withAnyRows(rows.getType()),
                                         rows, scatter.getCounts(), scatter.getReceivedCounts(),
                                         combine.getMeshAttr())
                 .getResult();
    Value result = epi::UnpermuteOp::create(builder, combine.getLoc(), combine.getType(), rows,
                                            permute.getSlots(), combine.getWeights());
    combine.replaceAllUsesWith(result);
    combine.erase();
  }

  size_t numDispatches = 0, numExchanges = 0;
};

} // namespace
