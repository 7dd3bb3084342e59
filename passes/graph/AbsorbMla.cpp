// kv_b_proj [heads * (nope + value), latent] is seen as [heads, nope + value, latent] and split:
// the first part, transposed, takes a head's query from nope to latent dimensions; the second takes
// the mean latent vector to value dimensions. These are operations on weights, which the weight
// program later evaluates once. The absorbed form costs latent/nope times the products per cached
// token, and saves expanding the cache: for DeepSeek-V3's sizes it wins whenever a step attends to
// more tokens than it computes.
#include "dialects/epi/Epi.h"
#include "dialects/epi/Verify.h"
#include "passes/PassRemarks.h"
#include "passes/graph/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"

namespace epigraph {
#define GEN_PASS_DEF_ABSORBMLAPASS
#include "passes/graph/Passes.h.inc"
} // namespace epigraph

using namespace mlir;
using namespace epigraph;

namespace {

/// kv_b_proj as the two weights of `epi.head_linear`: [heads, latent, nope] and [heads, value,
/// latent].
std::pair<Value, Value> splitUpProjection(OpBuilder &builder, epi::MlaAttentionOp op) {
  Location loc = op.getLoc();
  Type element = epi::elementOf(op.getUp().getType());
  int64_t heads = epi::dim(op.getQ().getType(), 1), nope = epi::dim(op.getQ().getType(), 2);
  int64_t value = epi::dim(op.getType(), 2), latent = epi::dim(op.getUp().getType(), 1);
  auto type = [&](int64_t rows, int64_t columns) {
    return RankedTensorType::get({heads, rows, columns}, element);
  };
  Value whole = epi::ReshapeOp::create(builder, loc, type(nope + value, latent), op.getUp());
  auto parts = epi::SplitOp::create(builder, loc,
                                    TypeRange{type(nope, latent), type(value, latent)}, whole, 1);
  Value keys = epi::TransposeOp::create(builder, loc, type(latent, nope), parts.getResult(0),
                                        ArrayRef<int64_t>{0, 2, 1});
  return {keys, parts.getResult(1)};
}

void absorb(epi::MlaAttentionOp op) {
  OpBuilder builder(op);
  auto [keys, values] = splitUpProjection(builder, op);
  auto q = cast<RankedTensorType>(op.getQ().getType());
  auto latentType = RankedTensorType::get(
      {q.getDimSize(0), q.getDimSize(1), op.getCache().getType().getLatent()}, q.getElementType());
  Value query = epi::HeadLinearOp::create(builder, op.getLoc(), latentType, op.getQ(), keys);
  Value mean =
      epi::MlaAttentionOp::create(builder, op.getLoc(), latentType, query, op.getQRope(),
                                  op.getCache(), op.getStep(), /*up=*/Value(), op.getScaleAttr());
  Value result = epi::HeadLinearOp::create(builder, op.getLoc(), op.getType(), mean, values);
  op.replaceAllUsesWith(result);
  op.erase();
}

struct AbsorbMlaPass : epigraph::impl::AbsorbMlaPassBase<AbsorbMlaPass> {
  void runOnOperation() override {
    SmallVector<epi::MlaAttentionOp> expanded;
    for (auto function : getOperation().getOps<func::FuncOp>())
      for (auto op : function.getOps<epi::MlaAttentionOp>())
        if (op.getUp())
          expanded.push_back(op);
    for (epi::MlaAttentionOp op : expanded)
      absorb(op);
    reportStatistics(*this, getOperation()) << metric("absorbed", expanded.size());
  }
};

} // namespace
