// Projections: linear, head_linear and grouped_linear over one micro kernel.
//
// Weights lie in panels of 32 output columns, contiguous along K in groups of 32 bits (two bf16 or
// one f32). The micro kernel keeps one float32 accumulator for each (row, column) of a tile of up
// to 8 rows by 32 columns in registers, walks K once in ascending order, and broadcasts x. All tile
// heights sum in that order, so the height that a row happens to fall into does not show in its
// result.
#include "codegen/cpu/KernelBuilders.h"
#include "codegen/cpu/WeightPanel.h"

#include <algorithm>

using namespace mlir;

namespace epigraph::cpu {
namespace {

/// A panel's step along K is 32 columns of 32 bits.
constexpr int64_t kGroupBytes = kPanelColumns * 4;
/// Steps along K in one pass of the inner loop.
constexpr int64_t kUnroll = 4;
/// How far ahead weights are prefetched when several rows share them: one row leaves the hardware
/// prefetcher enough room, more instructions for each cache line do not.
constexpr int64_t kPrefetchBytes = 8192;
constexpr int64_t kCacheLine = 64;
/// No tile has more rows than this, so that a batch gives work to many threads.
constexpr int64_t kMaxTileRows = 64;

/// Heights of register tiles, falling: what 32 (AVX-512) or 16 (AVX2) vector registers hold.
ArrayRef<int64_t> tileHeights(int64_t vectorWidth) {
  static constexpr int64_t wide[] = {8, 4, 2, 1}, narrow[] = {2, 1};
  return vectorWidth == 16 ? ArrayRef<int64_t>(wide) : ArrayRef<int64_t>(narrow);
}

/// One product y = x W^T of static depth and width, over any range of rows.
class Projection {
public:
  Projection(KernelEmitter &e, Type xType, Type wType, Type yType, int64_t depth, int64_t outputs)
      : e(e), xType(xType), wType(wType), yType(yType), depth(depth), outputs(outputs),
        pairs(wType.isBF16() ? 2 : 1), vectors(kPanelColumns / e.width()) {}

  /// Bytes between the rows of x and of y.
  int64_t xRowBytes = 0, yRowBytes = 0;

  int64_t panels() const { return llvm::divideCeil(outputs, kPanelColumns); }
  int64_t panelBytes() const { return llvm::divideCeil(depth, pairs) * kGroupBytes; }

  /// Rows of a tile: their x takes a quarter of the second-level cache beside a panel of weights.
  int64_t tileRows() const {
    const int64_t tallest = tileHeights(e.width()).front();
    const int64_t fit = e.target().l2Bytes / 4 / (depth * byteSize(xType));
    return std::clamp(fit / tallest * tallest, tallest, kMaxTileRows);
  }

  /// Rows [first, last) of panel `panel`. `x` and `y` are the addresses of row 0, `weights` that of
  /// panel 0.
  void emit(Value first, Value last, Value panel, Value x, Value weights, Value y) {
    Value w = e.element(weights, panel, panelBytes());
    Value column = e.element(y, panel, kPanelColumns * byteSize(yType));
    Value row = first;
    for (int64_t height : tileHeights(e.width())) {
      Value stop = e.add(row, e.multiply(e.divide(e.subtract(last, row), height), height));
      e.forLoop(row, stop, height, [&](Value r) {
        Values sums = multiply(height, e.element(x, r, xRowBytes), w);
        store(height, sums, e.element(column, r, yRowBytes), panel);
      });
      row = stop;
    }
  }

private:
  /// The sums of `height` rows from `x` on: height * vectors accumulators, row by row.
  Values multiply(int64_t height, Value x, Value w) {
    const int64_t groups = depth / pairs, unrolled = groups / kUnroll * kUnroll;
    const int64_t xStep = pairs * byteSize(xType);
    Values sums(height * vectors, e.number(0.0, e.width()));
    auto run = [&](int64_t begin, int64_t end, int64_t unroll) {
      if (begin == end)
        return;
      sums = e.forLoop(e.constant(begin), e.constant(end), unroll, sums,
                       [&](Value group, Values carried) {
                         Value xGroup = e.element(x, group, xStep);
                         Value wGroup = e.element(w, group, kGroupBytes);
                         for (int64_t i = 0; i < unroll; ++i)
                           step(carried, height, e.advance(xGroup, i * xStep),
                                e.advance(wGroup, i * kGroupBytes), pairs);
                         return carried;
                       });
    };
    run(0, unrolled, kUnroll);
    run(unrolled, groups, 1);
    if (depth % pairs) // the last weight has no partner: its place holds zeros, that of x anything
      step(sums, height, e.advance(x, groups * xStep), e.advance(w, groups * kGroupBytes), 1);
    return sums;
  }

  /// Adds one group along K, of `count` elements.
  void step(Values &sums, int64_t height, Value x, Value w, int64_t count) {
    if (height > 1)
      for (int64_t line = 0; line < kGroupBytes; line += kCacheLine)
        e.prefetch(e.advance(w, kPrefetchBytes + line));
    if (wType.isBF16() && xType.isBF16() && e.target().hasBf16Dot)
      return stepDot(sums, height, x, w, count);
    // x of each row first, then one vector of weights at a time: few registers are live.
    SmallVector<Values> factors;
    for (int64_t i = 0; i < height; ++i)
      factors.push_back(broadcastRow(e.advance(x, i * xRowBytes), count));
    for (int64_t v = 0; v < vectors; ++v) {
      Values weights = expandWeights(e.advance(w, v * e.width() * 4), count);
      for (int64_t i = 0; i < height; ++i) {
        Value &sum = sums[i * vectors + v];
        for (int64_t k = 0; k < count; ++k)
          sum = e.fma(weights[k], factors[i][k], sum);
      }
    }
  }

  void stepDot(Values &sums, int64_t height, Value x, Value w, int64_t count) {
    Values weights;
    for (int64_t v = 0; v < vectors; ++v)
      weights.push_back(e.loadPairs(e.advance(w, v * e.width() * 4), e.width()));
    for (int64_t i = 0; i < height; ++i) {
      Value factor = e.broadcastPair(e.loadPair(e.advance(x, i * xRowBytes), count), e.width());
      for (int64_t v = 0; v < vectors; ++v)
        sums[i * vectors + v] = e.dotPairs(sums[i * vectors + v], weights[v], factor);
    }
  }

  /// `count` neighbouring elements of x, each in all lanes.
  Values broadcastRow(Value x, int64_t count) {
    if (!xType.isBF16() || count == 1) {
      Values factors;
      for (int64_t k = 0; k < count; ++k)
        factors.push_back(
            e.broadcast(e.loadFloat(e.advance(x, k * byteSize(xType)), xType), e.width()));
      return factors;
    }
    Value pair = e.broadcastPair(e.loadPair(x), e.width());
    return {e.firstOfPairs(pair), e.secondOfPairs(pair)};
  }

  /// The weights of one vector of columns at `count` neighbouring K.
  Values expandWeights(Value w, int64_t count) {
    if (!wType.isBF16())
      return {e.loadFloats(w, wType, e.width())};
    Value loaded = e.loadPairs(w, e.width());
    Values weights{e.firstOfPairs(loaded)};
    if (count == 2)
      weights.push_back(e.secondOfPairs(loaded));
    return weights;
  }

  void store(int64_t height, const Values &sums, Value y, Value panel) {
    auto storeColumns = [&](int64_t columns) {
      for (int64_t i = 0; i < height; ++i)
        for (int64_t v = 0; v * e.width() < columns; ++v)
          e.storePartial(sums[i * vectors + v], std::min(e.width(), columns - v * e.width()),
                         e.advance(y, i * yRowBytes + v * e.width() * byteSize(yType)), yType);
    };
    const int64_t lastColumns = outputs - (panels() - 1) * kPanelColumns;
    if (panels() == 1 || lastColumns == kPanelColumns)
      return storeColumns(lastColumns);
    e.ifThenElse(
        e.isLess(panel, e.constant(panels() - 1)), [&] { storeColumns(kPanelColumns); },
        [&] { storeColumns(lastColumns); });
  }

  KernelEmitter &e;
  Type xType, wType, yType;
  int64_t depth, outputs;
  int64_t pairs;   ///< elements of K in a group
  int64_t vectors; ///< vectors in a panel's columns
};

/// The address of packed weights; a diagnostic if `w` is not packed for these kernels.
FailureOr<Value> packedWeights(KernelFrame &frame, Operation *op, Value w) {
  auto type = cast<RankedTensorType>(w.getType());
  auto argument = dyn_cast<BlockArgument>(w);
  if (!argument || type.getEncoding() != panelOf(type))
    return op->emitError("the weight of CPU kernel @")
           << frame.kernel.getSymName() << " must be an argument packed as " << panelOf(type)
           << ", got " << type << "; run --cpu-pack-weights";
  return frame.address(argument);
}

Type elementOf(Value value) { return cast<RankedTensorType>(value.getType()).getElementType(); }

/// What the three operations have in common: x as a view, w packed, the result's position.
struct Operands {
  TensorView x;
  Value weights;
  unsigned result;
};

template <typename Op> FailureOr<Operands> readOperands(KernelFrame &frame, Op op) {
  FailureOr<TensorView> x = frame.view(op, op.getX(), "x");
  FailureOr<unsigned> result = frame.yieldedAs(op, op.getResult());
  if (failed(x) || failed(result))
    return failure();
  FailureOr<Value> weights = packedWeights(frame, op, op.getW());
  if (failed(weights))
    return failure();
  if (x->strides.back() != 1 && x->shape.back() != 1)
    return op->emitError("CPU kernel @")
           << frame.kernel.getSymName() << " needs rows of x whose last dimension is contiguous";
  return Operands{*x, *weights, *result};
}

template <typename Op> Projection makeProjection(KernelFrame &frame, Op op, const TensorView &x) {
  auto w = cast<RankedTensorType>(op.getW().getType());
  const int64_t depth = w.getShape().back(), outputs = w.getDimSize(w.getRank() - 2);
  Projection projection(frame.e, x.elementType, w.getElementType(), elementOf(op.getResult()),
                        depth, outputs);
  projection.xRowBytes = x.rowStride * byteSize(x.elementType);
  auto y = cast<RankedTensorType>(op.getResult().getType());
  projection.yRowBytes = byteSize(y.getElementType());
  for (int64_t size : staticShape(y))
    projection.yRowBytes *= size;
  return projection;
}

} // namespace

BuiltTiling buildLinear(KernelFrame &frame, epi::LinearOp op) {
  FailureOr<Operands> operands = readOperands(frame, op);
  if (failed(operands))
    return failure();
  KernelEmitter &e = frame.e;
  Projection projection = makeProjection(frame, op, operands->x);
  const Tiling tiling{projection.tileRows(), projection.panels()};
  Value x = frame.rowAddress(operands->x, e.constant(0));
  frame.forTiles(tiling, [&](Value first, Value last, Value panel) {
    projection.emit(first, last, panel, x, operands->weights,
                    frame.resultAddress(operands->result));
  });
  return tiling;
}

BuiltTiling buildHeadLinear(KernelFrame &frame, epi::HeadLinearOp op) {
  FailureOr<Operands> operands = readOperands(frame, op);
  if (failed(operands))
    return failure();
  KernelEmitter &e = frame.e;
  const TensorView &view = operands->x;
  Projection projection = makeProjection(frame, op, view);
  const int64_t heads = view.shape[0], panels = projection.panels();
  const int64_t yHeadBytes = projection.yRowBytes / heads;
  const Tiling tiling{projection.tileRows(), heads * panels};
  Value x = frame.rowAddress(view, e.constant(0));
  frame.forTiles(tiling, [&](Value first, Value last, Value column) {
    Value head = e.divide(column, panels), panel = e.remainder(column, panels);
    projection.emit(first, last, panel,
                    e.element(x, head, view.strides[0] * byteSize(view.elementType)),
                    e.element(operands->weights, head, panels * projection.panelBytes()),
                    e.element(frame.resultAddress(operands->result), head, yHeadBytes));
  });
  return tiling;
}

// The rows of an expert are known at run time only, so a tile is all rows of one (expert, panel).
BuiltTiling buildGroupedLinear(KernelFrame &frame, epi::GroupedLinearOp op) {
  FailureOr<Operands> operands = readOperands(frame, op);
  FailureOr<TensorView> counts = frame.view(op, op.getCounts(), "counts");
  if (failed(operands) || failed(counts))
    return failure();
  KernelEmitter &e = frame.e;
  Projection projection = makeProjection(frame, op, operands->x);
  const int64_t experts = counts->shape[0], panels = projection.panels();
  const Tiling tiling{0, experts * panels};
  Value x = frame.rowAddress(operands->x, e.constant(0));
  Value sizes = frame.rowAddress(*counts, e.constant(0));
  frame.forTiles(tiling, [&](Value, Value, Value column) {
    Value expert = e.divide(column, panels), panel = e.remainder(column, panels);
    auto sizeOf = [&](Value index) { return e.loadI32(e.element(sizes, index, sizeof(int32_t))); };
    Value first = e.forLoop(
        e.constant(0), expert, 1, {e.constant(0)},
        [&](Value index, Values sum) -> Values { return {e.add(sum[0], sizeOf(index))}; })[0];
    projection.emit(first, e.add(first, sizeOf(expert)), panel, x,
                    e.element(operands->weights, expert, panels * projection.panelBytes()),
                    frame.resultAddress(operands->result));
  });
  return tiling;
}

} // namespace epigraph::cpu
