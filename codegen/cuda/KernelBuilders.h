// The builders of device kernels, one for each kind of anchor operation. Each adds variants and
// functions to the assembly; what it cannot compile is a diagnostic.
//
// All of them keep one rule: the value of a row depends on that row alone (and, in attention, on
// its own sequence), never on the other rows of the batch.
#ifndef EPIGRAPH_CODEGEN_CUDA_KERNELBUILDERS_H
#define EPIGRAPH_CODEGEN_CUDA_KERNELBUILDERS_H

#include "codegen/cuda/KernelAssembly.h"

namespace epigraph::cuda {

/// linear, head_linear and grouped_linear; elementwise operations that the body applies to the
/// result are computed before it is stored.
mlir::LogicalResult buildLinear(KernelAssembly &assembly, mlir::Operation *op);
/// Any body of elementwise operations, rms_norm, softmax, quantize, concat, unpermute, split and
/// reshape, row by row, and of rope and kv_append of what these give.
mlir::LogicalResult buildRows(KernelAssembly &assembly);
mlir::LogicalResult buildRope(KernelAssembly &assembly, epi::RopeOp op);
mlir::LogicalResult buildEmbedding(KernelAssembly &assembly, epi::EmbeddingOp op);
mlir::LogicalResult buildOutputRows(KernelAssembly &assembly, epi::OutputRowsOp op);
mlir::LogicalResult buildKvAppend(KernelAssembly &assembly, epi::KvAppendOp op);
mlir::LogicalResult buildAttention(KernelAssembly &assembly, epi::AttentionOp op);
mlir::LogicalResult buildMlaDecode(KernelAssembly &assembly, epi::MlaAttentionOp op);
/// mla_attention with `up`.
mlir::LogicalResult buildExpandedAttention(KernelAssembly &assembly, epi::MlaAttentionOp op);
mlir::LogicalResult buildRoute(KernelAssembly &assembly, epi::RouteOp op);
/// What the body computes of permuted rows is computed once for each token.
mlir::LogicalResult buildPermute(KernelAssembly &assembly, epi::PermuteOp op);
/// The permutation with the routing before it, the projection to its logits and a norm.
mlir::LogicalResult buildRouter(KernelAssembly &assembly, epi::PermuteOp op);
mlir::LogicalResult buildAssignReplicas(KernelAssembly &assembly, ep::AssignReplicasOp op);
mlir::LogicalResult buildHalveRows(KernelAssembly &assembly, epi::HalveRowsOp op);
mlir::LogicalResult buildJoinRows(KernelAssembly &assembly, epi::JoinRowsOp op);
mlir::LogicalResult buildDispatchSend(KernelAssembly &assembly, ep::DispatchSendOp op);
mlir::LogicalResult buildDispatchReceive(KernelAssembly &assembly, ep::DispatchReceiveOp op);
mlir::LogicalResult buildCombineSend(KernelAssembly &assembly, ep::CombineSendOp op);
mlir::LogicalResult buildCombineReceive(KernelAssembly &assembly, ep::CombineReceiveOp op);

/// Whether `op` is computed row by row, from rows that are there.
bool isRowWise(mlir::Operation &op);

/// Builds the kernel with the builder of the operation that its body is made around.
mlir::LogicalResult buildKernel(KernelAssembly &assembly);

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_KERNELBUILDERS_H
