#include "passes/verify/PhaseChecks.h"

#include "passes/graph/WeightExpressions.h"

#include "dialects/exec/Exec.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/OperationSupport.h"
#include "llvm/ADT/DenseSet.h"

using namespace mlir;

namespace epigraph {
namespace {

bool isView(Operation &op) { return isa<epi::SplitOp, epi::ReshapeOp>(op); }

/// Whether `op` is computed row by row; like isRowOp, but rows may be as many as a type says.
bool isRowWise(Operation &op) {
  return isa<epi::AddOp, epi::MulOp, epi::SiluOp, epi::SigmoidOp, epi::ClampedSwigluOp, epi::CastOp,
             epi::ConcatOp, epi::RmsNormOp, epi::SoftmaxOp, epi::QuantizeOp>(op);
}

/// Whether `op` is computed row by row, too, where no other operation is what a kernel is built
/// around.
bool isOfTokens(Operation &op) { return isa<epi::RopeOp, epi::KvAppendOp>(op); }

/// Whether `op` is latent attention whose queries `anchor` rotates: one kernel does both.
bool rotatesFor(Operation *anchor, Operation &op) {
  auto attention = dyn_cast<epi::MlaAttentionOp>(op);
  return attention && isa<epi::RopeOp>(anchor) && attention.getQRope().getDefiningOp() == anchor;
}

LogicalResult verifyGroup(epi::FusedOp group) {
  Operation *anchor = nullptr;
  for (Operation &op : group.getBody().front().without_terminator()) {
    if (isa<epi::FusedOp>(op))
      return op.emitOpError("stands inside the fusion group \"")
             << group.getName() << "\", but groups do not nest: form one of the operations of both";
    if (isWeightLeaf(&op))
      return op.emitOpError("stands inside the fusion group \"")
             << group.getName() << "\", where --exec-hoist-weights does not look: make it an input";
    if (isRowWise(op) || isView(op))
      continue;
    if (anchor && !(isOfTokens(op) && isOfTokens(*anchor)) && !rotatesFor(anchor, op))
      return op.emitOpError("stands beside '")
             << anchor->getName() << "' in the fusion group \"" << group.getName()
             << "\", but a kernel is built around one operation that is not row-wise: fuse them "
             << "apart";
    anchor = &op;
  }
  return success();
}

/// Operations by what they compute.
struct SameComputation : llvm::DenseMapInfo<Operation *> {
  static unsigned getHashValue(const Operation *op) {
    return OperationEquivalence::computeHash(
        const_cast<Operation *>(op), OperationEquivalence::directHashValue,
        OperationEquivalence::ignoreHashValue, OperationEquivalence::IgnoreLocations);
  }
  static bool isEqual(const Operation *a, const Operation *b) {
    const Operation *empty = getEmptyKey(), *tombstone = getTombstoneKey();
    if (a == b || a == empty || a == tombstone || b == empty || b == tombstone)
      return a == b;
    return OperationEquivalence::isEquivalentTo(const_cast<Operation *>(a),
                                                const_cast<Operation *>(b),
                                                OperationEquivalence::IgnoreLocations);
  }
};

LogicalResult verifyNoDuplicates(Block &block) {
  llvm::DenseSet<Operation *, SameComputation> seen;
  for (Operation &op : block) {
    if (op.getNumRegions() != 0 || op.hasTrait<OpTrait::IsTerminator>() || !isMemoryEffectFree(&op))
      continue;
    auto [known, isNew] = seen.insert(&op);
    if (isNew)
      continue;
    InFlightDiagnostic diagnostic = op.emitOpError(
        "is computed twice in one block: --epi-eliminate-common should have merged them");
    diagnostic.attachNote((*known)->getLoc()) << "the first time is here";
    return diagnostic;
  }
  return success();
}

bool holdsBf16(Type type) {
  if (auto tensor = dyn_cast<RankedTensorType>(type))
    return tensor.getElementType().isBF16();
  if (auto cache = dyn_cast<epi::KvCacheType>(type))
    return cache.getElementType().isBF16();
  if (auto cache = dyn_cast<epi::MlaCacheType>(type))
    return cache.getElementType().isBF16();
  return false;
}

} // namespace

LogicalResult verifyFusionGroups(ModuleOp module) {
  for (auto function : module.getOps<func::FuncOp>())
    for (auto group : function.getOps<epi::FusedOp>())
      if (failed(verifyGroup(group)))
        return failure();
  return success();
}

LogicalResult verifyNoDeadWeights(ModuleOp module) {
  for (auto function : module.getOps<func::FuncOp>())
    for (Operation &op : function.getOps())
      if (op.use_empty() && isWeightOp(&op) && llvm::all_of(op.getOperands(), isWeightExpression))
        return op.emitOpError("is a weight that nothing uses, and the artifact would store it: "
                              "--epi-elide-dead-weights should have erased it");
  return success();
}

LogicalResult verifyNoDuplicates(ModuleOp module) {
  for (auto function : module.getOps<func::FuncOp>())
    for (Block &block : function.getBody())
      if (failed(verifyNoDuplicates(block)))
        return failure();
  return success();
}

LogicalResult verifyFloat32(ModuleOp module) {
  for (auto function : module.getOps<func::FuncOp>()) {
    for (BlockArgument argument : function.getArguments())
      if (holdsBf16(argument.getType()))
        return function.emitOpError("argument ")
               << argument.getArgNumber() << " has type " << argument.getType()
               << ", but --compute is float32: --epi-convert-compute-type should have changed it";
    for (Operation &op : function.getOps())
      for (Value result : op.getResults())
        if (holdsBf16(result.getType()) && !isWeightExpression(result) &&
            !isa<exec::LoadWeightOp>(op))
          return op.emitOpError("gives ")
                 << result.getType() << ", but --compute is float32: --epi-convert-compute-type "
                 << "should have changed it, or a later pass makes bf16 again";
  }
  return success();
}

} // namespace epigraph
