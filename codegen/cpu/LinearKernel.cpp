// Projections: linear, head_linear and grouped_linear over one micro kernel.
//
// Weights lie in panels of 32 output columns, contiguous along K in groups of 32 bits (two bf16 or
// one f32), FP8 weights one by one. The micro kernel keeps one float32 accumulator for each (row,
// column) of a tile of up to 8 rows by 32 columns in registers, walks K once in ascending order,
// and broadcasts x. All tile heights sum in that order, so the height that a row happens to fall
// into does not show in its result. FP8 weights become float32 in registers, times the scale of
// their block: as if the weights had been dequantized in float32. The sums leave through the
// kernel's epilogue.
#include "codegen/cpu/KernelBuilders.h"
#include "codegen/cpu/LinearEpilogue.h"
#include "codegen/cpu/WeightPanel.h"

#include <algorithm>

using namespace mlir;

namespace epigraph::cpu {
namespace {

/// Steps along K in one pass of the inner loop.
constexpr int64_t kUnroll = 4;
/// How far ahead weights are prefetched when several rows share them: one row leaves the hardware
/// prefetcher enough room, more instructions for each cache line do not.
constexpr int64_t kPrefetchBytes = 8192;
constexpr int64_t kCacheLine = 64;
constexpr int64_t kFloatBytes = sizeof(float);
constexpr int64_t kScaleBlock = epi::kScaleBlock;
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
  Value scales = {};  ///< of panel 0; null without them
  Value head = {};    ///< null without heads
  Value bias = {};    ///< of panel 0, in `biasType`; null without one
  Type biasType = {};
};

/// One product x W^T of static depth and width, over any range of rows.
class Projection {
public:
  Projection(KernelEmitter &e, LinearEpilogue epilogue, Type xType, RankedTensorType w)
      : e(e), epilogue(std::move(epilogue)), xType(xType), wType(w.getElementType()),
        depth(w.getShape().back()), outputs(w.getDimSize(w.getRank() - 2)),
        packedDepth(panelOf(w).getDepth()), groupDepth(wType.isF32() ? 1 : 2),
        vectors(kPanelColumns / e.width()) {}

  /// Bytes between the rows of x.
  int64_t xRowBytes = 0;

  int64_t panels() const { return llvm::divideCeil(outputs, kPanelColumns); }
  int64_t panelBytes() const { return llvm::alignTo(depth, packedDepth) * bytesOfStep(); }
  /// Scales of one row of blocks, and of the weight.
  int64_t scaleColumns() const { return llvm::divideCeil(depth, kScaleBlock); }
  int64_t scaleBytes() const {
    return llvm::divideCeil(outputs, kScaleBlock) * scaleColumns() * kFloatBytes;
  }

  /// Rows of a tile: their x takes a quarter of the second-level cache beside a panel of weights.
  int64_t tileRows() const {
    const int64_t tallest = tileHeights(e.width()).front();
    const int64_t fit = e.target().l2Bytes / 4 / (depth * byteSize(xType));
    return std::clamp(fit / tallest * tallest, tallest, kMaxTileRows);
  }

  /// Rows [first, last) of `panel`.
  void emit(Value first, Value last, const Panel &panel) {
    const Weights w = weightsOf(panel);
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
  /// Weights of one panel from some K on.
  struct Weights {
    Value values;
    Value scales = {}; ///< one for each block of K; null without them
    Value scale = {};  ///< of the present block, in all lanes, in units of loadFloat8; null without
  };

  /// Bytes of one K of a panel, and of a group of them.
  int64_t bytesOfStep() const { return kPanelColumns * byteSize(wType); }
  int64_t bytesOfGroup() const { return groupDepth * bytesOfStep(); }

  Weights weightsOf(const Panel &panel) {
    Weights w{.values = e.element(panel.weights, panel.index, panelBytes())};
    static_assert(kScaleBlock % kPanelColumns == 0, "a panel lies in one row of blocks");
    if (panel.scales)
      w.scales = e.element(panel.scales, e.divide(panel.index, kScaleBlock / kPanelColumns),
                           scaleColumns() * kFloatBytes);
    return w;
  }

  /// The sums of `height` rows from `x` on: height * vectors accumulators, row by row.
  Values multiply(int64_t height, Value x, const Weights &w) {
    Values sums(height * vectors, e.number(0.0, e.width()));
    if (!w.scales)
      return addStretch(sums, height, x, w, depth);
    auto addBlock = [&](Value block, const Values &carried, int64_t length) {
      Weights here = w;
      here.values = e.element(w.values, block, kScaleBlock * bytesOfStep());
      Value scale = e.loadFloat(e.element(w.scales, block, kFloatBytes), e.builder.getF32Type());
      here.scale =
          e.multiplyFloats(e.broadcast(scale, e.width()), e.number(kFloat8Unit, e.width()));
      return addStretch(carried, height, e.element(x, block, kScaleBlock * byteSize(xType)), here,
                        length);
    };
    const int64_t blocks = depth / kScaleBlock;
    if (blocks > 0)
      sums =
          e.forLoop(e.constant(0), e.constant(blocks), 1, sums, [&](Value block, Values carried) {
            return addBlock(block, carried, kScaleBlock);
          });
    return depth % kScaleBlock ? addBlock(e.constant(blocks), sums, depth % kScaleBlock) : sums;
  }

  /// `sums` and the products along the first `length` of K.
  Values addStretch(Values sums, int64_t height, Value x, const Weights &w, int64_t length) {
    const int64_t groups = length / groupDepth, unrolled = groups / kUnroll * kUnroll;
    const int64_t xStep = groupDepth * byteSize(xType);
    auto at = [&](Value base, int64_t offset) {
      Weights moved = w;
      moved.values = e.advance(base, offset);
      return moved;
    };
    auto run = [&](int64_t begin, int64_t end, int64_t unroll) {
      if (begin == end)
        return;
      sums = e.forLoop(e.constant(begin), e.constant(end), unroll, sums,
                       [&](Value group, Values carried) {
                         Value xGroup = e.element(x, group, xStep);
                         Value wGroup = e.element(w.values, group, bytesOfGroup());
                         for (int64_t i = 0; i < unroll; ++i)
                           step(carried, height, e.advance(xGroup, i * xStep),
                                at(wGroup, i * bytesOfGroup()), groupDepth);
                         return carried;
                       });
    };
    run(0, unrolled, kUnroll);
    run(unrolled, groups, 1);
    // The last weight may have no partner: its place holds zeros, or is not there; that of x holds
    // anything.
    if (length % groupDepth)
      step(sums, height, e.advance(x, groups * xStep), at(w.values, groups * bytesOfGroup()), 1);
    return sums;
  }

  /// Adds one group along K, of `count` elements.
  void step(Values &sums, int64_t height, Value x, const Weights &w, int64_t count) {
    if (height > 1)
      for (int64_t line = 0; line < bytesOfGroup(); line += kCacheLine)
        e.prefetch(e.advance(w.values, kPrefetchBytes + line));
    if (wType.isBF16() && xType.isBF16() && e.target().hasBf16Dot)
      return stepDot(sums, height, x, w.values, count);
    // x of each row first, then one vector of weights at a time: few registers are live.
    SmallVector<Values> factors;
    for (int64_t i = 0; i < height; ++i)
      factors.push_back(broadcastRow(e.advance(x, i * xRowBytes), count));
    for (int64_t v = 0; v < vectors; ++v) {
      Values weights = expandWeights(w, v * e.width(), count);
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

  /// The weights of the vector of columns from `column` on, at `count` neighbouring K.
  Values expandWeights(const Weights &w, int64_t column, int64_t count) {
    Value from = e.advance(w.values, column * packedDepth * byteSize(wType));
    if (w.scale) {
      Values weights;
      for (int64_t k = 0; k < count; ++k)
        weights.push_back(
            e.multiplyFloats(e.loadFloat8(e.advance(from, k * bytesOfStep()), e.width()), w.scale));
      return weights;
    }
    if (!wType.isBF16())
      return {e.loadFloats(from, wType, e.width())};
    Value loaded = e.loadPairs(from, e.width());
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
  int64_t packedDepth; ///< K that lie side by side for each column
  int64_t groupDepth;  ///< K of one step
  int64_t vectors;     ///< vectors in a panel's columns
};

/// The address of the scales of `op`'s weight, null without them; a diagnostic if they cannot be
/// read, or if x is quantized too.
template <typename Op> FailureOr<Value> weightScales(KernelFrame &frame, Op op) {
  if (!op.getWScale())
    return Value();
  if (op.getXScale())
    return op->emitError("CPU kernel @")
           << frame.kernel.getSymName() << " multiplies FP8 weights by wide activations only; "
           << "compile for the CPU without --epi-quantize-activations";
  FailureOr<TensorView> view = frame.view(op, op.getWScale(), "w_scale");
  if (failed(view))
    return failure();
  return frame.rowAddress(*view, frame.e.constant(0));
}

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
  const TensorView &x = operands.x;
  Projection projection(frame.e, operands.epilogue, x.elementType,
                        cast<RankedTensorType>(op.getW().getType()));
  projection.xRowBytes = x.rowStride * byteSize(x.elementType);
  return projection;
}

} // namespace

BuiltTiling buildLinear(KernelFrame &frame, epi::LinearOp op) {
  FailureOr<Operands> operands = readOperands(frame, op);
  FailureOr<Value> scales = weightScales(frame, op);
  if (failed(operands) || failed(scales))
    return failure();
  Projection projection = makeProjection(frame, op, *operands);
  const Tiling tiling{projection.tileRows(), projection.panels()};
  Panel all{.x = frame.rowAddress(operands->x, frame.e.constant(0)),
            .weights = operands->weights,
            .scales = *scales};
  frame.forTiles(tiling, [&](Value first, Value last, Value index) {
    Panel panel = all;
    panel.index = index;
    projection.emit(first, last, panel);
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
  FailureOr<Value> scales = weightScales(frame, op);
  if (failed(operands) || failed(counts) || failed(scales))
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
    if (*scales)
      panel.scales = e.element(*scales, expert, projection.scaleBytes());
    if (all.bias)
      panel.bias = e.element(all.bias, expert, biasBytes);
    projection.emit(first, e.add(first, sizeOf(expert)), panel);
  });
  return tiling;
}

} // namespace epigraph::cpu
