// Picks the builder of a kernel: the one operation of the body that is neither a view nor computed
// row by row, or the row builder if there is none. Elementwise operations may follow a projection.
#include "codegen/cpu/Elementwise.h"
#include "codegen/cpu/KernelBuilders.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace epigraph::cpu {
namespace {

bool isView(Operation &op) { return isa<epi::SplitOp, epi::ReshapeOp>(op); }

bool isRowWise(Operation &op) {
  return isElementwise(&op) || isa<epi::RmsNormOp, epi::SoftmaxOp, epi::ConcatOp>(op);
}

/// Whether the kernel around `anchor` can hold `op`, which is computed row by row.
bool canJoin(Operation *anchor, Operation *op) {
  return isa<epi::LinearOp, epi::HeadLinearOp, epi::GroupedLinearOp>(anchor) && isElementwise(op);
}

BuiltTiling buildAnchor(KernelFrame &frame, Operation *anchor) {
  return llvm::TypeSwitch<Operation *, BuiltTiling>(anchor)
      .Case([&](epi::LinearOp op) { return buildLinear(frame, op); })
      .Case([&](epi::HeadLinearOp op) { return buildHeadLinear(frame, op); })
      .Case([&](epi::GroupedLinearOp op) { return buildGroupedLinear(frame, op); })
      .Case([&](epi::RopeOp op) { return buildRope(frame, op); })
      .Case([&](epi::EmbeddingOp op) { return buildEmbedding(frame, op); })
      .Case([&](epi::OutputRowsOp op) { return buildOutputRows(frame, op); })
      .Case([&](epi::KvAppendOp op) { return buildKvAppend(frame, op); })
      .Case([&](epi::AttentionOp op) { return buildAttention(frame, op); })
      .Case([&](epi::MlaAttentionOp op) { return buildMlaAttention(frame, op); })
      .Case([&](epi::RouteOp op) { return buildRoute(frame, op); })
      .Case([&](epi::PermuteOp op) { return buildPermute(frame, op); })
      .Case([&](epi::UnpermuteOp op) { return buildUnpermute(frame, op); })
      .Case([&](ep::AssignReplicasOp op) { return buildAssignReplicas(frame, op); })
      .Case([&](epi::HalveRowsOp op) { return buildHalveRows(frame, op); })
      .Case([&](epi::JoinRowsOp op) { return buildJoinRows(frame, op); })
      .Default([&](Operation *op) {
        return op->emitError("the CPU target has no kernel for '")
               << op->getName() << "', in exec.kernel @" << frame.kernel.getSymName()
               << "; run the passes of the earlier phases (partition, schedule), which replace it";
      });
}

} // namespace

BuiltTiling buildKernel(KernelFrame &frame) {
  Operation *anchor = nullptr;
  SmallVector<Operation *> rowWise;
  for (Operation &op : frame.kernel.getBody().front().without_terminator()) {
    if (isView(op))
      continue;
    if (isRowWise(op)) {
      rowWise.push_back(&op);
      continue;
    }
    if (anchor)
      return op.emitError("exec.kernel @")
             << frame.kernel.getSymName() << " holds '" << op.getName() << "' beside '"
             << anchor->getName()
             << "', but a CPU kernel is made around one operation; outline them apart";
    anchor = &op;
  }
  for (Operation *op : rowWise)
    if (anchor && !canJoin(anchor, op))
      return op->emitError("exec.kernel @")
             << frame.kernel.getSymName() << " holds '" << op->getName() << "' beside '"
             << anchor->getName() << "', which the CPU target cannot join; outline them apart";
  return anchor ? buildAnchor(frame, anchor) : buildRows(frame);
}

} // namespace epigraph::cpu
