// The items that a token's context is cut into share the work of merging them: each takes as many
// runs of columns of the token as it has parts, so that all have the same, however contexts are
// cut. All blocks of the launch are dealt out to the items that there are, so that few items have
// many blocks. A warp merges one run, or several do, each some of the partial results, so that the
// loads of all are under way at once; the largest logarithm moves as they come in.
#include "codegen/cuda/AttentionMerge.h"

#include "codegen/cuda/AttentionItems.h"
#include "runtime/artifact/KernelAbi.h"
#include "llvm/ADT/STLExtras.h"

#include <algorithm>

using namespace mlir;

namespace epigraph::cuda {
namespace {

constexpr int64_t kLanes = 32;
constexpr int64_t kWarps = 8;
/// What a lane loads of a partial result.
constexpr int64_t kLoadBytes = 16;
/// Partial results whose loads a warp has under way at once.
constexpr int64_t kTogether = 8;
/// Loads of an item for which it gets one more block, and its most blocks where there are as many
/// items as there may be.
constexpr int64_t kLoadsOfBlock = kWarps * kTogether, kMostBlocks = 4;
/// Blocks that fit a multiprocessor: few registers of each, so that they are there, and those of
/// the next kernel beside them, when attention ends.
constexpr int64_t kBlocksOfCore = 4;
/// Below every logarithm of a sum of weights, and a number.
constexpr double kNoLogarithm = -1e30;
constexpr int64_t kFloatBytes = sizeof(float);

/// The partial results [first, first + count) of a token.
struct TokenPartials {
  Val first, count;
};

/// What a lane has of a run: the largest logarithm so far, and sums in terms of it.
struct RunState {
  Val highest, total;
  Vals sums;

  Vals pack() const {
    Vals all{highest, total};
    all.append(sums.begin(), sums.end());
    return all;
  }
  static RunState unpack(ArrayRef<Val> values) {
    return {values[0], values[1], Vals(values.drop_front(2))};
  }

  /// Makes `to`, at least as large, the logarithm that sums are in terms of.
  void rescale(Val to) {
    Emitter &e = to.owner();
    Val factor = e.exp2(highest - to);
    highest = to;
    total = total * factor;
    for (Val &sum : sums)
      sum = sum * factor;
  }
  void add(Val weight, ArrayRef<Val> values, Val ofTotal) {
    Emitter &e = weight.owner();
    total = e.fma(weight, ofTotal, total);
    for (auto [sum, value] : llvm::zip_equal(sums, values))
      sum = e.fma(weight, value, sum);
  }
};

/// How the partial results of a token are merged: runs of neighbouring columns, as many as a warp
/// loads at once, first those of a head.
struct MergeRuns {
  const AttentionPartials &partials;

  int64_t laneColumns() const { return kLoadBytes / partials.elementBytes(); }
  int64_t columns() const { return kLanes * laneColumns(); }
  int64_t ofHead() const { return llvm::divideCeil(partials.columns, columns()); }
  int64_t count() const { return partials.heads * ofHead(); }
  /// Blocks for each item that there may be, which has as many loads as there are runs.
  int64_t blocksOfItem() const {
    return std::min<int64_t>(llvm::divideCeil(count(), kLoadsOfBlock), kMostBlocks);
  }
  /// Shared memory: of each warp the sums of its lanes, then of each the logarithm and the total.
  int64_t sumBytes() const { return columns() * kFloatBytes; }
  int64_t sharedBytes() const { return kWarps * (sumBytes() + 2 * kFloatBytes); }
};

class Merger {
public:
  Merger(KernelFrame &frame, const AttentionPartials &partials, unsigned result)
      : frame(frame), e(frame.e), partials(partials), runs{partials}, result(result) {}

  void emit() {
    e.allowNext();
    // The step's arrays were there before its first kernel: only results are waited for.
    Val items = itemCount(frame, kTokenItems);
    blocksOfItem = e.blockCount() / e.maximum(items, e.i32(1));
    Val index = e.blockId() / blocksOfItem;
    Val exists = index < items;
    ItemValues item = loadItem(frame, kTokenItems, index);
    row = e.select(exists, item.token, e.i32(0));
    Val list = frame.stepPointer(offsetof(DeviceStep, tokenPartials));
    of = {e.load(e.i32(), e.at(list, row, 2 * sizeof(int32_t))), item.partials};
    chooseRuns(item.partial - of.first);
    Val hasRuns = e.logicalAnd(e.logicalAnd(exists, of.count > 1), start < end);
    waitIfHasWork(e, hasRuns);
    e.ifThen(hasRuns, [&] { mergeRuns(); });
  }

private:
  /// The runs of part `part`, of which this block has some.
  void chooseRuns(Val part) {
    Val parts = e.maximum(of.count, e.i32(1));
    end = (part + 1) * runs.count() / parts;
    // Warps that share a run: as few as can load all of it at once.
    team = e.i32(1);
    for (int64_t size = 2; size <= kWarps; size *= 2)
      team = e.select(of.count > kTogether * size / 2, e.i32(size), team);
    runsOfBlock = e.i32(kWarps) / team;
    start = part * runs.count() / parts + e.blockId() % blocksOfItem * runsOfBlock;
  }

  void mergeRuns() {
    e.forEach(start, end, runsOfBlock * blocksOfItem, [&](Val ofBlock) {
      Val run = ofBlock + e.warp() / team, exists = run < end;
      run = e.minimum(run, end - 1);
      Val head = run / runs.ofHead();
      Val column = run % runs.ofHead() * runs.columns() + e.lane() * runs.laneColumns();
      // Lanes without columns compute those of the head's last ones, and write the same.
      column = e.minimum(column, e.i32(partials.columns - runs.laneColumns()));
      RunState state = sum(head, column);
      e.ifElse(
          team == 1, [&] { e.ifThen(exists, [&] { store(state, head, column); }); },
          [&] {
            share(state);
            e.syncThreads();
            e.ifThen(e.logicalAnd(exists, e.warp() % team == 0),
                     [&] { store(sumOfTeam(), head, column); });
            e.syncThreads();
          });
    });
  }

  /// Of the partial results that this warp of the team takes.
  RunState sum(Val head, Val column) {
    RunState state{e.f32(kNoLogarithm), e.f32(0.0),
                   Vals(static_cast<size_t>(runs.laneColumns()), e.f32(0.0))};
    return RunState::unpack(e.forLoop(e.warp() % team, of.count, team * kTogether, state.pack(),
                                      [&](Val start, ArrayRef<Val> carried) -> Vals {
                                        RunState next = RunState::unpack(carried);
                                        addSome(next, start, head, column);
                                        return next.pack();
                                      }));
  }

  /// Adds kTogether partial results from `start` on, a team apart; those past the last weigh
  /// nothing.
  void addSome(RunState &state, Val start, Val head, Val column) {
    Vals logarithms, means;
    for (int64_t i = 0; i < kTogether; ++i) {
      Val place = start + team * i;
      Val partial = of.first + e.minimum(place, of.count - 1);
      Val logarithm = e.load(e.f32(), partials.logarithm(frame, partial, head));
      logarithms.push_back(e.select(place < of.count, logarithm, e.f32(kNoLogarithm)));
      Val at = e.at(partials.means(frame, partial, head), column, partials.elementBytes());
      means.push_back(e.load(e.vector(partials.element, runs.laneColumns()), at));
    }
    Val highest = state.highest;
    for (Val logarithm : logarithms)
      highest = e.maximum(highest, logarithm);
    state.rescale(highest);
    for (auto [logarithm, mean] : llvm::zip_equal(logarithms, means))
      state.add(e.exp2(logarithm - highest), e.elements(e.toF32(mean)), e.f32(1.0));
  }

  /// Where the sums of this lane are that warp `warp` has.
  Val sharedSums(Val warp) {
    return e.at(e.at(e.sharedMemory(), warp, runs.sumBytes()), e.lane(),
                runs.laneColumns() * kFloatBytes);
  }
  Val sharedTotal(Val warp) {
    return e.at(e.offset(e.sharedMemory(), kWarps * runs.sumBytes()), warp, 2 * kFloatBytes);
  }

  void share(const RunState &state) {
    for (int64_t i = 0; i < runs.laneColumns(); i += 4)
      e.store(e.pack(ArrayRef(state.sums).slice(static_cast<size_t>(i), 4)),
              e.offset(sharedSums(e.warp()), i * kFloatBytes));
    e.ifThen(e.lane() == 0,
             [&] { e.store(e.pack({state.highest, state.total}), sharedTotal(e.warp())); });
  }

  RunState sumOfTeam() {
    RunState state{e.f32(kNoLogarithm), e.f32(0.0),
                   Vals(static_cast<size_t>(runs.laneColumns()), e.f32(0.0))};
    Val first = e.warp();
    return RunState::unpack(e.forLoop(
        first, first + team, e.i32(1), state.pack(), [&](Val warp, ArrayRef<Val> carried) -> Vals {
          RunState next = RunState::unpack(carried);
          Val pair = e.load(e.vector(e.f32(), 2), sharedTotal(warp));
          Val highest = e.maximum(next.highest, e.element(pair, 0));
          next.rescale(highest);
          Vals sums;
          for (int64_t i = 0; i < runs.laneColumns(); i += 4)
            sums.append(e.elements(
                e.load(e.vector(e.f32(), 4), e.offset(sharedSums(warp), i * kFloatBytes))));
          next.add(e.exp2(e.element(pair, 0) - highest), sums, e.element(pair, 1));
          return next.pack();
        }));
  }

  void store(const RunState &state, Val head, Val column) {
    Val inverse = e.reciprocal(state.total);
    Vals means;
    for (Val sum : state.sums)
      means.push_back(sum * inverse);
    auto type = cast<RankedTensorType>(frame.kernel.getResultTypes()[result]).getElementType();
    const int64_t bytes = type.getIntOrFloatBitWidth() / 8;
    Val to = e.at(frame.resultRow(result, row), head * partials.columns + column, bytes);
    for (int64_t i = 0; i < runs.laneColumns(); i += 4)
      e.store(e.fromF32(e.pack(ArrayRef(means).slice(static_cast<size_t>(i), 4)), type),
              e.offset(to, i * bytes));
  }

  KernelFrame &frame;
  Emitter &e;
  const AttentionPartials &partials;
  const MergeRuns runs;
  unsigned result;
  Val blocksOfItem;
  Val row;
  TokenPartials of;
  Val team;        ///< warps that share a run
  Val runsOfBlock; ///< at a time
  Val start, end;  ///< of the block's runs
};

} // namespace

int64_t AttentionPartials::bytes() const {
  const int64_t logarithmBytes = heads * static_cast<int64_t>(sizeof(float));
  return llvm::alignTo(heads * columns * elementBytes() + logarithmBytes, 16);
}

Val AttentionPartials::means(KernelFrame &frame, Val partial, Val head) const {
  Emitter &e = frame.e;
  return e.at(e.at(frame.workspace(), partial, bytes()), head, columns * elementBytes());
}

Val AttentionPartials::logarithm(KernelFrame &frame, Val partial, Val head) const {
  Emitter &e = frame.e;
  Val all = e.offset(e.at(frame.workspace(), partial, bytes()), heads * columns * elementBytes());
  return e.at(all, head, sizeof(float));
}

void needPartials(KernelAssembly &assembly, const AttentionPartials &partials, int64_t items) {
  assembly.needTokenItems(items);
  // The step is cut for the kernel that asks for most items: one for each multiprocessor, at most.
  const int64_t mostItems = std::max(items, assembly.target.multiprocessors);
  const auto most = static_cast<int64_t>(mostPartials(static_cast<uint64_t>(mostItems)));
  assembly.needWorkspace(most * partials.bytes());
}

void addAttentionMerge(KernelAssembly &assembly, const AttentionPartials &partials,
                       unsigned index) {
  const MergeRuns runs{partials};
  FunctionSpec spec;
  spec.suffix = "merge";
  spec.threads = kWarps * kLanes;
  spec.blocksOfCore = kBlocksOfCore;
  spec.grid = DeviceGrid::TokenItems;
  spec.columnTiles = runs.blocksOfItem();
  spec.sharedBytes = runs.sharedBytes();
  assembly.addFunction(spec, [&](KernelFrame &frame) { Merger(frame, partials, index).emit(); });
}

} // namespace epigraph::cuda
