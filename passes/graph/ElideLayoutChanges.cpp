// Local rewrites, applied until none matches. A listener counts what the rewriter inserts and
// erases, so that statistics hold whichever pattern, fold or dead operation it was.
#include "dialects/exec/Exec.h"
#include "passes/PassRemarks.h"
#include "passes/graph/Passes.h"

#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace epigraph {
#define GEN_PASS_DEF_ELIDELAYOUTCHANGESPASS
#include "passes/graph/Passes.h.inc"
} // namespace epigraph

using namespace mlir;
using namespace epigraph;

namespace {

bool isIdentity(ArrayRef<int64_t> permutation) {
  return llvm::all_of(llvm::enumerate(permutation), [](auto entry) {
    return entry.value() == static_cast<int64_t>(entry.index());
  });
}

/// transpose(transpose(x)) is one transpose; one that keeps the order is x.
struct MergeTransposes : OpRewritePattern<epi::TransposeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(epi::TransposeOp op, PatternRewriter &rewriter) const override {
    if (isIdentity(op.getPermutation())) {
      rewriter.replaceOp(op, op.getX());
      return success();
    }
    auto inner = op.getX().getDefiningOp<epi::TransposeOp>();
    if (!inner)
      return rewriter.notifyMatchFailure(op, "operand is not a transpose");
    auto permutation = llvm::map_to_vector(
        op.getPermutation(), [&](int64_t from) { return inner.getPermutation()[from]; });
    rewriter.replaceOpWithNewOp<epi::TransposeOp>(op, op.getType(), inner.getX(), permutation);
    return success();
  }
};

/// A transpose that leaves the order of all dimensions but those of size 1 moves no element.
struct TransposeOfUnits : OpRewritePattern<epi::TransposeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(epi::TransposeOp op, PatternRewriter &rewriter) const override {
    auto x = cast<RankedTensorType>(op.getX().getType());
    auto result = cast<RankedTensorType>(op.getType());
    SmallVector<int64_t> moved(llvm::make_filter_range(
        op.getPermutation(), [&](int64_t from) { return x.getDimSize(from) != 1; }));
    if (!llvm::is_sorted(moved))
      return rewriter.notifyMatchFailure(op, "moves dimensions that hold elements");
    // Rows that are not first on either side are none that a reshape can keep.
    if (!x.hasStaticShape() && !(x.isDynamicDim(0) && result.isDynamicDim(0)))
      return rewriter.notifyMatchFailure(op, "moves the rows");
    rewriter.replaceOpWithNewOp<epi::ReshapeOp>(op, op.getType(), op.getX());
    return success();
  }
};

/// concat(all parts of split(x), in order) is x, also among other operands; concat(concat(...)) is
/// one concat.
struct FlattenConcat : OpRewritePattern<epi::ConcatOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(epi::ConcatOp op, PatternRewriter &rewriter) const override {
    SmallVector<Value> parts;
    for (ValueRange rest = op.getInputs(); !rest.empty();) {
      auto split = rest.front().getDefiningOp<epi::SplitOp>();
      auto concat = rest.front().getDefiningOp<epi::ConcatOp>();
      if (split && split.getDim() == op.getDim() && rest.size() >= split.getNumResults() &&
          llvm::equal(rest.take_front(split.getNumResults()), split.getResults())) {
        parts.push_back(split.getX());
        rest = rest.drop_front(split.getNumResults());
        continue;
      }
      if (concat && concat.getDim() == op.getDim() && concat->hasOneUse())
        llvm::append_range(parts, concat.getInputs());
      else
        parts.push_back(rest.front());
      rest = rest.drop_front();
    }
    if (parts.size() == op.getInputs().size() && llvm::equal(parts, op.getInputs()))
      return rewriter.notifyMatchFailure(op, "operands are neither whole splits nor concats");
    if (parts.size() == 1)
      rewriter.replaceOp(op, parts.front());
    else
      rewriter.replaceOpWithNewOp<epi::ConcatOp>(op, op.getType(), parts, op.getDim());
    return success();
  }
};

/// split(concat(parts)) whose borders are borders of parts is these parts, joined where one result
/// spans several.
struct SplitOfConcat : OpRewritePattern<epi::SplitOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(epi::SplitOp op, PatternRewriter &rewriter) const override {
    auto concat = op.getX().getDefiningOp<epi::ConcatOp>();
    if (!concat || concat.getDim() != op.getDim())
      return rewriter.notifyMatchFailure(op, "operand is not a concat along the dimension");
    SmallVector<SmallVector<Value>> groups;
    ValueRange rest = concat.getInputs();
    for (Value result : op.getResults()) {
      SmallVector<Value> &group = groups.emplace_back();
      for (int64_t missing = sizeOf(result, op.getDim()); missing > 0; rest = rest.drop_front()) {
        group.push_back(rest.front());
        missing -= sizeOf(rest.front(), op.getDim());
        if (missing < 0)
          return rewriter.notifyMatchFailure(op, "a border lies inside an operand of the concat");
      }
    }
    bool joins = llvm::any_of(groups, [](const auto &group) { return group.size() != 1; });
    if (joins && !concat->hasOneUse())
      return rewriter.notifyMatchFailure(op,
                                         "the concat is needed anyway, and its parts are views");
    SmallVector<Value> values;
    for (auto [group, result] : llvm::zip_equal(groups, op.getResults()))
      values.push_back(
          group.size() == 1
              ? group.front()
              : epi::ConcatOp::create(rewriter, op.getLoc(), result.getType(), group, op.getDim())
                    .getResult());
    rewriter.replaceOp(op, values);
    return success();
  }

  static int64_t sizeOf(Value value, int64_t dim) {
    return cast<RankedTensorType>(value.getType()).getDimSize(dim);
  }
};

/// cast(cast(x)) back to the type of x is x, if the way there was exact.
struct CastBack : OpRewritePattern<epi::CastOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(epi::CastOp op, PatternRewriter &rewriter) const override {
    auto inner = op.getX().getDefiningOp<epi::CastOp>();
    if (!inner || inner.getX().getType() != op.getType() ||
        !cast<RankedTensorType>(op.getType()).getElementType().isBF16())
      return rewriter.notifyMatchFailure(op, "not bf16 to f32 and back");
    rewriter.replaceOp(op, inner.getX());
    return success();
  }
};

/// pack(pack(x)) is one pack: the value never changes.
struct MergePacks : OpRewritePattern<exec::PackOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(exec::PackOp op, PatternRewriter &rewriter) const override {
    auto inner = op.getX().getDefiningOp<exec::PackOp>();
    if (!inner)
      return rewriter.notifyMatchFailure(op, "operand is not packed");
    rewriter.replaceOpWithNewOp<exec::PackOp>(op, op.getType(), inner.getX());
    return success();
  }
};

/// Counts operations that move elements: what is inserted less what is erased.
struct MoveCounter : RewriterBase::Listener {
  void notifyOperationInserted(Operation *op, OpBuilder::InsertPoint) override { count(op, -1); }
  void notifyOperationErased(Operation *op) override { count(op, 1); }

  void count(Operation *op, int64_t sign) {
    if (!isa<epi::ReshapeOp, epi::SplitOp, epi::TransposeOp, epi::ConcatOp, epi::CastOp,
             exec::PackOp>(op))
      return;
    ops += sign;
    if (isa<epi::ReshapeOp, epi::SplitOp>(op)) // Views: they copy nothing.
      return;
    auto type = cast<RankedTensorType>(op->getResult(0).getType());
    int64_t bytes = sign * type.getElementTypeBitWidth() / 8;
    for (int64_t size : type.getShape())
      bytes *= ShapedType::isDynamic(size) ? 1 : size;
    (type.hasStaticShape() ? weightBytes : rowBytes) += bytes;
  }

  int64_t ops = 0, weightBytes = 0, rowBytes = 0;
};

struct ElideLayoutChangesPass : epigraph::impl::ElideLayoutChangesPassBase<ElideLayoutChangesPass> {
  void runOnOperation() override {
    MLIRContext &context = getContext();
    RewritePatternSet patterns(&context);
    patterns
        .add<MergeTransposes, TransposeOfUnits, FlattenConcat, SplitOfConcat, CastBack, MergePacks>(
            &context);
    epi::ReshapeOp::getCanonicalizationPatterns(patterns, &context);
    MoveCounter counter;
    GreedyRewriteConfig config;
    config.setListener(&counter).setRegionSimplificationLevel(GreedySimplifyRegionLevel::Disabled);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns), config))) {
      getOperation().emitError("layout changes do not come to rest: rewrites undo one another");
      return signalPassFailure();
    }
    reportStatistics(*this, getOperation())
        << metric("ops", counter.ops) << metric("weight-bytes", counter.weightBytes)
        << metric("row-bytes", counter.rowBytes);
  }
};

} // namespace
