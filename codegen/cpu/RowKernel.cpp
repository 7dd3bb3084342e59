// Fused row groups: any body of elementwise operations, rms_norm, concat and views.
//
// Row by row: first the reduction of each rms_norm, a loop over the expression that it normalises;
// then each result, evaluated from the inputs in chunks of one vector. Expressions are emitted
// where they are needed and never stored, so intermediate values stay in registers; one that a norm
// and a result share is computed twice, from the first-level cache. Values are rounded to bf16
// exactly where their types say so.
#include "codegen/cpu/KernelBuilders.h"
#include "codegen/cpu/RowLayout.h"

#include "llvm/ADT/TypeSwitch.h"

#include <map>
#include <tuple>

using namespace mlir;

namespace epigraph::cpu {
namespace {

/// Rows of a tile: enough work to be worth a tile, few enough that a small batch is shared out.
constexpr int64_t kTileRows = 8;

Type elementOf(Value value) { return cast<RankedTensorType>(value.getType()).getElementType(); }

/// One row of the kernel.
class RowEvaluator {
public:
  RowEvaluator(KernelFrame &frame, RowLayout &layout, Value row)
      : frame(frame), e(frame.e), layout(layout), row(row) {}

  /// Emits the reduction of `norm`: afterwards its value can be evaluated.
  void reduce(epi::RmsNormOp norm) {
    Values sum{e.number(0.0, e.width())};
    for (const Run &run : layout.runsOf(norm.getX()))
      sum = overRun(run, sum,
                    [&](Value repetition, Value column, int64_t width, const Values &carried) {
                      Chunk chunk{repetition, column, width, {}};
                      Value x = e.padWithZeros(evaluate(norm.getX(), run.at, chunk), e.width());
                      return Values{e.fma(x, x, carried[0])};
                    });
    Value mean = e.divideFloats(e.sumOf(sum[0]),
                                e.number(static_cast<double>(layout.elementsOf(norm.getX())), 0));
    Value shifted = e.addFloats(mean, e.number(norm.getEps().convertToDouble(), 0));
    scales[norm] = e.divideFloats(e.number(1.0, 0), e.squareRoot(shifted));
  }

  /// Stores `value` as result `index`.
  void store(Value value, unsigned index) {
    const int64_t bytes = byteSize(elementOf(value));
    Value base = frame.resultRow(index, row);
    for (const Run &run : layout.runsOf(value))
      overRun(run, {},
              [&](Value repetition, Value column, int64_t width, const Values &) -> Values {
                Chunk chunk{repetition, column, width, {}};
                Value result = evaluateExactly(value, run.at, chunk);
                e.storeFloats(result, addressOf(base, run.at, chunk, bytes), elementOf(value));
                return {};
              });
  }

private:
  /// Neighbouring columns of one repetition of a run, and what has been evaluated for them.
  struct Chunk {
    Value repetition, column;
    int64_t width;
    std::map<std::tuple<void *, int64_t, int64_t, bool>, Value> known;
  };

  Values overRun(const Run &run, const Values &carried,
                 llvm::function_ref<Values(Value, Value, int64_t, Values)> body) {
    auto columns = [&](Value repetition, const Values &values) {
      return e.forColumns(run.length, values,
                          [&](Value column, int64_t width, const Values &inner) {
                            return body(repetition, column, width, inner);
                          });
    };
    if (run.count == 1)
      return columns(e.constant(0), carried);
    if (!carried.empty())
      return e.forLoop(e.constant(0), e.constant(run.count), 1, carried, columns);
    e.forLoop(e.constant(0), e.constant(run.count), 1,
              [&](Value repetition) { columns(repetition, {}); });
    return {};
  }

  /// The address of a chunk at `at`, both counted in elements of `bytes`.
  Value addressOf(Value base, Position at, const Chunk &chunk, int64_t bytes) {
    Value elements = e.add(chunk.column, at.start);
    if (at.step)
      elements = e.add(elements, e.multiply(chunk.repetition, at.step));
    return e.element(base, elements, bytes);
  }

  /// The value as its type has it: rounded, if that is bf16.
  Value evaluate(Value value, Position at, Chunk &chunk) {
    return remembered(value, at, chunk, /*rounded=*/true, [&] {
      Value exact = evaluateExactly(value, at, chunk);
      const bool isRounded =
          layout.viewOf(value) ||
          isa<epi::ReshapeOp, epi::SplitOp, epi::ConcatOp>(value.getDefiningOp());
      return elementOf(value).isBF16() && !isRounded ? e.roundToBf16(exact) : exact;
    });
  }

  /// The value in float32, as its operation computes it from rounded operands.
  Value evaluateExactly(Value value, Position at, Chunk &chunk) {
    return remembered(value, at, chunk, /*rounded=*/false,
                      [&] { return compute(value, at, chunk); });
  }

  Value remembered(Value value, Position at, Chunk &chunk, bool rounded,
                   llvm::function_ref<Value()> make) {
    const auto key = std::make_tuple(value.getAsOpaquePointer(), at.start, at.step, rounded);
    if (auto found = chunk.known.find(key); found != chunk.known.end())
      return found->second;
    Value made = make();
    chunk.known[key] = made;
    return made;
  }

  Value compute(Value value, Position at, Chunk &chunk) {
    if (const std::optional<TensorView> &view = layout.viewOf(value))
      return load(*view, at, chunk);
    auto moved = [&](auto map) { // a position and the step of its repetitions, in an operand
      const int64_t start = map(at.start);
      return Position{start, at.step ? map(at.start + at.step) - start : 0};
    };
    return llvm::TypeSwitch<Operation *, Value>(value.getDefiningOp())
        .Case([&](epi::AddOp op) {
          return e.addFloats(evaluate(op.getLhs(), at, chunk), evaluate(op.getRhs(), at, chunk));
        })
        .Case([&](epi::MulOp op) {
          return e.multiplyFloats(evaluate(op.getLhs(), at, chunk),
                                  evaluate(op.getRhs(), at, chunk));
        })
        .Case([&](epi::SiluOp op) { return silu(evaluate(op.getX(), at, chunk)); })
        .Case([&](epi::CastOp op) { return evaluate(op.getX(), at, chunk); })
        .Case([&](epi::ReshapeOp op) { return evaluate(op.getX(), at, chunk); })
        .Case([&](epi::RmsNormOp op) {
          Value scale = e.broadcast(scales.at(op), chunk.width);
          Value normal = e.multiplyFloats(evaluate(op.getX(), at, chunk), scale);
          return e.multiplyFloats(normal, evaluate(op.getW(), at, chunk));
        })
        .Case([&](epi::SplitOp op) {
          const unsigned part = cast<OpResult>(value).getResultNumber();
          return evaluate(op.getX(), moved([&](int64_t position) {
                            return RowLayout::throughSplit(op, part, position);
                          }),
                          chunk);
        })
        .Case([&](epi::ConcatOp op) {
          Value operand = op.getInputs()[RowLayout::throughConcat(op, at.start).first];
          return evaluate(operand, moved([&](int64_t position) {
                            return RowLayout::throughConcat(op, position).second;
                          }),
                          chunk);
        });
  }

  Value load(const TensorView &view, Position at, Chunk &chunk) {
    const int64_t start = RowLayout::offsetIn(view, at.start);
    const int64_t step = at.step ? RowLayout::offsetIn(view, at.start + at.step) - start : 0;
    Value address =
        addressOf(frame.rowAddress(view, row), {start, step}, chunk, byteSize(view.elementType));
    return e.loadFloats(address, view.elementType, chunk.width);
  }

  Value silu(Value x) {
    Value divisor = e.addFloats(e.number(1.0, e.widthOf(x)), e.exponential(e.negate(x)));
    return e.divideFloats(x, divisor);
  }

  KernelFrame &frame;
  KernelEmitter &e;
  RowLayout &layout;
  Value row;
  std::map<Operation *, Value> scales;
};

LogicalResult checkTypes(KernelFrame &frame) {
  for (Operation &op : frame.kernel.getBody().front())
    for (Value value : op.getOperands()) {
      auto type = dyn_cast<RankedTensorType>(value.getType());
      const bool isWeight = isa<epi::RmsNormOp>(op) && op.getOperand(1) == value;
      if (!type || (!isWeight && !(type.getRank() > 0 && type.isDynamicDim(0))))
        return op.emitError("CPU kernel @")
               << frame.kernel.getSymName() << " is computed row by row, but an operand of '"
               << op.getName() << "' has type " << value.getType()
               << ", whose first dimension is not the rows; make it part of the weight program";
    }
  return success();
}

} // namespace

BuiltTiling buildRows(KernelFrame &frame) {
  if (failed(checkTypes(frame)))
    return failure();
  Block &body = frame.kernel.getBody().front();
  RowLayout layout;
  const Tiling tiling{kTileRows, 1};
  frame.forTiles(tiling, [&](Value first, Value last, Value) {
    frame.e.forLoop(first, last, 1, [&](Value row) {
      RowEvaluator evaluator(frame, layout, row);
      for (epi::RmsNormOp norm : body.getOps<epi::RmsNormOp>())
        evaluator.reduce(norm);
      for (auto [index, value] : llvm::enumerate(body.getTerminator()->getOperands()))
        evaluator.store(value, index);
    });
  });
  return tiling;
}

} // namespace epigraph::cpu
