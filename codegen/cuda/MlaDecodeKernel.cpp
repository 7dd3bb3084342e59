// Reads an mla_attention in absorbed form and chooses the form of its kernel: that of DeepSeek-V3's
// sizes, or the grouped queries of one key-value head whose key is a whole cache entry and whose
// value is the entry's first part.
#include "codegen/cuda/AttentionOperands.h"
#include "codegen/cuda/GroupedQueries.h"
#include "codegen/cuda/KernelBuilders.h"
#include "codegen/cuda/MlaDecode.h"

using namespace mlir;

namespace epigraph::cuda {
namespace {

/// What `rope`, if there is one, does to queries.
FailureOr<std::optional<QueryRotation>> readRotation(KernelAssembly &assembly, epi::RopeOp rope) {
  if (!rope)
    return std::optional<QueryRotation>();
  FailureOr<TensorView> table = assembly.view(rope, rope.getTable(), "table");
  if (failed(table))
    return failure();
  const int64_t elements = cast<RankedTensorType>(rope.getType()).getShape().back();
  if (table->shape.back() != elements || elements % 16 != 0)
    return rope.emitError("CUDA kernel @")
           << assembly.kernel.getSymName()
           << " can rotate queries only as a whole, of a multiple of 16 elements; outline the "
              "rotation as a kernel of its own";
  return std::optional(QueryRotation{*table, elements, rope.getInterleaved()});
}

FailureOr<MlaDecodeProblem> readProblem(KernelAssembly &assembly, epi::MlaAttentionOp op) {
  FailureOr<TensorView> q = queryView(assembly, op, op.getQ(), "q");
  auto rope = op.getQRope().getDefiningOp<epi::RopeOp>();
  FailureOr<std::optional<QueryRotation>> rotation = readRotation(assembly, rope);
  FailureOr<TensorView> qRope =
      queryView(assembly, op, rope ? rope.getX() : op.getQRope(), "q_rope");
  FailureOr<BlockArgument> cache = cacheArgument(assembly, op, op.getCache());
  FailureOr<unsigned> result = assembly.yieldedAs(op, op.getResult());
  if (failed(q) || failed(rotation) || failed(qRope) || failed(cache) || failed(result))
    return failure();
  auto type = cast<epi::MlaCacheType>(cache->getType());
  return MlaDecodeProblem{
      *q,          *qRope,           *cache,         *result,
      q->shape[0], type.getLatent(), type.getRope(), op.getScale().convertToDouble(),
      *rotation};
}

/// As attention of grouped queries.
GroupedQueries groupedQueries(const MlaDecodeProblem &problem, Type resultType) {
  GroupedQueries queries;
  queries.q = problem.q;
  queries.qEnd = problem.qRope;
  queries.rotation = problem.rotation;
  queries.cache = problem.cache;
  queries.result = problem.result;
  queries.resultType = resultType;
  queries.heads = problem.heads;
  queries.keyHeads = 1;
  queries.key = problem.entry();
  queries.value = problem.latent;
  queries.valuesInKeys = true;
  queries.scale = problem.scale;
  return queries;
}

} // namespace

LogicalResult buildMlaDecode(KernelAssembly &assembly, epi::MlaAttentionOp op) {
  FailureOr<MlaDecodeProblem> problem = readProblem(assembly, op);
  if (failed(problem))
    return failure();
  Type resultType = cast<RankedTensorType>(op.getType()).getElementType();
  if (fitsWarpgroups(*problem) && resultType.isBF16()) {
    assembly.beginVariant();
    addWarpgroupMlaDecode(assembly, *problem);
    return success();
  }
  if (failed(checkHeadSize(assembly, op, "latent", problem->latent, 256)) ||
      failed(checkHeadSize(assembly, op, "cache entry", problem->entry(), 288)))
    return failure();
  const GroupedQueries queries = groupedQueries(*problem, resultType);
  if (const int64_t most = mostClusterRows(assembly.target, queries)) {
    assembly.beginVariant(most);
    addClusterAttention(assembly, queries);
  }
  assembly.beginVariant();
  addTokenAttention(assembly, queries);
  return success();
}

} // namespace epigraph::cuda
