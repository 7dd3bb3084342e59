// Routing: the experts of each token and their weights, one token at a time, in scratch memory of
// one row.
//
// The best element of a row is found in two vector passes (the maximum, then the least index that
// has it), which makes the lower index win a tie; a chosen element is then put out of the game with
// minus infinity.
#include "codegen/cpu/KernelBuilders.h"

#include <limits>

using namespace mlir;

namespace epigraph::cpu {
namespace {

constexpr int64_t kTileRows = 8;
constexpr int64_t kFloatBytes = sizeof(float);
constexpr double kNone = -std::numeric_limits<double>::infinity();

/// A row of float32 in scratch memory, padded to whole vectors.
struct Line {
  Value address;
  int64_t size, padded;
};

class Router {
public:
  Router(KernelEmitter &e, epi::RouteOp op, int64_t experts)
      : e(e), op(op), experts(experts), groups(op.getGroups()), scores(makeLine(experts)),
        choices(makeLine(experts)), groupScores(makeLine(groups)), isTaken(makeLine(groups)) {}

  /// Routes the token whose logits are at `logits`; `bias` may be null.
  void route(Value logits, Value bias, Value ids, Value weights) {
    computeScores(logits);
    forEach(scores, [&](Value column, int64_t width) {
      Value choice = load(scores, column, width);
      if (bias)
        choice =
            e.addFloats(choice, e.loadFloats(e.element(bias, column, kFloatBytes), f32(), width));
      store(choice, choices, column);
    });
    padLine(choices);
    if (groups > 1)
      keepBestGroups();
    takeBest(ids, weights);
  }

private:
  Type f32() { return e.builder.getF32Type(); }

  Line makeLine(int64_t size) {
    const int64_t padded = llvm::alignTo(size, e.width());
    return {e.scratch(padded * kFloatBytes), size, padded};
  }

  Value load(const Line &line, Value column, int64_t width) {
    return e.loadFloats(e.element(line.address, column, kFloatBytes), f32(), width);
  }
  void store(Value value, const Line &line, Value column) {
    e.storeFloats(value, e.element(line.address, column, kFloatBytes), f32());
  }
  Value loadOne(const Line &line, Value column) {
    return e.loadFloat(e.element(line.address, column, kFloatBytes), f32());
  }
  void storeOne(Value value, const Line &line, Value column) {
    e.storeFloat(value, e.element(line.address, column, kFloatBytes), f32());
  }
  void forEach(const Line &line, llvm::function_ref<void(Value, int64_t)> body) {
    e.forColumns(line.size, body);
  }

  /// The padding takes part in searches and must never win.
  void padLine(const Line &line) {
    if (line.padded != line.size)
      e.storePartial(e.number(kNone, e.width()), line.padded - line.size,
                     e.advance(line.address, line.size * kFloatBytes), f32());
  }

  void computeScores(Value logits) {
    switch (op.getScore()) {
    case epi::ScoreFunction::Sigmoid:
      return sigmoid(logits);
    case epi::ScoreFunction::Softmax:
      return softmax(logits);
    case epi::ScoreFunction::Identity:
      return e.copyBytes(logits, scores.address, experts * kFloatBytes);
    }
  }

  void sigmoid(Value logits) {
    forEach(scores, [&](Value column, int64_t width) {
      Value x = e.loadFloats(e.element(logits, column, kFloatBytes), f32(), width);
      Value one = e.number(1.0, width);
      store(e.divideFloats(one, e.addFloats(one, e.exponential(e.negate(x)))), scores, column);
    });
  }

  void softmax(Value logits) {
    auto logit = [&](Value column, int64_t width) {
      return e.loadFloats(e.element(logits, column, kFloatBytes), f32(), width);
    };
    Value maximum = e.forColumns(
        experts, {e.number(kNone, 0)}, [&](Value column, int64_t width, Values best) -> Values {
          return {e.maximumFloats(best[0], e.maximumOf(logit(column, width)))};
        })[0];
    Value sum = e.forColumns(experts, {e.number(0.0, e.width())},
                             [&](Value column, int64_t width, Values sum) -> Values {
                               Value relative = e.subtractFloats(logit(column, width),
                                                                 e.broadcast(maximum, width));
                               Value power = e.exponential(relative);
                               store(power, scores, column);
                               return {e.addFloats(sum[0], e.padWithZeros(power, e.width()))};
                             })[0];
    Value total = e.sumOf(sum);
    forEach(scores, [&](Value column, int64_t width) {
      store(e.divideFloats(load(scores, column, width), e.broadcast(total, width)), scores, column);
    });
  }

  /// The index of the largest element, the least one if there are several. Within the line even if
  /// its elements are not numbers.
  Value findBest(const Line &line) {
    Value zero = e.constant(0), end = e.constant(line.padded);
    Value best = e.forLoop(zero, end, e.width(), {e.number(kNone, e.width())},
                           [&](Value column, Values carried) -> Values {
                             return {e.maximumFloats(carried[0], load(line, column, e.width()))};
                           })[0];
    Value maximum = e.broadcast(e.maximumOf(best), e.width());
    Value last = e.broadcastI32(e.constant(line.size - 1), e.width());
    Value index =
        e.forLoop(zero, end, e.width(), {last}, [&](Value column, Values carried) -> Values {
          Value here = e.add(e.iota(0, e.width()), e.broadcastI32(column, e.width()));
          Value isBest = e.isEqualFloats(load(line, column, e.width()), maximum);
          return {e.minimum(carried[0], e.select(isBest, here, last))};
        })[0];
    return e.minimumOfI32(index);
  }

  /// The score of the group whose choices start at `first`.
  Value scoreGroup(Value first) {
    const int64_t size = experts / groups;
    const bool two = op.getGroupScore() == epi::GroupScore::Top2Sum && size > 1;
    Values best{e.number(kNone, 0), e.number(kNone, 0)};
    best = e.forLoop(first, e.add(first, size), 1, best, [&](Value expert, Values top) -> Values {
      Value choice = loadOne(choices, expert);
      return {e.maximumFloats(top[0], choice),
              e.maximumFloats(top[1], e.minimumFloats(top[0], choice))};
    });
    return two ? e.addFloats(best[0], best[1]) : best[0];
  }

  /// Takes the experts outside of the best groups out of the choice.
  void keepBestGroups() {
    const int64_t size = experts / groups;
    Value zero = e.constant(0);
    e.forLoop(zero, e.constant(groups), 1, [&](Value group) {
      storeOne(scoreGroup(e.multiply(group, size)), groupScores, group);
      storeOne(e.number(0.0, 0), isTaken, group);
    });
    padLine(groupScores);
    e.forLoop(zero, e.constant(op.getTopGroups()), 1, [&](Value) {
      Value group = findBest(groupScores);
      storeOne(e.number(kNone, 0), groupScores, group);
      storeOne(e.number(1.0, 0), isTaken, group);
    });
    e.forLoop(zero, e.constant(groups), 1, [&](Value group) {
      Value taken = loadOne(isTaken, group), first = e.multiply(group, size);
      e.forColumns(size, [&](Value column, int64_t width) {
        Value at = e.add(first, column);
        Value isKept = e.isGreater(e.broadcast(taken, width), e.number(0.0, width));
        store(e.select(isKept, load(choices, at, width), e.number(kNone, width)), choices, at);
      });
    });
  }

  /// Takes the `top_k` best choices, and weighs them by their scores.
  void takeBest(Value ids, Value weights) {
    Value zero = e.constant(0), topK = e.constant(op.getTopK());
    Value sum =
        e.forLoop(zero, topK, 1, {e.number(0.0, 0)}, [&](Value j, Values carried) -> Values {
          Value expert = findBest(choices);
          storeOne(e.number(kNone, 0), choices, expert);
          Value score = loadOne(scores, expert);
          e.storeI32(expert, e.element(ids, j, sizeof(int32_t)));
          e.storeFloat(score, e.element(weights, j, kFloatBytes), f32());
          return {e.addFloats(carried[0], score)};
        })[0];
    Value divisor = e.addFloats(sum, e.number(1e-20, 0));
    Value scale = e.number(op.getScale().convertToDouble(), 0);
    e.forLoop(zero, topK, 1, [&](Value j) {
      Value address = e.element(weights, j, kFloatBytes);
      Value weight = e.loadFloat(address, f32());
      if (op.getNormalize())
        weight = e.divideFloats(weight, divisor);
      e.storeFloat(e.multiplyFloats(weight, scale), address, f32());
    });
  }

  KernelEmitter &e;
  epi::RouteOp op;
  int64_t experts, groups;
  Line scores, choices, groupScores, isTaken;
};

} // namespace

BuiltTiling buildRoute(KernelFrame &frame, epi::RouteOp op) {
  FailureOr<TensorView> logits = frame.view(op, op.getLogits(), "logits");
  FailureOr<unsigned> ids = frame.yieldedAs(op, op.getIds());
  FailureOr<unsigned> weights = frame.yieldedAs(op, op.getWeights());
  if (failed(logits) || failed(ids) || failed(weights))
    return failure();
  KernelEmitter &e = frame.e;
  Value bias;
  if (op.getBias()) {
    FailureOr<TensorView> view = frame.view(op, op.getBias(), "bias");
    if (failed(view))
      return failure();
    bias = frame.rowAddress(*view, e.constant(0));
  }
  Router router(e, op, logits->shape[0]);
  const Tiling tiling{kTileRows, 1};
  frame.forTiles(tiling, [&](Value first, Value last, Value) {
    e.forLoop(first, last, 1, [&](Value row) {
      router.route(frame.rowAddress(*logits, row), bias, frame.resultRow(*ids, row),
                   frame.resultRow(*weights, row));
    });
  });
  return tiling;
}

} // namespace epigraph::cpu
