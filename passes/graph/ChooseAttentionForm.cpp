// Absorbing: kv_b_proj [heads * (nope + value), latent] is seen as [heads, nope + value, latent]
// and split: the first part, transposed, takes a head's query from nope to latent dimensions; the
// second takes the mean latent vector to value dimensions. These are operations on weights, which
// the weight program later evaluates once. Expanding is what the operation says already. Which is
// cheaper is a matter of how many rows share an expansion: see passes/graph/AttentionCost.h.
#include "dialects/epi/Epi.h"
#include "dialects/epi/Verify.h"
#include "dialects/exec/Exec.h"
#include "passes/PassRemarks.h"
#include "passes/graph/AttentionCost.h"
#include "passes/graph/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"

namespace epigraph {
#define GEN_PASS_DEF_CHOOSEATTENTIONFORMPASS
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

struct ChooseAttentionFormPass
    : epigraph::impl::ChooseAttentionFormPassBase<ChooseAttentionFormPass> {
  using ChooseAttentionFormPassBase::ChooseAttentionFormPassBase;

  /// The expanded attentions of `function` that are to be absorbed.
  FailureOr<SmallVector<epi::MlaAttentionOp>> toAbsorb(func::FuncOp function) {
    SmallVector<epi::MlaAttentionOp> expanded;
    for (auto op : function.getOps<epi::MlaAttentionOp>())
      if (op.getUp())
        expanded.push_back(op);
    if (form == AttentionForm::Expanded)
      return SmallVector<epi::MlaAttentionOp>();
    FailureOr<std::optional<StepPhase>> phase = phaseOf(function);
    if (failed(phase))
      return failure();
    if (form == AttentionForm::Absorbed || !*phase || expanded.empty())
      return expanded;
    std::optional<TypicalStep> step = TypicalStep::of(getOperation(), **phase);
    if (!step)
      return function.emitError("the cost of attention depends on the module's ")
             << exec::kLimitsAttrName << ", which is missing; add it, or choose with form=absorbed "
             << "or form=expanded";
    llvm::erase_if(expanded, [&](epi::MlaAttentionOp op) {
      return isCheaperExpanded(op, *step, getOperation());
    });
    return expanded;
  }

  void runOnOperation() override {
    int64_t absorbed = 0, expanded = 0;
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      FailureOr<SmallVector<epi::MlaAttentionOp>> chosen = toAbsorb(function);
      if (failed(chosen))
        return signalPassFailure();
      for (epi::MlaAttentionOp op : *chosen)
        absorb(op);
      absorbed += static_cast<int64_t>(chosen->size());
      for (auto op : function.getOps<epi::MlaAttentionOp>())
        expanded += op.getUp() ? 1 : 0;
    }
    reportStatistics(*this, getOperation())
        << metric("absorbed", absorbed) << metric("expanded", expanded);
  }
};

} // namespace
