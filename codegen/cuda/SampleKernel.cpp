// The token that each row of logits chooses: where the largest is, or a draw. A long row, such as
// the logits of a vocabulary, is shared by the blocks of a cluster, so that even a single one is
// read by thousands of threads, and no second launch or memory beside the result is needed.
//
// The largest is found first. Each thread keeps the best of its elements, which it meets in
// ascending order, and whether one is not a number. From then on an integer key stands for the
// element, which orders as elements do, with what is not a number above all: the largest key wins,
// the lowest column among equal ones. Every warp leaves its best in the shared memory of the
// cluster's first block, whose first warp chooses among them. For most rows that is all.
//
// Of a row that is drawn from, all blocks get the largest, look for the last token that top-k and
// top-p keep (KeptTokens.h), and read the row once more for the best draw, in the same way.
#include "codegen/cuda/SampleKernel.h"
#include "codegen/cuda/ClusterRow.h"
#include "codegen/cuda/KeptTokens.h"
#include "codegen/cuda/SamplingMath.h"
#include "codegen/cuda/WarpChoice.h"
#include "runtime/artifact/KernelAbi.h"
#include "runtime/base/Sampling.h"

#include <bit>
#include <iterator>
#include <limits>
#include <string>

using namespace mlir;

namespace epigraph::cuda {
namespace {

constexpr int64_t kLanes = 32;
/// Key and column of a warp's best.
constexpr int64_t kSlotBytes = 8;

/// How many blocks share a row, for up to so many rows (0: any number). Few rows need many blocks
/// each to be read fast; for many, blocks that begin and end and meet each other seldom are faster.
struct Form {
  int64_t mostRows, blocks, threads;

  RowSharing shares(const RowPieces &row) const { return {row, blocks, threads}; }
};
constexpr Form kForms[] = {{16, 8, 512}, {64, 2, 1024}, {0, 1, 1024}};

/// Shared memory: a slot for each warp of the cluster, one for the row's best, and KeptTokens'.
int64_t slotBytes(const RowSharing &sharing) { return (sharing.allWarps() + 1) * kSlotBytes; }

/// The key and the column of an element.
struct Best {
  Val key, column;
};

/// What the step says of `row`.
RowChoice choiceOf(KernelFrame &frame, Val row) {
  Emitter &e = frame.e;
  Val all = frame.stepPointer(static_cast<int64_t>(offsetof(DeviceStep, sampling)));
  Val how = e.at(all, row, sizeof(SamplingRow));
  const auto field = [&](Type type, size_t offset) {
    return e.load(type, e.offset(how, static_cast<int64_t>(offset)), LoadHint::ReadOnly);
  };
  return {field(e.i64(), offsetof(SamplingRow, key)), field(e.f32(), offsetof(SamplingRow, scale)),
          field(e.f32(), offsetof(SamplingRow, reach)),
          e.toI64(field(e.i32(), offsetof(SamplingRow, topP))),
          field(e.i32(), offsetof(SamplingRow, topK))};
}

/// The number that `key` is the order key of.
Val valueOfKey(Val key) {
  Emitter &e = key.owner();
  return e.bitcast(e.f32(), e.select(key < 0, key ^ std::numeric_limits<int32_t>::max(), key));
}

/// One block's part in choosing the token of a row.
class SampleBlock {
public:
  SampleBlock(const ClusterRow &row, const RowChoice &how)
      : row(row), e(row.e), how(how), slots(e.sharedMemory()),
        found(e.offset(slots, row.sharing.allWarps() * kSlotBytes)) {}

  /// Stores the token at `result`.
  void run(Val result) {
    leave(bestOfWarp(bestOfThread()));
    row.meet();
    Val isDrawn = how.scale != e.f32(0);
    ifChooses([&](const Best &best) {
      store(best, result);
      e.ifThen(e.logicalAnd(isDrawn, e.lane() < row.sharing.blocks),
               [&] { e.store(e.pack({best.key, best.column}), row.inBlock(found, e.lane())); });
    });
    e.ifThen(isDrawn, [&] { draw(result); });
  }

private:
  /// Of the thread's elements: the largest so far, its column, and whether one was not a number.
  struct Seen {
    Val value, column, isNan;
  };

  Best bestOfThread() {
    Vals seen = row.fold(
        {e.f32(-std::numeric_limits<double>::infinity()), row.firstColumn(), e.boolean(false)},
        [&](const ClusterRow::Element &element, ArrayRef<Val> carried) {
          const Seen seen{carried[0], carried[1], carried[2]};
          Val value = element.value, isLarger = value > seen.value;
          return Vals{e.select(isLarger, value, seen.value),
                      e.select(isLarger, element.column, seen.column),
                      e.logicalOr(seen.isNan, value != value)};
        });
    return {e.select(seen[2], e.i32(kKeyAboveAll), orderKey(seen[0])), seen[1]};
  }

  /// Every lane gets it.
  Best bestOfWarp(const Best &ofLane) {
    Val key = largestOfWarp(ofLane.key);
    Val none = e.i32(std::numeric_limits<int32_t>::max());
    return {key, smallestOfWarp(e.select(ofLane.key == key, ofLane.column, none))};
  }

  /// Leaves the warp's best with the first block.
  void leave(const Best &best) {
    Val first = row.inBlock(slots, e.i32(0));
    e.ifThen(e.lane() == 0, [&] {
      Val slot = row.rank * row.sharing.warps() + e.warp();
      e.store(e.pack({best.key, best.column}), e.at(first, slot, kSlotBytes));
    });
  }

  /// Emits `then` for the first warp of the first block, with the best that were left with it.
  void ifChooses(llvm::function_ref<void(const Best &)> then) {
    e.ifThen(e.logicalAnd(row.rank == 0, e.warp() == 0), [&] { then(bestOfWarp(bestOfSlots())); });
  }

  Best bestOfSlots() {
    const int64_t count = row.sharing.allWarps();
    Best best;
    for (int64_t from = 0; from < count; from += kLanes) {
      Val slot = e.minimum(e.lane() + from, e.i32(count - 1));
      const Best other = bestAt(e.at(slots, slot, kSlotBytes));
      if (from == 0) {
        best = other;
        continue;
      }
      Val isFirst = e.logicalAnd(other.key == best.key, other.column < best.column);
      Val isBetter = e.logicalOr(other.key > best.key, isFirst);
      best = {e.select(isBetter, other.key, best.key),
              e.select(isBetter, other.column, best.column)};
    }
    return best;
  }

  Best bestAt(Val slot) {
    Val both = e.load(e.vector(e.i32(), 2), slot);
    return {e.element(both, 0), e.element(both, 1)};
  }

  void store(const Best &best, Val result) {
    Val column = e.select(best.key == kKeyAboveAll, e.i32(-1), best.column);
    e.ifThen(e.lane() == 0, [&] { e.store(column, result); });
  }

  /// Draws a token, and stores it over the largest, where that is a finite number.
  void draw(Val result) {
    row.meet();
    const Best best = bestAt(found);
    const auto infinite = std::bit_cast<int32_t>(std::numeric_limits<float>::infinity());
    // The keys of infinities, and of what is not a number, are the ends of the range.
    Val isFinite = e.logicalAnd(best.key<infinite, best.key> ~int64_t{infinite});
    e.ifThen(isFinite, [&] {
      const LargestLogit most{best.key, valueOfKey(best.key)};
      KeptTokens kept(row, how, most, e.offset(slots, slotBytes(row.sharing)));
      kept.find();
      leave(bestOfWarp(drawOfThread(best, most, kept)));
      row.meet();
      ifChooses([&](const Best &drawn) { store(drawn, result); });
    });
  }

  /// The thread's best draw; it begins with the largest logit, which every filter keeps.
  Best drawOfThread(const Best &best, const LargestLogit &most, const KeptTokens &kept) {
    const auto consider = [&](const ClusterRow::Element &element, ArrayRef<Val> carried) -> Vals {
      Val score = carried[0], column = carried[1];
      Val distance = element.value - most.value;
      // What cannot win with any noise, or with what was drawn for it, needs none.
      Val canWin = e.fma(distance, how.scale, e.f32(kMostNoise)) >= score;
      Val isIn = e.logicalAnd(e.logicalAnd(distance >= how.reach, canWin), kept.keeps(element));
      const auto keep = [&] { return Vals{score, column}; };
      return e.ifValues(
          isIn,
          [&] {
            Val drawn = drawnFor(how.key, element.column);
            return e.ifValues(
                mayHaveNoise(drawn, score - distance * how.scale),
                [&] { return better({score, column}, element, distance, drawn); }, keep);
          },
          keep);
    };
    Vals drawn = row.fold({samplingNoise(drawnFor(how.key, best.column)), best.column}, consider);
    return {orderKey(drawn[0]), drawn[1]};
  }

  /// The best score and its column, with that of `element`, for which `drawn` was drawn.
  Vals better(const Vals &best, const ClusterRow::Element &element, Val distance, Val drawn) {
    Val score = e.fma(distance, how.scale, samplingNoise(drawn));
    Val isFirst = e.logicalAnd(score == best[0], element.column < best[1]);
    Val isBetter = e.logicalOr(score > best[0], isFirst);
    return {e.select(isBetter, score, best[0]), e.select(isBetter, element.column, best[1])};
  }

  const ClusterRow &row;
  Emitter &e;
  const RowChoice &how;
  Val slots, found;
};

void addVariant(KernelAssembly &assembly, const TensorView &x, unsigned result,
                const RowPieces &pieces, const RowSharing &sharing, int64_t mostRows) {
  FunctionSpec spec;
  if (sharing.blocks > 1)
    spec.suffix = "by" + std::to_string(sharing.blocks);
  spec.threads = sharing.threads;
  spec.blocksOfCore = sharing.threads <= 512 ? 2 : 1;
  spec.sharedBytes = slotBytes(sharing) + KeptTokens::sharedBytes(sharing);
  spec.cluster = sharing.blocks;
  spec.rowTile = 1;
  spec.columnTiles = sharing.blocks;
  assembly.beginVariant(mostRows);
  assembly.addFunction(spec, [&](KernelFrame &frame) {
    Emitter &e = frame.e;
    Val index = e.blockId() / sharing.blocks;
    const ClusterRow row(frame, x, pieces, sharing, index);
    // The first block must be running before others write to its memory.
    if (sharing.blocks > 1)
      row.meet();
    // The step is there before its first kernel, with room for the rows of every launch.
    const RowChoice how = choiceOf(frame, index);
    e.allowNext();
    e.waitForPrevious();
    e.ifThen(index < frame.rows(),
             [&] { SampleBlock(row, how).run(frame.resultRow(result, index)); });
  });
}

} // namespace

LogicalResult buildSample(KernelAssembly &assembly, epi::SampleOp op) {
  FailureOr<TensorView> x = assembly.view(op, op.getX(), "x");
  FailureOr<unsigned> result = assembly.yieldedAs(op, op.getResult());
  if (failed(x) || failed(result))
    return failure();
  if (!x->isContiguous())
    return op.emitError("CUDA kernel @")
           << assembly.kernel.getSymName() << " needs an x whose rows are contiguous";
  if (x->elements() > kMostSampledColumns)
    return op.emitError("CUDA kernel @")
           << assembly.kernel.getSymName() << " takes rows of up to " << kMostSampledColumns
           << " columns, got " << x->elements();
  const int64_t bytes = bytesOf(x->elementType);
  const RowPieces pieces =
      RowPieces::of(x->elements() * bytes, {x->rowStride * bytes, x->offset * bytes});
  for (auto [i, form] : llvm::enumerate(kForms)) {
    const RowSharing sharing = form.shares(pieces);
    // Of a short row, several forms are one.
    const bool isNext =
        i + 1 < std::size(kForms) && kForms[i + 1].shares(pieces).blocks == sharing.blocks;
    if (!isNext)
      addVariant(assembly, *x, *result, pieces, sharing, form.mostRows);
  }
  return success();
}

} // namespace epigraph::cuda
