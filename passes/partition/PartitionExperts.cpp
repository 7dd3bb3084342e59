// Each epi.experts is rewritten on its own, in order; nothing else of the graph changes, because
// under both modes of attention a rank's rows have the same type as before. Slices of weights are
// taken below casts, at the stack of checkpoint tensors, so that the packer reads only the experts
// that a rank owns. Everything is checked before the first change. Cost: linear in the number of
// operations.
#include "dialects/epi/Verify.h"
#include "passes/PassRemarks.h"
#include "passes/Refusal.h"
#include "passes/partition/Passes.h"
#include "passes/partition/PendingExperts.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"

namespace epigraph {
#define GEN_PASS_DEF_PARTITIONEXPERTSPASS
#include "passes/partition/Passes.h.inc"
} // namespace epigraph

using namespace mlir;
using namespace epigraph;

namespace {

int64_t getExperts(epi::ExpertsOp op) {
  return cast<RankedTensorType>(op.getGate().getType()).getDimSize(0);
}

/// Where the experts of `op` go: as planned, or in order.
ep::PlacementAttr getPlacement(epi::ExpertsOp op, int64_t ranks) {
  if (auto planned = op->getAttrOfType<ep::PlacementAttr>(kPlacementAttrName))
    return planned;
  return ep::PlacementAttr::get(op.getContext(), getExperts(op), ranks);
}

/// The experts that the rank running the program owns, of a stack of weights over all of them.
Value sliceExperts(OpBuilder &builder, Location loc, Value weights, ep::PlacementAttr placement) {
  if (placement.getRanks() == 1 && !placement.getSlots())
    return weights;
  auto type = cast<RankedTensorType>(weights.getType());
  SmallVector<int64_t> shape(type.getShape());
  shape[0] = placement.getLocalExperts();
  auto localType = RankedTensorType::get(shape, type.getElementType());
  if (auto cast = weights.getDefiningOp<epi::CastOp>())
    return epi::CastOp::create(builder, loc, localType,
                               sliceExperts(builder, loc, cast.getX(), placement));
  return ep::LocalExpertsOp::create(builder, loc, localType, weights, placement);
}

/// Rewrites one layer's experts over the mesh.
class LayerPartitioner {
public:
  LayerPartitioner(epi::ExpertsOp op, int64_t ranks, ep::AttentionMode attention)
      : op(op), loc(op.getLoc()), builder(op),
        mesh(FlatSymbolRefAttr::get(op.getContext(), kMeshName)),
        placement(getPlacement(op, ranks)),
        sharesRows(ranks > 1 && attention == ep::AttentionMode::Replicated) {}

  void run() {
    Value weights = ownRows(op.getWeights());
    auto dispatch = createDispatch(ownRows(op.getX()), assignSlots(ownRows(op.getIds())));
    Value rows = createExperts(dispatch.getRows(), dispatch.getCounts());
    Value result = ep::CombineOp::create(builder, loc, op.getType(), rows, weights,
                                         dispatch.getExchange(), mesh);
    if (sharesRows)
      result = ep::AllGatherOp::create(builder, loc, result, kMeshName).getResult();
    op.replaceAllUsesWith(result);
    op.erase();
  }

private:
  /// The rows that this rank dispatches.
  Value ownRows(Value rows) {
    if (!sharesRows)
      return rows;
    return ep::ShardRowsOp::create(builder, loc, rows, kMeshName).getResult();
  }

  /// Experts' ids as slots, where these differ.
  Value assignSlots(Value ids) {
    if (!placement.getSlots())
      return ids;
    auto type = RankedTensorType::get({placement.getExperts(), 1 + placement.getMostReplicas()},
                                      builder.getI32Type());
    Value table = ep::ReplicaTableOp::create(builder, loc, type, placement);
    return ep::AssignReplicasOp::create(builder, loc, ids.getType(), ids, table);
  }

  RankedTensorType rowsOf(int64_t columns, Value like) {
    return RankedTensorType::get({ShapedType::kDynamic, columns}, epi::elementOf(like.getType()));
  }

  ep::DispatchOp createDispatch(Value x, Value ids) {
    auto counts = RankedTensorType::get({placement.getLocalExperts()}, builder.getI32Type());
    return ep::DispatchOp::create(builder, loc, rowsOf(epi::dim(x.getType(), 1), x), counts,
                                  ep::ExchangeType::get(builder.getContext()), x, ids, mesh,
                                  placement);
  }

  /// Projection number `index` of gate, up and down.
  Value createLinear(Value rows, Value counts, Value weights, unsigned index) {
    Value local = sliceExperts(builder, loc, weights, placement);
    Value bias;
    if (!op.getBiases().empty())
      bias = sliceExperts(builder, loc, op.getBiases()[index], placement);
    return epi::GroupedLinearOp::create(builder, loc, rowsOf(epi::dim(weights.getType(), 1), rows),
                                        rows, counts, local, bias);
  }

  /// down (activation (gate x, up x)) over this rank's experts.
  Value createExperts(Value rows, Value counts) {
    Value gate = createLinear(rows, counts, op.getGate(), 0);
    Value up = createLinear(rows, counts, op.getUp(), 1);
    return createLinear(activate(gate, up), counts, op.getDown(), 2);
  }

  Value activate(Value gate, Value up) {
    if (epi::ClampedSwigluAttr clamp = op.getClampAttr())
      return epi::ClampedSwigluOp::create(builder, loc, gate.getType(), gate, up, clamp);
    Value silu = epi::SiluOp::create(builder, loc, gate.getType(), gate);
    return epi::MulOp::create(builder, loc, up.getType(), silu, up);
  }

  epi::ExpertsOp op;
  Location loc;
  OpBuilder builder;
  FlatSymbolRefAttr mesh;
  ep::PlacementAttr placement;
  bool sharesRows;
};

struct PartitionExpertsPass : epigraph::impl::PartitionExpertsPassBase<PartitionExpertsPass> {
  using PartitionExpertsPassBase::PartitionExpertsPassBase;

  void runOnOperation() override {
    SmallVector<epi::ExpertsOp> layers;
    for (auto function : getOperation().getOps<func::FuncOp>())
      llvm::append_range(layers, function.getOps<epi::ExpertsOp>());
    if (failed(check(layers)))
      return signalPassFailure();

    completeMesh();
    int64_t localExperts = 0;
    for (epi::ExpertsOp layer : layers) {
      localExperts += getPlacement(layer, ranks).getLocalExperts();
      LayerPartitioner(layer, ranks, attention).run();
    }
    reportStatistics(*this, getOperation())
        << metric("layers", layers.size()) << metric("local-experts", localExperts);
  }

  LogicalResult check(ArrayRef<epi::ExpertsOp> layers) {
    if (ranks < 1)
      return emitError(getOperation().getLoc(), "there must be at least one rank, got ranks = ")
             << ranks.getValue();
    for (auto mesh : getOperation().getOps<ep::MeshOp>()) {
      if (!mesh->hasAttr(kPendingExpertsAttrName))
        return mesh.emitOpError("is here already: the experts are partitioned once");
      if (static_cast<int64_t>(mesh.getExpert()) != ranks || mesh.getAttention() != attention)
        return mesh.emitOpError("has ")
               << mesh.getExpert()
               << " groups with attention=" << ep::stringifyAttentionMode(mesh.getAttention())
               << ", as --ep-partition-tensor was told; give --ep-partition-experts the same";
    }
    for (epi::ExpertsOp layer : layers) {
      auto planned = layer->getAttrOfType<ep::PlacementAttr>(kPlacementAttrName);
      if (planned && (planned.getRanks() != ranks || planned.getExperts() != getExperts(layer)))
        return layer.emitOpError("is placed as ")
               << planned << ", but there are " << ranks.getValue() << " ranks and "
               << getExperts(layer) << " experts";
      if (!planned && getExperts(layer) % ranks)
        return refuse(layer);
    }
    return success();
  }

  /// The mesh that --ep-partition-tensor made, or one of single ranks.
  void completeMesh() {
    for (auto mesh : getOperation().getOps<ep::MeshOp>()) {
      mesh->removeAttr(kPendingExpertsAttrName);
      return;
    }
    auto builder = OpBuilder::atBlockBegin(getOperation().getBody());
    ep::MeshOp::create(builder, getOperation().getLoc(), kMeshName, ranks, /*tensor=*/1, attention);
  }

  LogicalResult refuse(epi::ExpertsOp layer) {
    int64_t experts = getExperts(layer);
    InFlightDiagnostic diagnostic = refusal(layer.emitOpError("has "), "E0302")
                                    << experts << " experts, which " << ranks.getValue()
                                    << " ranks cannot share equally; choose a number of ranks that "
                                       "divides them: ";
    SmallVector<int64_t> divisors;
    for (int64_t divisor = 1; divisor <= experts; ++divisor)
      if (experts % divisor == 0)
        divisors.push_back(divisor);
    llvm::interleaveComma(divisors, diagnostic);
    return diagnostic;
  }
};

} // namespace
