// The experts of a token lie in the registers of the lanes, ascending with (lane, place), and a
// group takes whole lanes. The best of them is found as the largest of an integer key that orders
// as the choices do: each lane knows its own best, one reduction gives the warp's, and the first
// lane that has it wins, which makes the lower index win a tie. A chosen expert's key is then
// put below all others.
#include "codegen/cuda/TokenRouter.h"

#include <cstdint>
#include <limits>

#include "codegen/cuda/WarpChoice.h"

using namespace mlir;

namespace epigraph::cuda {
namespace {

constexpr int64_t kLanes = 32;
/// Experts of one lane at most: their scores and keys stay in registers.
constexpr int64_t kMostPerLane = 32;
constexpr double kNever = -std::numeric_limits<double>::infinity();

/// Which experts each lane has: `lanesOfGroup` neighbouring lanes, a power of two, share a group;
/// each has `perLane` experts that follow one another.
struct LaneLayout {
  LaneLayout(int64_t experts, int64_t groups) : experts(experts), groups(groups) {
    lanesOfGroup = kLanes;
    while (lanesOfGroup * groups > kLanes)
      lanesOfGroup /= 2;
    perLane = lanesOfGroup == 0 ? 0 : llvm::divideCeil(groupSize(), lanesOfGroup);
  }

  int64_t groupSize() const { return experts / groups; }
  /// Whether every place of every lane has an expert.
  bool isFull() const { return perLane * kLanes == experts; }

  int64_t experts, groups, lanesOfGroup, perLane;
};

LaneLayout layoutOf(epi::RouteOp op) {
  const bool choosesGroups = op.getTopGroups() < op.getGroups();
  return LaneLayout(cast<RankedTensorType>(op.getLogits().getType()).getDimSize(1),
                    choosesGroups ? static_cast<int64_t>(op.getGroups()) : 1);
}

/// Routes the token of one warp.
class Router {
public:
  Router(Emitter &e, epi::RouteOp op, const LaneLayout &layout)
      : e(e), op(op), layout(layout), group(e.lane() / layout.lanesOfGroup) {
    Val inGroup = (e.lane() % layout.lanesOfGroup) * layout.perLane;
    firstExpert = group * layout.groupSize() + inGroup;
    if (layout.isFull())
      return;
    for (int64_t place = 0; place < layout.perLane; ++place)
      exists.push_back((inGroup + place < e.i32(layout.groupSize())) & (group < layout.groups));
  }

  /// The lane's elements of the row at `row`, whose experts are `stride` floats apart; 0 where
  /// there is no expert. `aligned`: floats that may be loaded at once.
  Vals loadRun(Val row, int64_t stride, int64_t aligned, LoadHint hint) {
    Vals run;
    if (layout.isFull() && stride == 1 && aligned > 1) {
      for (int64_t place = 0; place < layout.perLane; place += aligned)
        run.append(e.elements(e.load(e.vector(e.f32(), aligned),
                                     e.at(row, firstExpert + place, sizeof(float)), hint)));
      return run;
    }
    for (int64_t place = 0; place < layout.perLane; ++place) {
      Val expert = e.minimum(firstExpert + place, e.i32(layout.experts - 1));
      Val element = e.load(e.f32(), e.at(row, expert, stride * sizeof(float)), hint);
      run.push_back(existsOr(place, element, 0.0));
    }
    return run;
  }

  /// Chooses by `logits` and `bias` (empty: none).
  Choice route(ArrayRef<Val> logits, ArrayRef<Val> bias) {
    computeScores(logits);
    Vals choices;
    for (int64_t place = 0; place < layout.perLane; ++place) {
      Val choice = bias.empty() ? scores[place] : scores[place] + bias[place];
      choices.push_back(existsOr(place, choice, kNever));
    }
    Val isKept = layout.groups > 1 ? keepBestGroups(choices) : Val();
    for (int64_t place = 0; place < layout.perLane; ++place) {
      Val key = orderKey(choices[place]);
      if (isKept)
        key = e.select(isKept, key, e.i32(kKeyBelowAll));
      keys.push_back(layout.isFull() ? key : e.select(exists[place], key, e.i32(kKeyBelowAll)));
    }
    return takeBest();
  }

private:
  Val existsOr(int64_t place, Val value, double otherwise) {
    return layout.isFull() ? value : e.select(exists[place], value, e.f32(otherwise));
  }

  /// The first lane for which `condition` holds, 0 if there is none.
  Val firstLane(Val condition) {
    Val lanes = e.ballot(condition);
    Val below = (lanes - 1) & (lanes ^ -1); // The bits below the lowest one.
    return e.popCount(below) & (kLanes - 1);
  }

  void computeScores(ArrayRef<Val> logits) {
    switch (op.getScore()) {
    case epi::ScoreFunction::Sigmoid:
      for (Val logit : logits)
        scores.push_back(e.sigmoid(logit));
      return;
    case epi::ScoreFunction::Softmax:
      return softmax(logits);
    case epi::ScoreFunction::Identity:
      scores.assign(logits.begin(), logits.end());
      return;
    }
  }

  void softmax(ArrayRef<Val> logits) {
    Val highest = e.f32(kNever);
    for (int64_t place = 0; place < layout.perLane; ++place)
      highest = e.maximum(highest, existsOr(place, logits[place], kNever));
    highest = e.warpMax(highest);
    Val sum = e.f32(0.0);
    for (int64_t place = 0; place < layout.perLane; ++place) {
      scores.push_back(existsOr(place, e.exp(logits[place] - highest), 0.0));
      sum = sum + scores.back();
    }
    Val inverse = e.reciprocal(e.warpSum(sum));
    for (Val &score : scores)
      score = score * inverse;
  }

  /// Whether this lane's group takes part.
  Val keepBestGroups(ArrayRef<Val> choices) {
    Val key = e.select(group < layout.groups, orderKey(groupScore(choices)), e.i32(kKeyBelowAll));
    Vals state = e.forLoop(e.i32(0), e.i32(static_cast<int64_t>(op.getTopGroups())), e.i32(1),
                           {key, e.boolean(false)}, [&](Val, ArrayRef<Val> carried) -> Vals {
                             Val best = firstLane(carried[0] == largestOfWarp(carried[0]));
                             Val isMine = group == best / layout.lanesOfGroup;
                             return {e.select(isMine, e.i32(kKeyBelowAll), carried[0]),
                                     e.logicalOr(carried[1], isMine)};
                           });
    return state[1];
  }

  /// The score of the lane's group: its two best choices are found by pairs.
  Val groupScore(ArrayRef<Val> choices) {
    Val best = e.f32(kNever), second = e.f32(kNever);
    auto include = [&](Val otherBest, Val otherSecond) {
      second = e.maximum(e.minimum(best, otherBest), e.maximum(second, otherSecond));
      best = e.maximum(best, otherBest);
    };
    for (Val choice : choices)
      include(choice, e.f32(kNever));
    for (int64_t distance = 1; distance < layout.lanesOfGroup; distance *= 2)
      include(e.shuffleXor(best, distance), e.shuffleXor(second, distance));
    const bool isSum = op.getGroupScore() == epi::GroupScore::Top2Sum && layout.groupSize() > 1;
    return isSum ? best + second : best;
  }

  /// Key, place and score of the lane's best expert; the first of equal ones.
  struct Best {
    Val key, place, score;
  };

  Best bestOfLane(ArrayRef<Val> laneKeys) {
    Best best{laneKeys[0], e.i32(0), scores[0]};
    for (int64_t place = 1; place < layout.perLane; ++place) {
      Val isBetter = laneKeys[place] > best.key;
      best = {e.select(isBetter, laneKeys[place], best.key),
              e.select(isBetter, e.i32(place), best.place),
              e.select(isBetter, scores[place], best.score)};
    }
    return best;
  }

  /// Takes the `top_k` best; lane j keeps the j-th of them. The lane that has the winner forgets it
  /// by itself, so that no choice waits until all know what the one before it was.
  Choice takeBest() {
    Vals initial{e.i32(0), e.f32(0.0), e.f32(0.0)}; // The lane's id and score; sum of scores.
    initial.append(keys);
    Val topK = e.i32(static_cast<int64_t>(op.getTopK()));
    Vals taken = e.forLoop(e.i32(0), topK, e.i32(1), initial, [&](Val j, ArrayRef<Val> carried) {
      Best best = bestOfLane(carried.drop_front(3));
      Val winner = firstLane(best.key == largestOfWarp(best.key));
      Val id = e.shuffle(firstExpert + best.place, winner);
      Val score = e.shuffle(best.score, winner);
      Val isMine = e.lane() == j, isWinner = e.lane() == winner;
      Vals next{e.select(isMine, id, carried[0]), e.select(isMine, score, carried[1]),
                carried[2] + score};
      for (auto [place, key] : llvm::enumerate(carried.drop_front(3))) {
        Val isTaken = e.logicalAnd(isWinner, best.place == static_cast<int64_t>(place));
        next.push_back(e.select(isTaken, e.i32(kKeyBelowAll), key));
      }
      return next;
    });
    Val weight = taken[1];
    if (op.getNormalize())
      weight = e.divide(weight, taken[2] + e.f32(1e-20));
    weight = weight * e.f32(op.getScale().convertToDouble());
    return {taken[0], weight};
  }

  Emitter &e;
  epi::RouteOp op;
  LaneLayout layout;
  Val group;       ///< of the lane
  Val firstExpert; ///< of the lane
  Vals exists;     ///< by place; empty if all do
  Vals scores, keys;
};

/// Floats of rows `stride` apart, from `offset` on, that a lane may load at once, from the start of
/// its experts on.
int64_t alignedFloats(int64_t offset, int64_t stride, const LaneLayout &layout) {
  const int64_t place = offset | stride | layout.perLane | layout.groupSize();
  return std::min<int64_t>(place & -place, 4);
}

int64_t alignedFloats(const TensorView &view, const LaneLayout &layout) {
  return alignedFloats(view.offset, view.rowStride, layout);
}

LogicalResult checkSizes(KernelAssembly &assembly, epi::RouteOp op, const LaneLayout &layout) {
  const auto topK = static_cast<int64_t>(op.getTopK());
  if (layout.groups <= kLanes && layout.perLane <= kMostPerLane && topK <= kLanes)
    return success();
  return op.emitError("CUDA kernel @")
         << assembly.kernel.getSymName() << " routes to up to " << kLanes * kMostPerLane
         << " experts in up to " << kLanes << " groups, and takes up to " << kLanes
         << " of them; got " << layout.experts << " experts, " << layout.groups
         << " groups, top_k = " << topK;
}

} // namespace

FailureOr<Routing> Routing::describe(KernelAssembly &assembly, epi::RouteOp op) {
  FailureOr<unsigned> ids = assembly.yieldedAs(op, op.getIds());
  FailureOr<unsigned> weights = assembly.yieldedAs(op, op.getWeights());
  if (failed(ids) || failed(weights) || failed(checkSizes(assembly, op, layoutOf(op))))
    return failure();
  Routing routing{op, std::nullopt, std::nullopt, *ids, *weights};
  if (!op.getLogits().getDefiningOp<epi::LinearOp>()) {
    FailureOr<TensorView> logits = assembly.view(op, op.getLogits(), "logits");
    if (failed(logits))
      return failure();
    routing.logits = *logits;
  }
  if (op.getBias()) {
    FailureOr<TensorView> bias = assembly.view(op, op.getBias(), "bias");
    if (failed(bias))
      return failure();
    routing.bias = *bias;
  }
  return routing;
}

Vals loadBias(KernelFrame &frame, const Routing &routing) {
  if (!routing.bias)
    return {};
  const LaneLayout layout = layoutOf(routing.op);
  return Router(frame.e, routing.op, layout)
      .loadRun(frame.rowAddress(*routing.bias, {}), routing.bias->strides[0],
               alignedFloats(*routing.bias, layout), LoadHint::ReadOnly);
}

Choice routeToken(KernelFrame &frame, const Routing &routing, ArrayRef<Val> bias, Val token) {
  const LaneLayout layout = layoutOf(routing.op);
  const TensorView &logits = *routing.logits;
  Router router(frame.e, routing.op, layout);
  return router.route(router.loadRun(frame.rowAddress(logits, token), logits.strides[0],
                                     alignedFloats(logits, layout), LoadHint::Plain),
                      bias);
}

Choice routeLogits(Emitter &e, const Routing &routing, ArrayRef<Val> bias, Val logits) {
  const LaneLayout layout = layoutOf(routing.op);
  Router router(e, routing.op, layout);
  return router.route(router.loadRun(logits, /*stride=*/1,
                                     alignedFloats(/*offset=*/0, layout.experts, layout),
                                     LoadHint::Plain),
                      bias);
}

void forChoice(Emitter &e, const Routing &routing, llvm::function_ref<void()> body) {
  epi::RouteOp op = routing.op;
  e.ifThen(e.lane() < static_cast<int64_t>(op.getTopK()), body);
}

void storeChoice(KernelFrame &frame, const Routing &routing, Val token, Choice choice) {
  Emitter &e = frame.e;
  forChoice(e, routing, [&] {
    e.store(choice.id, e.at(frame.resultRow(routing.ids, token), e.lane(), sizeof(int32_t)));
    e.store(choice.weight, e.at(frame.resultRow(routing.weights, token), e.lane(), sizeof(float)));
  });
}

void addRoute(KernelAssembly &assembly, const Routing &routing, StringRef suffix) {
  constexpr int64_t kWarps = 4;
  FunctionSpec spec;
  spec.suffix = suffix.str();
  spec.threads = kWarps * kLanes;
  spec.rowTile = kWarps;
  assembly.addFunction(spec, [&](KernelFrame &frame) {
    Emitter &e = frame.e;
    Vals bias = loadBias(frame, routing);
    e.waitForPrevious();
    e.allowNext();
    Val token = e.blockId() * kWarps + e.warp();
    e.ifThen(token < frame.rows(),
             [&] { storeChoice(frame, routing, token, routeToken(frame, routing, bias, token)); });
  });
}

} // namespace epigraph::cuda
