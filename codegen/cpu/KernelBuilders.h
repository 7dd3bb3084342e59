// The builders of CPU kernels, one for each kind of anchor operation. Each emits the whole body of
// the kernel's function and says how its launches divide into tiles; what it cannot compile is a
// diagnostic.
//
// All of them keep one rule: the value of a row depends on that row alone (and, in attention, on
// its own sequence), never on the tile or on the other rows of the batch.
#ifndef EPIGRAPH_CODEGEN_CPU_KERNELBUILDERS_H
#define EPIGRAPH_CODEGEN_CPU_KERNELBUILDERS_H

#include "codegen/cpu/KernelFrame.h"

namespace epigraph::cpu {

using BuiltTiling = mlir::FailureOr<Tiling>;

/// linear, head_linear and grouped_linear with packed weights; elementwise operations that the body
/// applies to the result are computed before it is stored.
BuiltTiling buildLinear(KernelFrame &frame, epi::LinearOp op);
BuiltTiling buildHeadLinear(KernelFrame &frame, epi::HeadLinearOp op);
BuiltTiling buildGroupedLinear(KernelFrame &frame, epi::GroupedLinearOp op);
/// Any body of elementwise operations, rms_norm, softmax, concat, split and reshape, row by row.
BuiltTiling buildRows(KernelFrame &frame);
BuiltTiling buildRope(KernelFrame &frame, epi::RopeOp op);
BuiltTiling buildEmbedding(KernelFrame &frame, epi::EmbeddingOp op);
BuiltTiling buildOutputRows(KernelFrame &frame, epi::OutputRowsOp op);
BuiltTiling buildKvAppend(KernelFrame &frame, epi::KvAppendOp op);
BuiltTiling buildAttention(KernelFrame &frame, epi::AttentionOp op);
BuiltTiling buildMlaAttention(KernelFrame &frame, epi::MlaAttentionOp op);
/// buildMlaAttention of an `op` with `up`.
BuiltTiling buildExpandedAttention(KernelFrame &frame, epi::MlaAttentionOp op);
BuiltTiling buildRoute(KernelFrame &frame, epi::RouteOp op);
BuiltTiling buildPermute(KernelFrame &frame, epi::PermuteOp op);
BuiltTiling buildUnpermute(KernelFrame &frame, epi::UnpermuteOp op);
BuiltTiling buildAssignReplicas(KernelFrame &frame, ep::AssignReplicasOp op);
BuiltTiling buildHalveRows(KernelFrame &frame, epi::HalveRowsOp op);
BuiltTiling buildJoinRows(KernelFrame &frame, epi::JoinRowsOp op);

/// Builds the kernel of `frame` with the builder of the operation that its body is made around.
BuiltTiling buildKernel(KernelFrame &frame);

} // namespace epigraph::cpu

#endif // EPIGRAPH_CODEGEN_CPU_KERNELBUILDERS_H
