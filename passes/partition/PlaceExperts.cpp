// Plans each layer by its own load, and leaves the placement on its epi.experts for
// --ep-partition-experts. Everything is checked before the first change.
#include "passes/PassRemarks.h"
#include "passes/Refusal.h"
#include "passes/partition/ExpertPlacement.h"
#include "passes/partition/LoadFile.h"
#include "passes/partition/Passes.h"
#include "passes/partition/PendingExperts.h"

#include "dialects/epi/Verify.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/Format.h"

namespace epigraph {
#define GEN_PASS_DEF_PLACEEXPERTSPASS
#include "passes/partition/Passes.h.inc"
} // namespace epigraph

using namespace mlir;
using namespace epigraph;

namespace {

constexpr llvm::StringLiteral kPass = "ep-place-experts";

/// The layer's name in the model: the importer's location.
StringRef layerOf(Operation *op) {
  auto name = op->getLoc()->findInstanceOf<NameLoc>();
  return name ? name.getName().getValue() : StringRef();
}

int64_t expertsOf(epi::ExpertsOp op) { return epi::dim(op.getGate().getType(), 0); }

struct PlaceExpertsPass : epigraph::impl::PlaceExpertsPassBase<PlaceExpertsPass> {
  using PlaceExpertsPassBase::PlaceExpertsPassBase;

  void runOnOperation() override {
    llvm::Expected<ExpertLoads> loads = readExpertLoads(load);
    if (!loads) {
      emitError(getOperation().getLoc(), llvm::toString(loads.takeError()));
      return signalPassFailure();
    }
    SmallVector<epi::ExpertsOp> layers;
    for (auto function : getOperation().getOps<func::FuncOp>())
      llvm::append_range(layers, function.getOps<epi::ExpertsOp>());
    for (epi::ExpertsOp layer : layers)
      if (failed(check(layer, *loads)))
        return signalPassFailure();
    double before = 1, after = 1;
    for (epi::ExpertsOp layer : layers)
      place(layer, *loads, before, after);
    // Remarks carry whole numbers: thousandths.
    reportStatistics(*this, getOperation())
        << metric("layers", numPlaced) << metric("slots-per-rank", numSlots)
        << metric("max-over-mean-permille-before", static_cast<int64_t>(1000 * before))
        << metric("max-over-mean-permille", static_cast<int64_t>(1000 * after));
  }

  /// Slots of each rank for `experts` experts.
  int64_t slotsFor(int64_t experts) const {
    return slotsPerRank > 0 ? slotsPerRank.getValue() : (experts + redundant) / ranks;
  }

  LogicalResult check(epi::ExpertsOp layer, const ExpertLoads &loads) {
    int64_t experts = expertsOf(layer);
    if (ranks < 1 || redundant < 0 || nodes < 1 || groups < 1 || ranks % nodes)
      return layer.emitOpError("cannot be placed: ranks, nodes and groups must be positive, and "
                               "nodes divide ranks");
    if (slotsPerRank < 1 && (experts + redundant) % ranks)
      return refusal(layer.emitOpError("has ")
                         << experts << " experts, with " << redundant.getValue() << " replicas "
                         << experts + redundant << " slots, which " << ranks.getValue()
                         << " ranks cannot share equally; choose a number of replicas such as "
                         << (ranks - experts % ranks) % ranks,
                     "E0302");
    if (slotsFor(experts) * ranks < experts)
      return refusal(layer.emitOpError("has ")
                         << experts << " experts, and " << ranks.getValue() << " ranks of "
                         << slotsFor(experts) << " slots hold only " << slotsFor(experts) * ranks,
                     "E0302");
    if (slotsFor(experts) * ranks > UINT16_MAX)
      return layer.emitOpError("would have ")
             << slotsFor(experts) * ranks << " slots; at most 65535";
    if (experts % groups)
      return layer.emitOpError("has ")
             << experts << " experts, which do not form " << groups.getValue() << " equal groups";
    auto found = loads.find(layerOf(layer));
    if (found != loads.end() && static_cast<int64_t>(found->second.size()) != experts)
      return layer.emitOpError("has ")
             << experts << " experts, but " << load << " has counts of " << found->second.size()
             << " for " << layerOf(layer) << "; record the load with this model";
    return success();
  }

  void place(epi::ExpertsOp layer, const ExpertLoads &loads, double &before, double &after) {
    int64_t experts = expertsOf(layer), slots = slotsFor(experts);
    auto found = loads.find(layerOf(layer));
    SmallVector<double> counts(experts, 0);
    if (found != loads.end())
      counts = found->second;
    else
      reportMissed(kPass, layer, "the load file has no counts of this layer");
    PlacementShape shape{ranks, slots, groups, nodes};
    SmallVector<int64_t> plan = planPlacement(counts, shape);
    SmallVector<int64_t> inOrder = llvm::to_vector(llvm::seq(experts));
    if (experts % ranks == 0)
      before = std::max(before, imbalanceOf(inOrder, counts, ranks));
    after = std::max(after, imbalanceOf(plan, counts, ranks));
    numSlots = slots;
    if (plan == inOrder)
      return; // as without a placement
    layer->setAttr(kPlacementAttrName,
                   ep::PlacementAttr::get(&getContext(), experts, ranks,
                                          DenseI64ArrayAttr::get(&getContext(), plan)));
    ++numPlaced;
  }

  size_t numPlaced = 0;
  int64_t numSlots = 0;
};

} // namespace
