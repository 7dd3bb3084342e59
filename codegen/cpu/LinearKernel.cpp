// Projections: linear, head_linear and grouped_linear over one micro kernel.
//
// Weights lie in panels of 32 output columns, contiguous along K in groups of 32 bits (two bf16 or
// one f32). The micro kernel keeps one float32 accumulator for each (row, column) of a tile of up
// to 8 rows by 32 columns in registers, walks K once in ascending order, and broadcasts x. All tile
// heights sum in that order, so the height that a row happens to fall into does not show in its
// result. The sums leave through the kernel's epilogue.
#include "codegen/cpu/KernelBuilders.h"
#include "codegen/cpu/LinearEpilogue.h"
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

/// One panel's product x W^T: where its operands are, and which of the results it makes.
struct Panel {
  Value index = {};
  Value x = {};       ///< row 0
  Value weights = {}; ///< of panel 0
  Value head = {};    ///< null without heads
  Value bias = {};    ///< of panel 0, in `biasType`; null without one
  Type biasType = {};
};

/// One product x W^T of static depth and width, over any range of rows.
class Projection {
public:
  Projection(KernelEmitter &e, LinearEpilogue epilogue, Type xType, Type wType, int64_t depth,
             int64_t outputs)
      : e(e), epilogue(std::move(epilogue)), xType(xType), wType(wType), depth(depth),
        outputs(outputs), pairs(wType.isBF16() ? 2 : 1), vectors(kPanelColumns / e.width()) {}

  /// Bytes between the rows of x.
  int64_t xRowBytes = 0;

  int64_t panels() const { return llvm::divideCeil(outputs, kPanelColumns); }
  int64_t panelBytes() const { return llvm::divideCeil(depth, pairs) * kGroupBytes; }

  /// Rows of a tile: their x takes a quarter of the second-level cache beside a panel of weights.
  int64_t tileRows() const {
    const int64_t tallest = tileHeights(e.width()).front();
    const int64_t fit = e.target().l2Bytes / 4 / (depth * byteSize(xType));
    return std::clamp(fit / tallest * tallest, tallest, kMaxTileRows);
  }

  /// Rows [first, last) of `panel`.
  void emit(Value first, Value last, const Panel &panel) {
    Value w = e.element(panel.weights, panel.index, panelBytes());
    Value row = first;
    for (int64_t height : tileHeights(e.width())) {
      Value stop = e.add(row, e.multiply(e.divide(e.subtract(last, row), height), height));
      e.forLoop(row, stop, height, [&](Value r) {
        store(height, multiply(height, e.element(panel.x, r, xRowBytes), w), r, panel);
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

  /// The rows from `row` on, of a panel whose width the last one's may not be.
  void store(int64_t height, const Values &sums, Value row, const Panel &panel) {
    const int64_t lastColumns = outputs - (panels() - 1) * kPanelColumns;
    if (panels() == 1 || lastColumns == kPanelColumns)
      return storeColumns(lastColumns, height, sums, row, panel);
    e.ifThenElse(
        e.isLess(panel.index, e.constant(panels() - 1)),
        [&] { storeColumns(kPanelColumns, height, sums, row, panel); },
        [&] { storeColumns(lastColumns, height, sums, row, panel); });
  }

  void storeColumns(int64_t columns, int64_t height, const Values &sums, Value row,
                    const Panel &panel) {
    ResultPlace place{.row = row,
                      .rowOffset = 0,
                      .head = panel.head,
                      .column = e.multiply(panel.index, kPanelColumns),
                      .columnOffset = 0,
                      .count = 0};
    for (; place.rowOffset < height; ++place.rowOffset)
      for (int64_t v = 0; v * e.width() < columns; ++v) {
        place.columnOffset = v * e.width();
        place.count = std::min(e.width(), columns - place.columnOffset);
        Value sum = sums[place.rowOffset * vectors + v];
        epilogue.store(panel.bias ? e.addFloats(sum, loadBias(panel, place)) : sum, place);
      }
  }

  Value loadBias(const Panel &panel, const ResultPlace &place) {
    const int64_t bytes = byteSize(panel.biasType);
    Value address =
        e.advance(e.element(panel.bias, place.column, bytes), place.columnOffset * bytes);
    return e.loadPartial(address, place.count, panel.biasType, e.width());
  }

  KernelEmitter &e;
  LinearEpilogue epilogue;
  Type xType, wType;
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

/// What the three operations have in common: x as a view, w packed, what follows.
struct Operands {
  TensorView x;
  Value weights;
  LinearEpilogue epilogue;
};

template <typename Op> FailureOr<Operands> readOperands(KernelFrame &frame, Op op) {
  FailureOr<TensorView> x = frame.view(op, op.getX(), "x");
  if (failed(x))
    return failure();
  FailureOr<Value> weights = packedWeights(frame, op, op.getW());
  if (failed(weights))
    return failure();
  if (x->strides.back() != 1 && x->shape.back() != 1)
    return op->emitError("CPU kernel @")
           << frame.kernel.getSymName() << " needs rows of x whose last dimension is contiguous";
  FailureOr<LinearEpilogue> epilogue = LinearEpilogue::create(frame, op);
  if (failed(epilogue))
    return failure();
  return Operands{*x, *weights, *epilogue};
}

template <typename Op>
Projection makeProjection(KernelFrame &frame, Op op, const Operands &operands) {
  auto w = cast<RankedTensorType>(op.getW().getType());
  const int64_t depth = w.getShape().back(), outputs = w.getDimSize(w.getRank() - 2);
  const TensorView &x = operands.x;
  Projection projection(frame.e, operands.epilogue, x.elementType, w.getElementType(), depth,
                        outputs);
  projection.xRowBytes = x.rowStride * byteSize(x.elementType);
  return projection;
}

} // namespace

BuiltTiling buildLinear(KernelFrame &frame, epi::LinearOp op) {
  FailureOr<Operands> operands = readOperands(frame, op);
  if (failed(operands))
    return failure();
  Projection projection = makeProjection(frame, op, *operands);
  const Tiling tiling{projection.tileRows(), projection.panels()};
  Value x = frame.rowAddress(operands->x, frame.e.constant(0));
  frame.forTiles(tiling, [&](Value first, Value last, Value panel) {
    projection.emit(first, last, {.index = panel, .x = x, .weights = operands->weights});
  });
  return tiling;
}

BuiltTiling buildHeadLinear(KernelFrame &frame, epi::HeadLinearOp op) {
  FailureOr<Operands> operands = readOperands(frame, op);
  if (failed(operands))
    return failure();
  KernelEmitter &e = frame.e;
  const TensorView &view = operands->x;
  Projection projection = makeProjection(frame, op, *operands);
  const int64_t heads = view.shape[0], panels = projection.panels();
  const Tiling tiling{projection.tileRows(), heads * panels};
  Value x = frame.rowAddress(view, e.constant(0));
  frame.forTiles(tiling, [&](Value first, Value last, Value column) {
    Value head = e.divide(column, panels);
    projection.emit(
        first, last,
        {.index = e.remainder(column, panels),
         .x = e.element(x, head, view.strides[0] * byteSize(view.elementType)),
         .weights = e.element(operands->weights, head, panels * projection.panelBytes()),
         .head = head});
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
  Panel all{.x = frame.rowAddress(operands->x, e.constant(0))};
  int64_t biasBytes = 0; // of one expert
  if (op.getBias()) {
    FailureOr<TensorView> bias = frame.view(op, op.getBias(), "bias");
    if (failed(bias))
      return failure();
    all.bias = frame.rowAddress(*bias, e.constant(0));
    all.biasType = bias->elementType;
    biasBytes = bias->shape[1] * byteSize(bias->elementType);
  }
  Projection projection = makeProjection(frame, op, *operands);
  const int64_t experts = counts->shape[0], panels = projection.panels();
  const Tiling tiling{0, experts * panels};
  Value sizes = frame.rowAddress(*counts, e.constant(0));
  frame.forTiles(tiling, [&](Value, Value, Value column) {
    Value expert = e.divide(column, panels);
    auto sizeOf = [&](Value index) { return e.loadI32(e.element(sizes, index, sizeof(int32_t))); };
    Value first = e.forLoop(
        e.constant(0), expert, 1, {e.constant(0)},
        [&](Value index, Values sum) -> Values { return {e.add(sum[0], sizeOf(index))}; })[0];
    Panel panel = all;
    panel.index = e.remainder(column, panels);
    panel.weights = e.element(operands->weights, expert, panels * projection.panelBytes());
    if (all.bias)
      panel.bias = e.element(all.bias, expert, biasBytes);
    projection.emit(first, e.add(first, sizeOf(expert)), panel);
  });
  return tiling;
}

} // namespace epigraph::cpu
