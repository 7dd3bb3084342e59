// Where the largest element of each row is. A long row, such as the logits of a vocabulary, is
// shared by the blocks of a cluster, so that even a single one is read by thousands of threads, and
// no second launch or memory beside the result is needed.
//
// Each thread keeps the best of its elements, which it meets in ascending order, and whether one is
// not a number. From then on an integer key stands for the element, which orders as elements do,
// with what is not a number above all: the largest key wins, the lowest column among equal ones.
// Every warp leaves its best in the shared memory of the cluster's first block, whose first warp
// chooses among them.
#include "codegen/cuda/ArgmaxKernel.h"
#include "codegen/cuda/Hopper.h"
#include "codegen/cuda/RowPieces.h"
#include "codegen/cuda/WarpChoice.h"

#include <iterator>
#include <limits>
#include <string>

using namespace mlir;

namespace epigraph::cuda {
namespace {

constexpr int64_t kLanes = 32;
/// Loads of a thread that are under way at once.
constexpr int64_t kLoads = 4;
/// The least loads of a row that are worth a block of their own.
constexpr int64_t kLeastShare = 1024;
/// Key and column of a warp's best.
constexpr int64_t kSlotBytes = 8;

/// How many blocks share a row, for up to so many rows (0: any number). Few rows need many blocks
/// each to be read fast; for many, blocks that begin and end and meet each other seldom are faster.
struct Form {
  int64_t mostRows, blocks, threads;
};
constexpr Form kForms[] = {{16, 8, 512}, {64, 2, 1024}, {0, 1, 1024}};

/// How the blocks of a cluster, and their threads, share a row: as `form` has it, or by fewer
/// blocks where the row is short.
struct RowSharing {
  RowSharing(const RowPieces &row, const Form &form) : pieces(row.count), blocks(form.blocks) {
    while (blocks > 1 && pieces < blocks * kLeastShare)
      blocks /= 2;
    share = llvm::divideCeil(pieces, blocks);
    rounds = llvm::divideCeil(share, form.threads * kLoads);
    threads = static_cast<int64_t>(llvm::alignTo(llvm::divideCeil(share, rounds * kLoads), kLanes));
  }

  int64_t warps() const { return threads / kLanes; }
  int64_t slots() const { return blocks * warps(); }

  int64_t pieces;  ///< loads that a row takes
  int64_t blocks;  ///< of the cluster
  int64_t share;   ///< pieces of a block
  int64_t rounds;  ///< of kLoads loads, in which a thread reads its part
  int64_t threads; ///< of a block
};

/// The key and the column of an element.
struct Best {
  Val key, column;
};

/// One block's part in finding the largest element of a row.
class ArgmaxBlock {
public:
  ArgmaxBlock(KernelFrame &frame, const TensorView &x, const RowPieces &row,
              const RowSharing &sharing)
      : frame(frame), e(frame.e), x(x), sharing(sharing), pieceBytes(row.width),
        pieceElements(row.width / bytesOf(x.elementType)) {
    rank = sharing.blocks > 1 ? clusterRank(e) : e.i32(0);
  }

  /// Stores the column of the largest element of `row` at `result`.
  void run(Val row, Val result) {
    Best best = bestOfWarp(bestOfThread(row));
    Val slots = e.sharedMemory();
    Val first = sharing.blocks > 1 ? inCluster(slots, e.i32(0)) : slots;
    e.ifThen(e.lane() == 0, [&] {
      Val slot = rank * sharing.warps() + e.warp();
      e.store(e.pack({best.key, best.column}), e.at(first, slot, kSlotBytes));
    });
    meet();
    e.ifThen(e.logicalAnd(rank == 0, e.warp() == 0), [&] {
      Best ofRow = bestOfWarp(bestOfSlots(slots));
      Val column = e.select(ofRow.key == kKeyAboveAll, e.i32(-1), ofRow.column);
      e.ifThen(e.lane() == 0, [&] { e.store(column, result); });
    });
  }

  /// All threads of the cluster meet.
  void meet() { sharing.blocks > 1 ? clusterSync(e) : e.syncThreads(); }

private:
  /// Of the thread's elements: the largest so far, its column, and whether one was not a number.
  struct Seen {
    Val value, column, isNan;
  };

  Best bestOfThread(Val row) {
    Val base = frame.rowAddress(x, row);
    Val begin = rank * sharing.share;
    Val last = e.minimum(begin + sharing.share, e.i32(sharing.pieces)) - 1;
    Val first = begin + e.threadId();
    Seen seen{e.f32(-std::numeric_limits<double>::infinity()),
              e.minimum(first, last) * pieceElements, e.boolean(false)};
    auto round = [&](Val from, const Seen &before) {
      // A thread without an element left reads the part's last ones again, which changes nothing.
      Vals pieces, loaded;
      for (int64_t load = 0; load < kLoads; ++load) {
        pieces.push_back(e.minimum(from + load * sharing.threads, last));
        loaded.append(
            loadFloats(e, x.elementType, e.at(base, pieces.back(), pieceBytes), pieceElements));
      }
      return include(before, pieces, loaded);
    };
    if (sharing.rounds == 1)
      return known(round(first, seen));
    Vals carried = e.forLoop(e.i32(0), e.i32(sharing.rounds), e.i32(1),
                             {seen.value, seen.column, seen.isNan}, [&](Val i, ArrayRef<Val> now) {
                               Seen next = round(first + i * (kLoads * sharing.threads),
                                                 {now[0], now[1], now[2]});
                               return Vals{next.value, next.column, next.isNan};
                             });
    return known({carried[0], carried[1], carried[2]});
  }

  Seen include(Seen seen, ArrayRef<Val> pieces, ArrayRef<Val> loaded) {
    for (auto [i, value] : llvm::enumerate(loaded)) {
      const auto index = static_cast<int64_t>(i);
      Val column =
          pieces[i / static_cast<size_t>(pieceElements)] * pieceElements + index % pieceElements;
      Val isLarger = value > seen.value;
      seen = {e.select(isLarger, value, seen.value), e.select(isLarger, column, seen.column),
              e.logicalOr(seen.isNan, value != value)};
    }
    return seen;
  }

  Best known(const Seen &seen) {
    return {e.select(seen.isNan, e.i32(kKeyAboveAll), orderKey(seen.value)), seen.column};
  }

  /// Every lane gets it.
  Best bestOfWarp(const Best &ofLane) {
    Val key = largestOfWarp(ofLane.key);
    Val none = e.i32(std::numeric_limits<int32_t>::max());
    return {key, smallestOfWarp(e.select(ofLane.key == key, ofLane.column, none))};
  }

  Best bestOfSlots(Val slots) {
    Best best;
    for (int64_t from = 0; from < sharing.slots(); from += kLanes) {
      Val slot = e.minimum(e.lane() + from, e.i32(sharing.slots() - 1));
      Val found = e.load(e.vector(e.i32(), 2), e.at(slots, slot, kSlotBytes));
      Best other{e.element(found, 0), e.element(found, 1)};
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

  KernelFrame &frame;
  Emitter &e;
  const TensorView &x;
  const RowSharing &sharing;
  const int64_t pieceBytes, pieceElements;
  Val rank;
};

void addVariant(KernelAssembly &assembly, const TensorView &x, unsigned result,
                const RowPieces &pieces, const RowSharing &sharing, int64_t mostRows) {
  FunctionSpec spec;
  if (sharing.blocks > 1)
    spec.suffix = "by" + std::to_string(sharing.blocks);
  spec.threads = sharing.threads;
  spec.blocksOfCore = sharing.threads <= 512 ? 2 : 1;
  spec.sharedBytes = sharing.slots() * kSlotBytes;
  spec.cluster = sharing.blocks;
  spec.rowTile = 1;
  spec.columnTiles = sharing.blocks;
  assembly.beginVariant(mostRows);
  assembly.addFunction(spec, [&](KernelFrame &frame) {
    Emitter &e = frame.e;
    ArgmaxBlock block(frame, x, pieces, sharing);
    // The first block must be running before others write to its memory.
    if (sharing.blocks > 1)
      block.meet();
    e.allowNext();
    e.waitForPrevious();
    Val row = e.blockId() / sharing.blocks;
    e.ifThen(row < frame.rows(), [&] { block.run(row, frame.resultRow(result, row)); });
  });
}

} // namespace

LogicalResult buildArgmax(KernelAssembly &assembly, epi::ArgmaxOp op) {
  FailureOr<TensorView> x = assembly.view(op, op.getX(), "x");
  FailureOr<unsigned> result = assembly.yieldedAs(op, op.getResult());
  if (failed(x) || failed(result))
    return failure();
  if (!x->isContiguous())
    return op.emitError("CUDA kernel @")
           << assembly.kernel.getSymName() << " needs an x whose rows are contiguous";
  const int64_t bytes = bytesOf(x->elementType);
  const RowPieces pieces =
      RowPieces::of(x->elements() * bytes, {x->rowStride * bytes, x->offset * bytes});
  for (auto [i, form] : llvm::enumerate(kForms)) {
    const RowSharing sharing(pieces, form);
    // Of a short row, several forms are one.
    const bool isNext =
        i + 1 < std::size(kForms) && RowSharing(pieces, kForms[i + 1]).blocks == sharing.blocks;
    if (!isNext)
      addVariant(assembly, *x, *result, pieces, sharing, form.mostRows);
  }
  return success();
}

} // namespace epigraph::cuda
