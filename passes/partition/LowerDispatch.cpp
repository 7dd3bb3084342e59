// Each dispatch becomes a send and a receive where it stands, its combine a send and a receive
// where that stands. Then what comes behind the combine without needing it (a shared expert) moves
// between the dispatch's send and receive, in order. Rows that the experts' projections want
// quantized, and nothing else wants, are quantized before they travel: half as
// many bytes go over the link, and a row is quantized once instead of once for each choice.
// Everything is checked before the first change. Cost: linear in the operations between a dispatch
// and the first use of its combine.
#include "dialects/exec/Exec.h"
#include "passes/PassRemarks.h"
#include "passes/partition/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"

namespace epigraph {
#define GEN_PASS_DEF_LOWERDISPATCHPASS
#include "passes/partition/Passes.h.inc"
} // namespace epigraph

using namespace mlir;
using namespace epigraph;

namespace {

/// A dispatch and the combine that brings its rows back.
struct RoundTrip {
  ep::DispatchOp dispatch;
  ep::CombineOp combine;
};

/// Rows in FP8 and their scales.
struct QuantizedRows {
  Value values, scales;
};

/// The combine of `dispatch`, or a diagnostic if it cannot be lowered with it.
FailureOr<RoundTrip> findRoundTrip(ep::DispatchOp dispatch) {
  Value exchange = dispatch.getExchange();
  auto combine =
      exchange.hasOneUse() ? dyn_cast<ep::CombineOp>(*exchange.user_begin()) : ep::CombineOp();
  if (!combine || combine->getBlock() != dispatch->getBlock())
    return dispatch.emitOpError("must have one ep.combine, in the same block: over the memory of "
                                "peers, rows come back once");
  Operation *weights = combine.getWeights().getDefiningOp();
  if (weights && weights->getBlock() == dispatch->getBlock() && !weights->isBeforeInBlock(dispatch))
    return dispatch.emitOpError("stands before the weights of its ep.combine, which go with the "
                                "rows; compute them before it");
  return RoundTrip{dispatch, combine};
}

/// What makes the rows of `dispatch` FP8, if that is all that reads them.
epi::QuantizeOp findQuantize(ep::DispatchOp dispatch) {
  Value rows = dispatch.getRows();
  return rows.hasOneUse() ? dyn_cast<epi::QuantizeOp>(*rows.user_begin()) : epi::QuantizeOp();
}

/// The quantization of result `index` of `group` by blocks of `like`, if `group` yields it, too.
std::optional<QuantizedRows> findQuantized(epi::FusedOp group, unsigned index,
                                           epi::QuantizeOp like) {
  ValueRange yielded = group.getBody().front().getTerminator()->getOperands();
  for (auto inner : group.getBody().front().getOps<epi::QuantizeOp>()) {
    auto values = llvm::find(yielded, inner.getQuantized());
    auto scales = llvm::find(yielded, inner.getScales());
    if (inner.getX() == yielded[index] && inner.getBlockAttr() == like.getBlockAttr() &&
        values != yielded.end() && scales != yielded.end())
      return QuantizedRows{group.getResult(values - yielded.begin()),
                           group.getResult(scales - yielded.begin())};
  }
  return std::nullopt;
}

/// `x` as `like` quantizes it: what has been made of it before `dispatch` already, or anew.
QuantizedRows quantizeBefore(ep::DispatchOp dispatch, epi::QuantizeOp like) {
  Value x = dispatch.getX();
  if (auto group = x.getDefiningOp<epi::FusedOp>())
    if (auto found = findQuantized(group, cast<OpResult>(x).getResultNumber(), like))
      return *found;
  for (Operation *user : x.getUsers()) {
    auto other = dyn_cast<epi::QuantizeOp>(user);
    if (other && other->getBlock() == dispatch->getBlock() && other->isBeforeInBlock(dispatch) &&
        other.getBlockAttr() == like.getBlockAttr())
      return {other.getQuantized(), other.getScales()};
  }
  OpBuilder builder(dispatch);
  auto quantize = epi::QuantizeOp::create(builder, like.getLoc(), x);
  return {quantize.getQuantized(), quantize.getScales()};
}

/// The first operation behind `combine` that uses what it brings back.
Operation *firstUse(ep::CombineOp combine) {
  Operation *first = nullptr;
  for (Operation *user : combine.getResult().getUsers())
    if (!first || user->isBeforeInBlock(first))
      first = user;
  return first;
}

struct LowerDispatchPass : epigraph::impl::LowerDispatchPassBase<LowerDispatchPass> {
  void runOnOperation() override {
    numExchanges = numHidden = numQuantized = 0;
    auto limits = getOperation()->getAttrOfType<exec::LimitsAttr>(exec::kLimitsAttrName);
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      SmallVector<RoundTrip> trips;
      for (auto dispatch : function.getOps<ep::DispatchOp>()) {
        if (dispatch.getPlacement().getRanks() == 1)
          continue;
        FailureOr<RoundTrip> trip = findRoundTrip(dispatch);
        if (failed(trip))
          return signalPassFailure();
        trips.push_back(*trip);
      }
      if (!trips.empty() && !limits) {
        function.emitError("there is no ")
            << exec::kLimitsAttrName
            << " on the module: the memory of peers has room for the "
               "largest batch only";
        return signalPassFailure();
      }
      for (RoundTrip &trip : trips)
        lower(trip, limits);
    }
    reportStatistics(*this, getOperation())
        << metric("exchanges", numExchanges) << metric("hidden", numHidden)
        << metric("quantized", numQuantized);
  }

  /// The most rows that a rank sends: all tokens of its batch, or its share of what all ranks have.
  int64_t capacityOf(ep::DispatchOp dispatch, exec::LimitsAttr limits) {
    auto mesh = SymbolTable::lookupNearestSymbolFrom<ep::MeshOp>(dispatch, dispatch.getMeshAttr());
    if (mesh.getAttention() == ep::AttentionMode::Data)
      return limits.getBatchTokens();
    return llvm::divideCeil(limits.getBatchTokens(), static_cast<int64_t>(mesh.getExpert()));
  }

  void lower(RoundTrip trip, exec::LimitsAttr limits) {
    ep::DispatchOp dispatch = trip.dispatch;
    ep::CombineOp combine = trip.combine;
    const int64_t capacity = capacityOf(dispatch, limits);
    Operation *end = firstUse(combine);
    ep::DispatchReceiveOp receive = lowerDispatch(dispatch, combine.getWeights(), capacity);
    if (end && end->getBlock() == receive->getBlock())
      hide(receive, combine, end);
    lowerCombine(combine, dispatch, receive, capacity);
    combine.erase();
    dispatch.erase();
    ++numExchanges;
  }

  ep::DispatchReceiveOp lowerDispatch(ep::DispatchOp dispatch, Value weights, int64_t capacity) {
    epi::QuantizeOp quantize = findQuantize(dispatch);
    QuantizedRows sent{dispatch.getX(), Value()};
    if (quantize)
      sent = quantizeBefore(dispatch, quantize);
    OpBuilder builder(dispatch);
    Location loc = dispatch.getLoc();
    IntegerAttr room = builder.getI64IntegerAttr(capacity);
    const int64_t topK = cast<RankedTensorType>(dispatch.getIds().getType()).getDimSize(1);
    const SmallVector<int64_t> lines{dispatch.getPlacement().getRanks() * capacity, topK};
    ep::DispatchSendOp::create(builder, loc, sent.values, dispatch.getIds(), weights, sent.scales,
                               dispatch.getMeshAttr(), dispatch.getPlacementAttr(), room);
    auto receive = ep::DispatchReceiveOp::create(
        builder, loc, (quantize ? quantize.getQuantized() : dispatch.getRows()).getType(),
        dispatch.getCounts().getType(), RankedTensorType::get({1}, builder.getI32Type()),
        RankedTensorType::get(lines, builder.getI32Type()),
        RankedTensorType::get(lines, builder.getF32Type()),
        quantize ? quantize.getScales().getType() : Type(), dispatch.getMeshAttr(),
        dispatch.getPlacementAttr(), room);
    if (quantize) {
      quantize.getQuantized().replaceAllUsesWith(receive.getRows());
      quantize.getScales().replaceAllUsesWith(receive.getRowScales());
      quantize.erase();
      ++numQuantized;
    } else {
      dispatch.getRows().replaceAllUsesWith(receive.getRows());
    }
    dispatch.getCounts().replaceAllUsesWith(receive.getCounts());
    return receive;
  }

  void lowerCombine(ep::CombineOp combine, ep::DispatchOp dispatch, ep::DispatchReceiveOp receive,
                    int64_t capacity) {
    OpBuilder builder(combine);
    Location loc = combine.getLoc();
    IntegerAttr room = builder.getI64IntegerAttr(capacity);
    ep::CombineSendOp::create(builder, loc, combine.getRows(), receive.getPlaces(),
                              receive.getWeights(), combine.getMeshAttr(), room);
    auto result =
        ep::CombineReceiveOp::create(builder, loc, combine.getResult().getType(), combine.getRows(),
                                     receive.getPlaces(), dispatch.getIds(), combine.getWeights(),
                                     combine.getMeshAttr(), dispatch.getPlacementAttr(), room);
    combine.getResult().replaceAllUsesWith(result.getResult());
  }

  /// Moves what stands between `combine` and `end`, has no effects and does not need the rows,
  /// before `receive`: it is computed while they are under way.
  void hide(ep::DispatchReceiveOp receive, ep::CombineOp combine, Operation *end) {
    auto isThere = [&](Value value) {
      Operation *giver = value.getDefiningOp();
      return !giver || giver->getBlock() != receive->getBlock() || giver->isBeforeInBlock(receive);
    };
    for (Operation *op = combine->getNextNode(); op != end;) {
      Operation *next = op->getNextNode();
      if (isMemoryEffectFree(op) && llvm::all_of(op->getOperands(), isThere)) {
        op->moveBefore(receive);
        ++numHidden;
      }
      op = next;
    }
  }

  size_t numExchanges = 0, numHidden = 0, numQuantized = 0;
};

} // namespace
