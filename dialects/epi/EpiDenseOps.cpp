// Verifiers, folders and canonicalization of the dense operations.
#include "dialects/epi/Epi.h"
#include "dialects/epi/Verify.h"

#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace epigraph::epi;

LogicalResult LinearOp::verify() {
  Type x = getX().getType(), w = getW().getType();
  if (dim(x, 1) != dim(w, 1)) // (C1)
    return emitOpError("x has ") << dim(x, 1) << " columns but w has " << dim(w, 1)
                                 << "; both must be K";
  if (failed(verifyScaledOperands(*this, getX(), getXScale(), getW(), getWScale()))) // (C3) to (C5)
    return failure();
  return verifyShape(*this, "the result", getResult().getType(), {dim(x, 0), dim(w, 0)}); // (C2)
}

LogicalResult HeadLinearOp::verify() {
  Type x = getX().getType(), w = getW().getType();
  if (dim(x, 1) != dim(w, 0) || dim(x, 2) != dim(w, 2)) // (C1)
    return emitOpError("x [rows, heads, K] and w [heads, N, K] must agree in heads and K, got ")
           << x << " and " << w;
  return verifyShape(*this, "the result", getResult().getType(), // (C2)
                     {dim(x, 0), dim(x, 1), dim(w, 1)});
}

LogicalResult EmbeddingOp::verify() {
  Type table = getTable().getType(), result = getResult().getType();
  if (elementOf(table) != elementOf(result)) // (C2)
    return emitOpError("the result must have the table's element type, got ")
           << elementOf(result) << " for " << elementOf(table);
  return verifyShape(*this, "the result", result,
                     {dim(getIds().getType(), 0), dim(table, 1)}); // (C1)
}

LogicalResult RmsNormOp::verify() {
  int64_t columns = cast<RankedTensorType>(getX().getType()).getShape().back();
  if (failed(verifyShape(*this, "w", getW().getType(), {columns}))) // (C1)
    return failure();
  if (!(getEps().convertToDouble() > 0)) // (C2)
    return emitOpError("eps must be positive");
  return success();
}

LogicalResult RopeTableOp::verify() {
  auto type = cast<RankedTensorType>(getResult().getType());
  if (!type.hasStaticShape() || type.getDimSize(1) % 2) // (C1)
    return emitOpError("must have a static shape [positions, even number of dims], got ") << type;
  if (!(getTheta().convertToDouble() > 0) || !(getMagnitude().convertToDouble() > 0)) // (C2)
    return emitOpError("theta and magnitude must be positive");
  if (getYarn() && getLlama3()) // (C3)
    return emitOpError("stretches frequencies by yarn or by llama3, not by both");
  return success();
}

LogicalResult RopeOp::verify() {
  auto x = cast<RankedTensorType>(getX().getType());
  int64_t dims = dim(getTable().getType(), 1);
  if (x.getShape().back() < dims) // (C1)
    return emitOpError("rotates ")
           << dims << " dims (its table's), but the last dimension of x is " << x.getShape().back();
  return success();
}

/// How `rhs` meets `lhs`, or nothing where it does not.
static std::optional<Broadcast> broadcastOf(Type lhs, Type rhs) {
  if (lhs == rhs)
    return Broadcast::None;
  auto whole = cast<RankedTensorType>(lhs), part = cast<RankedTensorType>(rhs);
  if (whole.getRank() < 1)
    return std::nullopt;
  if (part.getRank() == 1 && part.getDimSize(0) == whole.getShape().back())
    return Broadcast::Columns;
  if (part.getRank() == 2 && whole.getRank() == 2 && part.getDimSize(0) == whole.getDimSize(0) &&
      part.getDimSize(1) == 1)
    return Broadcast::Rows;
  return std::nullopt;
}

static LogicalResult verifyBroadcast(Operation *op) {
  Type lhs = op->getOperand(0).getType(), rhs = op->getOperand(1).getType();
  if (!broadcastOf(lhs, rhs)) // (C1)
    return op->emitOpError(
               "the second operand must have the type of the first, or be one value for "
               "each column or for each row of it, got ")
           << lhs << " and " << rhs;
  return success();
}

LogicalResult AddOp::verify() { return verifyBroadcast(*this); }
LogicalResult MulOp::verify() { return verifyBroadcast(*this); }
Broadcast AddOp::getBroadcast() { return *broadcastOf(getLhs().getType(), getRhs().getType()); }
Broadcast MulOp::getBroadcast() { return *broadcastOf(getLhs().getType(), getRhs().getType()); }

OpFoldResult CastOp::fold(FoldAdaptor) {
  if (getX().getType() == getResult().getType())
    return getX();
  return {};
}

LogicalResult ReshapeOp::verify() {
  auto x = cast<RankedTensorType>(getX().getType());
  auto result = cast<RankedTensorType>(getResult().getType());
  if (x.getElementType() != result.getElementType()) // (C1)
    return emitOpError("must keep the element type, got ") << x << " to " << result;
  auto split = [](RankedTensorType type, bool &dynamicRows, int64_t &product) {
    dynamicRows = type.getRank() > 0 && type.isDynamicDim(0);
    product = 1;
    for (int64_t size : type.getShape().drop_front(dynamicRows)) {
      if (ShapedType::isDynamic(size))
        return false;
      product *= size;
    }
    return true;
  };
  bool rowsOfX, rowsOfResult;
  int64_t sizeOfX, sizeOfResult;
  if (!split(x, rowsOfX, sizeOfX) || !split(result, rowsOfResult, sizeOfResult) ||
      rowsOfX != rowsOfResult) // (C2)
    return emitOpError("only the first dimension may be dynamic, in both types or in neither, got ")
           << x << " to " << result;
  if (sizeOfX != sizeOfResult) // (C3)
    return emitOpError("must keep the number of elements, got ") << x << " to " << result;
  return success();
}

OpFoldResult ReshapeOp::fold(FoldAdaptor) {
  if (getX().getType() == getResult().getType())
    return getX();
  return {};
}

namespace {
/// reshape(reshape(x)) is one reshape.
struct MergeReshapes : OpRewritePattern<ReshapeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ReshapeOp op, PatternRewriter &rewriter) const override {
    auto inner = op.getX().getDefiningOp<ReshapeOp>();
    if (!inner)
      return rewriter.notifyMatchFailure(op, "operand is not a reshape");
    rewriter.replaceOpWithNewOp<ReshapeOp>(op, op.getType(), inner.getX());
    return success();
  }
};

/// split(concat(parts)) along the same dimension into the same sizes is the parts.
struct ForwardSplitOfConcat : OpRewritePattern<SplitOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(SplitOp op, PatternRewriter &rewriter) const override {
    auto concat = op.getX().getDefiningOp<ConcatOp>();
    if (!concat || concat.getDim() != op.getDim() ||
        concat.getInputs().getTypes() != op.getResultTypes())
      return rewriter.notifyMatchFailure(op, "operand is not a concat of these parts");
    rewriter.replaceOp(op, concat.getInputs());
    return success();
  }
};
} // namespace

void ReshapeOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<MergeReshapes>(context);
}

LogicalResult TransposeOp::verify() {
  auto x = cast<RankedTensorType>(getX().getType());
  llvm::SmallVector<bool> seen(x.getRank(), false);
  bool permutes = static_cast<int64_t>(getPermutation().size()) == x.getRank();
  for (int64_t from : getPermutation()) {
    permutes = permutes && from >= 0 && from < x.getRank() && !seen[from];
    if (!permutes)
      break;
    seen[from] = true;
  }
  if (!permutes) // (C1)
    return emitOpError("permutation must name each of the ") << x.getRank() << " dimensions once";
  SmallVector<int64_t> shape;
  for (int64_t from : getPermutation())
    shape.push_back(x.getDimSize(from));
  return verifyShape(*this, "the result", getResult().getType(), shape); // (C2)
}

/// `parts` must equal `whole` but for `dim`, where their sizes add up to it.
static LogicalResult verifyParts(Operation *op, RankedTensorType whole, TypeRange parts,
                                 int64_t dim) {
  if (dim < 0 || dim >= whole.getRank() || whole.isDynamicDim(dim))
    return op->emitOpError("dim ") << dim << " is not a static dimension of " << whole;
  int64_t sum = 0;
  for (Type part : parts) {
    auto type = cast<RankedTensorType>(part);
    if (type.getRank() != whole.getRank() || type.getElementType() != whole.getElementType() ||
        type.isDynamicDim(dim))
      return op->emitOpError("part ") << type << " does not fit " << whole;
    SmallVector<int64_t> shape(whole.getShape());
    shape[dim] = type.getDimSize(dim);
    if (type.getShape() != ArrayRef<int64_t>(shape))
      return op->emitOpError("part ") << type << " does not fit " << whole;
    sum += type.getDimSize(dim);
  }
  if (sum != whole.getDimSize(dim))
    return op->emitOpError("parts add up to ")
           << sum << " along dim " << dim << ", not " << whole.getDimSize(dim);
  return success();
}

LogicalResult SplitOp::verify() {
  if (getNumResults() < 2) // (C1)
    return emitOpError("must have two or more results");
  return verifyParts(*this, cast<RankedTensorType>(getX().getType()),
                     getResultTypes(), // (C2), (C3)
                     getDim());
}

int64_t SplitOp::getOffset(unsigned index) {
  int64_t offset = 0;
  for (unsigned i = 0; i < index; ++i)
    offset += cast<RankedTensorType>(getResult(i).getType()).getDimSize(getDim());
  return offset;
}

void SplitOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<ForwardSplitOfConcat>(context);
}

LogicalResult ConcatOp::verify() {
  if (getInputs().empty()) // (C1)
    return emitOpError("must have an operand");
  return verifyParts(*this, cast<RankedTensorType>(getResult().getType()), // (C2), (C3)
                     getInputs().getTypes(), getDim());
}

OpFoldResult ConcatOp::fold(FoldAdaptor) {
  if (getInputs().size() == 1)
    return getInputs().front();
  return {};
}
