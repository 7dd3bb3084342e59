// Picks the builder of a kernel: the one operation of the body that is neither a view nor computed
// row by row, or the row builder if there is none. Elementwise operations may follow a projection,
// a quantization a permutation, and routing may stand before one, and the projection to its logits
// before that; rotations and an append that are not alone are the row builder's.
#include "codegen/cuda/KernelBuilders.h"
#include "codegen/cuda/SampleKernel.h"
#include "dialects/ep/Ep.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace epigraph::cuda {
namespace {

bool isView(Operation &op) { return isa<epi::SplitOp, epi::ReshapeOp>(op); }

/// Whether `op` has a kernel of its own, but may also be one of the operations of a row kernel.
bool isOfTokens(Operation *op) { return isa<epi::RopeOp, epi::KvAppendOp>(op); }

bool isProjection(Operation *op) {
  return isa<epi::LinearOp, epi::HeadLinearOp, epi::GroupedLinearOp>(op);
}

/// Whether `op` is a permutation that `anchor` routes tokens for: one kernel does both.
bool routesFor(Operation *anchor, Operation &op) {
  auto permute = dyn_cast<epi::PermuteOp>(op);
  return permute && isa<epi::RouteOp>(anchor) && permute.getIds().getDefiningOp() == anchor;
}

/// Whether `op` is latent attention, in absorbed form, whose queries `anchor` rotates: one kernel
/// does both.
bool rotatesFor(Operation *anchor, Operation &op) {
  auto attention = dyn_cast<epi::MlaAttentionOp>(op);
  return attention && !attention.getUp() && isa<epi::RopeOp>(anchor) &&
         attention.getQRope().getDefiningOp() == anchor;
}

bool isProjected(epi::RouteOp route) {
  return route.getLogits().getDefiningOp<epi::LinearOp>() != nullptr;
}

/// Whether `op` routes by what `anchor` gives, for a permutation: one kernel does all three.
bool projectsFor(Operation *anchor, Operation &op) {
  auto route = dyn_cast<epi::RouteOp>(op);
  return route && route.getLogits().getDefiningOp() == anchor && isProjected(route) &&
         llvm::any_of(route.getIds().getUsers(), llvm::IsaPred<epi::PermuteOp>);
}

LogicalResult buildAnchor(KernelAssembly &assembly, Operation *anchor) {
  if (isProjection(anchor))
    return buildLinear(assembly, anchor);
  return llvm::TypeSwitch<Operation *, LogicalResult>(anchor)
      .Case([&](epi::RopeOp op) { return buildRope(assembly, op); })
      .Case([&](epi::EmbeddingOp op) { return buildEmbedding(assembly, op); })
      .Case([&](epi::OutputRowsOp op) { return buildOutputRows(assembly, op); })
      .Case([&](epi::KvAppendOp op) { return buildKvAppend(assembly, op); })
      .Case([&](epi::AttentionOp op) { return buildAttention(assembly, op); })
      .Case([&](epi::MlaAttentionOp op) {
        return op.getUp() ? buildExpandedAttention(assembly, op) : buildMlaDecode(assembly, op);
      })
      .Case([&](epi::RouteOp op) { return buildRoute(assembly, op); })
      .Case([&](epi::SampleOp op) { return buildSample(assembly, op); })
      .Case([&](epi::PermuteOp op) {
        auto route = op.getIds().getDefiningOp<epi::RouteOp>();
        return route && isProjected(route) ? buildRouter(assembly, op) : buildPermute(assembly, op);
      })
      .Case([&](ep::AssignReplicasOp op) { return buildAssignReplicas(assembly, op); })
      .Case([&](epi::HalveRowsOp op) { return buildHalveRows(assembly, op); })
      .Case([&](epi::JoinRowsOp op) { return buildJoinRows(assembly, op); })
      .Case([&](ep::DispatchSendOp op) { return buildDispatchSend(assembly, op); })
      .Case([&](ep::DispatchReceiveOp op) { return buildDispatchReceive(assembly, op); })
      .Case([&](ep::CombineSendOp op) { return buildCombineSend(assembly, op); })
      .Case([&](ep::CombineReceiveOp op) { return buildCombineReceive(assembly, op); })
      .Default([&](Operation *op) {
        return op->emitError("the CUDA target has no kernel for '")
               << op->getName() << "', in exec.kernel @" << assembly.kernel.getSymName()
               << "; run the passes of the earlier phases (partition, schedule), which replace it";
      });
}

} // namespace

bool isRowWise(Operation &op) {
  return op.hasTrait<OpTrait::Elementwise>() ||
         isa<epi::AddOp, epi::MulOp, epi::RmsNormOp, epi::SoftmaxOp, epi::ConcatOp, epi::QuantizeOp,
             epi::UnpermuteOp>(op);
}

LogicalResult buildKernel(KernelAssembly &assembly) {
  exec::KernelOp kernel = assembly.kernel;
  Operation *anchor = nullptr;
  bool isAlone = true;
  for (Operation &op : kernel.getBody().front().without_terminator()) {
    if (isView(op))
      continue;
    if (isRowWise(op)) {
      isAlone = false;
      continue;
    }
    if (anchor && !(isOfTokens(anchor) && isOfTokens(&op)) && !routesFor(anchor, op) &&
        !rotatesFor(anchor, op) && !projectsFor(anchor, op))
      return op.emitError("exec.kernel @")
             << kernel.getSymName() << " holds '" << op.getName() << "' beside '"
             << anchor->getName()
             << "', but a device kernel is made around one operation; outline them apart";
    isAlone = isAlone && !anchor;
    anchor = &op;
  }
  const bool hasBuilder = anchor && (isAlone || !isOfTokens(anchor));
  return hasBuilder ? buildAnchor(assembly, anchor) : buildRows(assembly);
}

} // namespace epigraph::cuda
