// Fused row groups: any body of elementwise operations, rms_norm, softmax, concat and views.
//
// Row by row: first what needs the whole row, in the order of the body: the sums of each norm and
// softmax, loops over the expression that they reduce, and the single values that meet a whole row;
// then each result, evaluated from the inputs in chunks of one vector. Expressions are emitted
// where they are needed and never stored, so intermediate values stay in registers; one that a norm
// and a result share is computed twice, from the first-level cache. Values are rounded to bf16
// exactly where their types say so.
#include "codegen/cpu/Elementwise.h"
#include "codegen/cpu/KernelBuilders.h"
#include "codegen/target/RowLayout.h"

#include "llvm/ADT/TypeSwitch.h"

#include <limits>
#include <map>
#include <tuple>

using namespace mlir;

namespace epigraph::cpu {
namespace {

/// Rows of a tile: enough work to be worth a tile, few enough that a small batch is shared out.
constexpr int64_t kTileRows = 8;
constexpr int64_t kFloatBytes = sizeof(float);

Type elementOf(Value value) { return cast<RankedTensorType>(value.getType()).getElementType(); }

/// One row of the kernel.
class RowEvaluator {
public:
  RowEvaluator(KernelFrame &frame, RowLayout &layout, Value row)
      : frame(frame), e(frame.e), layout(layout), row(row) {}

  /// Emits what `op` needs of the whole row: afterwards its value can be evaluated.
  void prepare(Operation &op) {
    if (auto norm = dyn_cast<epi::RmsNormOp>(op))
      return isPerHead(norm) ? reduceHeads(norm) : reduce(norm);
    if (auto softmax = dyn_cast<epi::SoftmaxOp>(op))
      return reduce(softmax);
    for (OpOperand &operand : op.getOpOperands())
      if (broadcastOf(operand) == epi::Broadcast::Rows) {
        Chunk chunk{e.constant(0), e.constant(0), 1, {}};
        prepared[&op] = {e.sumOf(evaluate(operand.get(), {}, chunk))};
      }
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

  static int64_t columnsOf(epi::RmsNormOp norm) { return RowLayout::elementsOf(norm.getW()); }
  bool isPerHead(epi::RmsNormOp norm) { return layout.elementsOf(norm.getX()) != columnsOf(norm); }

  /// 1 / sqrt(squares / count + eps).
  Value scaleOf(epi::RmsNormOp norm, Value squares) {
    Value mean = e.divideFloats(squares, e.number(static_cast<double>(columnsOf(norm)), 0));
    Value shifted = e.addFloats(mean, e.number(norm.getEps().convertToDouble(), 0));
    return e.divideFloats(e.number(1.0, 0), e.squareRoot(shifted));
  }

  /// `squares` plus those of a chunk of what `norm` normalises.
  Value addSquares(epi::RmsNormOp norm, Position at, Chunk &chunk, Value squares) {
    Value x = e.padWithZeros(evaluate(norm.getX(), at, chunk), e.width());
    return e.fma(x, x, squares);
  }

  /// Leaves the factor of the row.
  void reduce(epi::RmsNormOp norm) {
    Value squares = overValue(norm.getX(), e.number(0.0, e.width()),
                              [&](Position at, Chunk &chunk, Value carried) {
                                return addSquares(norm, at, chunk, carried);
                              });
    prepared[norm] = {scaleOf(norm, e.sumOf(squares))};
  }

  /// Leaves the factor of each head, in scratch memory.
  void reduceHeads(epi::RmsNormOp norm) {
    const int64_t columns = columnsOf(norm), heads = layout.elementsOf(norm.getX()) / columns;
    Value zero = e.constant(0), factors = e.scratch(heads * kFloatBytes);
    Type f32 = e.builder.getF32Type();
    prepared[norm] = {factors};
    e.forLoop(zero, e.constant(heads), 1, [&](Value head) {
      e.storeFloat(e.number(0.0, 0), e.element(factors, head, kFloatBytes), f32);
    });
    for (const Run &run : layout.runsOf(norm.getX(), columns))
      forRepetitions(run, [&](Value repetition) {
        Value squares =
            e.forColumns(run.length, {e.number(0.0, e.width())},
                         [&](Value column, int64_t width, const Values &carried) -> Values {
                           Chunk chunk{repetition, column, width, {}};
                           return {addSquares(norm, run.at, chunk, carried[0])};
                         })[0];
        Value sum = factorOfHead(norm, run.at, repetition);
        e.storeFloat(e.addFloats(e.loadFloat(sum, f32), e.sumOf(squares)), sum, f32);
      });
    e.forLoop(zero, e.constant(heads), 1, [&](Value head) {
      Value factor = e.element(factors, head, kFloatBytes);
      e.storeFloat(scaleOf(norm, e.loadFloat(factor, f32)), factor, f32);
    });
  }

  /// The address of the factor of the head that a run, which crosses none, is in.
  Value factorOfHead(epi::RmsNormOp norm, Position at, Value repetition) {
    Value start = e.add(e.multiply(repetition, at.step), at.start);
    return e.element(prepared.at(norm)[0], e.divide(start, columnsOf(norm)), kFloatBytes);
  }

  /// Leaves the maximum and the sum of the exponentials.
  void reduce(epi::SoftmaxOp softmax) {
    const double least = -std::numeric_limits<double>::infinity();
    Value maximum =
        overValue(softmax.getX(), e.number(least, 0), [&](Position at, Chunk &chunk, Value best) {
          Value x = evaluate(softmax.getX(), at, chunk);
          return e.maximumFloats(best, e.maximumOf(x));
        });
    prepared[softmax] = {maximum};
    Value sum = overValue(softmax.getX(), e.number(0.0, e.width()),
                          [&](Position at, Chunk &chunk, Value carried) {
                            Value power = exponentialOf(softmax, at, chunk);
                            return e.addFloats(carried, e.padWithZeros(power, e.width()));
                          });
    prepared[softmax].push_back(e.sumOf(sum));
  }

  /// exp(x - maximum).
  Value exponentialOf(epi::SoftmaxOp softmax, Position at, Chunk &chunk) {
    Value maximum = e.broadcast(prepared.at(softmax)[0], chunk.width);
    return e.exponential(e.subtractFloats(evaluate(softmax.getX(), at, chunk), maximum));
  }

  /// Carries one value through all chunks of `value`.
  Value overValue(Value value, Value initial,
                  llvm::function_ref<Value(Position, Chunk &, Value)> body) {
    for (const Run &run : layout.runsOf(value))
      initial = overRun(
          run, {initial},
          [&](Value repetition, Value column, int64_t width, const Values &carried) -> Values {
            Chunk chunk{repetition, column, width, {}};
            return {body(run.at, chunk, carried[0])};
          })[0];
    return initial;
  }

  void forRepetitions(const Run &run, llvm::function_ref<void(Value)> body) {
    if (run.count == 1)
      return body(e.constant(0));
    e.forLoop(e.constant(0), e.constant(run.count), 1, body);
  }

  Values overRun(const Run &run, const Values &carried,
                 llvm::function_ref<Values(Value, Value, int64_t, Values)> body) {
    auto columns = [&](Value repetition, const Values &values) {
      return e.forColumns(run.length, values,
                          [&](Value column, int64_t width, const Values &inner) {
                            return body(repetition, column, width, inner);
                          });
    };
    if (run.count > 1 && !carried.empty())
      return e.forLoop(e.constant(0), e.constant(run.count), 1, carried, columns);
    Values last;
    forRepetitions(run, [&](Value repetition) { last = columns(repetition, carried); });
    return last;
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

  /// A position and the step of its repetitions, in an operand.
  static Position moved(Position at, llvm::function_ref<int64_t(int64_t)> map) {
    const int64_t start = map(at.start);
    return {start, at.step ? map(at.start + at.step) - start : 0};
  }

  /// The elements of an operand that meet those of its operation's result.
  Value evaluateOperand(OpOperand &operand, Position at, Chunk &chunk) {
    switch (broadcastOf(operand)) {
    case epi::Broadcast::None:
      return evaluate(operand.get(), at, chunk);
    case epi::Broadcast::Columns:
      return evaluate(operand.get(),
                      moved(at,
                            [&](int64_t position) {
                              return RowLayout::throughVector(operand.get(), position);
                            }),
                      chunk);
    case epi::Broadcast::Rows:
      return e.broadcast(prepared.at(operand.getOwner())[0], chunk.width);
    }
    llvm_unreachable("all ways to meet are covered");
  }

  Value compute(Value value, Position at, Chunk &chunk) {
    if (const std::optional<TensorView> &view = layout.viewOf(value))
      return load(*view, at, chunk);
    Operation *op = value.getDefiningOp();
    if (isElementwise(op)) {
      Values operands;
      for (OpOperand &operand : op->getOpOperands())
        operands.push_back(evaluateOperand(operand, at, chunk));
      return computeElementwise(e, op, operands);
    }
    return llvm::TypeSwitch<Operation *, Value>(op)
        .Case([&](epi::ReshapeOp reshape) { return evaluate(reshape.getX(), at, chunk); })
        .Case([&](epi::RmsNormOp norm) {
          Value factor = prepared.at(norm)[0];
          if (isPerHead(norm))
            factor = e.loadFloat(factorOfHead(norm, at, chunk.repetition), e.builder.getF32Type());
          Value normal =
              e.multiplyFloats(evaluate(norm.getX(), at, chunk), e.broadcast(factor, chunk.width));
          return e.multiplyFloats(normal, evaluateOperand(norm.getWMutable(), at, chunk));
        })
        .Case([&](epi::SoftmaxOp softmax) {
          Value sum = e.broadcast(prepared.at(softmax)[1], chunk.width);
          return e.divideFloats(exponentialOf(softmax, at, chunk), sum);
        })
        .Case([&](epi::SplitOp split) {
          const unsigned part = cast<OpResult>(value).getResultNumber();
          return evaluate(split.getX(),
                          moved(at,
                                [&](int64_t position) {
                                  return RowLayout::throughSplit(split, part, position);
                                }),
                          chunk);
        })
        .Case([&](epi::ConcatOp concat) {
          Value operand = concat.getInputs()[RowLayout::throughConcat(concat, at.start).first];
          return evaluate(operand,
                          moved(at,
                                [&](int64_t position) {
                                  return RowLayout::throughConcat(concat, position).second;
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

  KernelFrame &frame;
  KernelEmitter &e;
  RowLayout &layout;
  Value row;
  /// What whole rows gave each operation.
  std::map<Operation *, Values> prepared;
};

bool hasRows(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && type.getRank() > 0 && type.isDynamicDim(0);
}

/// A vector that meets every row, or what computes one.
bool isVector(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && type.getRank() == 1 && type.hasStaticShape();
}

LogicalResult checkTypes(KernelFrame &frame) {
  for (Operation &op : frame.kernel.getBody().front())
    for (OpOperand &operand : op.getOpOperands()) {
      const bool meetsRows = broadcastOf(operand) == epi::Broadcast::Columns ||
                             (op.getNumResults() && llvm::all_of(op.getResults(), isVector));
      if (!hasRows(operand.get()) && !(meetsRows && isVector(operand.get())))
        return op.emitError("CPU kernel @")
               << frame.kernel.getSymName() << " is computed row by row, but an operand of '"
               << op.getName() << "' has type " << operand.get().getType()
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
      for (Operation &op : body.without_terminator())
        evaluator.prepare(op);
      for (auto [index, value] : llvm::enumerate(body.getTerminator()->getOperands()))
        evaluator.store(value, index);
    });
  });
  return tiling;
}

} // namespace epigraph::cpu
