// Orders the rows of a batch by expert: a counting sort in one launch.
//
// Every block counts all choices of the batch: a few microseconds of reading for thousands of
// tokens, and no second launch or wait between blocks. It keeps apart those before its own tokens,
// so that it knows where its own rows start in each expert's group; within its tokens, a choice is
// behind the equal ones before it. Then it copies its rows, each to all of its slots. The order is
// that of (expert, token, choice), whatever the number of blocks.
#include "codegen/cuda/BlockScan.h"
#include "codegen/cuda/KernelBuilders.h"
#include "codegen/cuda/RowPieces.h"

using namespace mlir;

namespace epigraph::cuda {
namespace {

constexpr int64_t kBytes = sizeof(int32_t);
/// Up to this many tokens, several blocks share the columns of one.
constexpr int64_t kFewTokens = 32;

/// The sort of one launch: sizes known at compile time, and how blocks share the work. Blocks come
/// in `groups` of pieces.parts: a group has consecutive tokens, a block of it some columns of them.
struct Sort {
  TensorView x, ids;
  unsigned rows, slots, counts; ///< results
  int64_t topK, experts;
  RowPieces pieces;
  int64_t groups;

  /// Tokens that are ordered at a time: a thread for each choice.
  int64_t chunk() const { return pieces.threads / topK; }
  int64_t rowBytes() const { return pieces.width * pieces.count; }
};

/// The block's shared memory.
class Tables {
public:
  Tables(Emitter &e, const Sort &sort) : e(e), sort(sort), base(e.sharedMemory()) {}

  static int64_t bytes(const Sort &sort) {
    return kScanScratchBytes + (2 * sort.experts + 2 * sort.pieces.threads) * kBytes;
  }

  Val scratch() { return base; }
  /// Per expert: choices of tokens before the block's; then where its next row goes.
  Val next(Val expert) { return word(0, expert); }
  /// Per expert: choices of all other tokens.
  Val rest(Val expert) { return word(sort.experts, expert); }
  /// Per choice of the tokens being ordered.
  Val id(Val choice) { return word(2 * sort.experts, choice); }
  Val slot(Val choice) { return word(2 * sort.experts + sort.pieces.threads, choice); }

private:
  Val word(int64_t first, Val index) {
    return e.at(e.offset(base, kScanScratchBytes + first * kBytes), index, kBytes);
  }

  Emitter &e;
  const Sort &sort;
  Val base;
};

class PermuteBody {
public:
  PermuteBody(KernelFrame &frame, const Sort &sort)
      : frame(frame), e(frame.e), sort(sort), tables(e, sort), threads(e.i32(sort.pieces.threads)),
        ids(frame.rowAddress(sort.ids, e.i32(0))) {}

  void emit() {
    Val rows = frame.rows();
    Val group = e.blockId() / sort.pieces.parts;
    part = e.blockId() % sort.pieces.parts;
    Val first = group * rows / e.i32(sort.groups), last = (group + 1) * rows / e.i32(sort.groups);
    // The first block writes the counts, even of a batch without tokens.
    e.ifThen(e.logicalOr(first < last, e.blockId() == 0), [&] {
      countIds(rows * sort.topK, first * sort.topK);
      startSlots();
      e.forEach(first, last, e.i32(sort.chunk()), [&](Val token) {
        Val tokens = e.minimum(last - token, e.i32(sort.chunk()));
        orderTokens(token, tokens);
        copyTokens(token, tokens);
      });
    });
  }

private:
  /// Counts the choices [0, all), apart from each other those before and from `own` on.
  void countIds(Val all, Val own) {
    e.forEach(e.threadId(), e.i32(2 * sort.experts), threads,
              [&](Val word) { e.store(e.i32(0), tables.next(word)); });
    e.syncThreads();
    auto count = [&](Val choice, Val id) {
      Val place = e.select(choice < own, id, id + sort.experts);
      e.atomicAdd(tables.next(place), e.i32(1));
    };
    constexpr int64_t kWide = 4;
    e.forEach(e.threadId(), all / kWide, threads, [&](Val four) {
      Val wide = e.load(e.vector(e.i32(), kWide), e.at(ids, four, kWide * kBytes));
      for (int64_t i = 0; i < kWide; ++i)
        count(four * kWide + i, e.element(wide, i));
    });
    Val tail = (all & -kWide) + e.threadId();
    e.ifThen(tail < all, [&] { count(tail, e.load(e.i32(), e.at(ids, tail, kBytes))); });
    e.syncThreads();
  }

  /// Turns the counts into the slots of the block's first row of each expert.
  void startSlots() {
    Val writes = e.blockId() == 0;
    scanOverBlock(
        e, sort.experts, sort.pieces.threads, tables.scratch(),
        [&](Val expert) {
          return e.load(e.i32(), tables.next(expert)) + e.load(e.i32(), tables.rest(expert));
        },
        [&](Val expert, Val count, Val before) {
          e.ifThen(writes,
                   [&] { e.store(count, e.at(frame.result(sort.counts), expert, kBytes)); });
          e.store(before + e.load(e.i32(), tables.next(expert)), tables.next(expert));
        });
    e.syncThreads();
  }

  /// Gives each choice of tokens [token, token + tokens) its slot.
  void orderTokens(Val token, Val tokens) {
    Val choice = e.threadId(), choices = tokens * sort.topK;
    Val exists = choice < choices;
    Val entry = token * sort.topK + choice;
    e.ifThen(exists,
             [&] { e.store(e.load(e.i32(), e.at(ids, entry, kBytes)), tables.id(choice)); });
    e.syncThreads();
    e.ifThen(exists, [&] {
      Val id = e.load(e.i32(), tables.id(choice));
      Val equal =
          e.forLoop(e.i32(0), choice, e.i32(1), e.i32(0), [&](Val other, ArrayRef<Val> sum) {
            return Vals{sum[0] + e.toI32(e.load(e.i32(), tables.id(other)) == id)};
          })[0];
      Val slot = e.load(e.i32(), tables.next(id)) + equal;
      e.store(slot, tables.slot(choice));
      e.ifThen(part == 0, [&] { e.store(slot, e.at(frame.result(sort.slots), entry, kBytes)); });
    });
    e.syncThreads();
    e.ifThen(exists,
             [&] { e.atomicAdd(tables.next(e.load(e.i32(), tables.id(choice))), e.i32(1)); });
  }

  void copyTokens(Val token, Val tokens) {
    sort.pieces.forPiece(e, part, [&](Val piece) {
      Val to = e.at(frame.result(sort.rows), piece, sort.pieces.width);
      e.forEach(e.i32(0), tokens, e.i32(1), [&](Val index) {
        Val from = e.at(frame.rowAddress(sort.x, token + index), piece, sort.pieces.width);
        Val moved = e.load(sort.pieces.type(e), from);
        for (int64_t choice = 0; choice < sort.topK; ++choice) {
          Val slot = e.load(e.i32(), tables.slot(index * sort.topK + choice));
          e.store(moved, e.at(to, slot, sort.rowBytes()));
        }
      });
    });
    e.syncThreads(); // Before the tables change again.
  }

  KernelFrame &frame;
  Emitter &e;
  const Sort &sort;
  Tables tables;
  Val threads, ids, part;
};

void addPermute(KernelAssembly &assembly, const Sort &sort, StringRef suffix) {
  FunctionSpec spec;
  spec.suffix = suffix.str();
  spec.threads = sort.pieces.threads;
  spec.sharedBytes = Tables::bytes(sort);
  spec.rowTile = 0;
  spec.columnTiles = sort.groups * sort.pieces.parts;
  assembly.addFunction(spec, [&](KernelFrame &frame) {
    frame.e.waitForPrevious();
    frame.e.allowNext();
    PermuteBody(frame, sort).emit();
  });
}

} // namespace

LogicalResult buildPermute(KernelAssembly &assembly, epi::PermuteOp op) {
  FailureOr<TensorView> x = assembly.view(op, op.getX(), "x");
  FailureOr<TensorView> ids = assembly.view(op, op.getIds(), "ids");
  FailureOr<unsigned> rows = assembly.yieldedAs(op, op.getRows());
  FailureOr<unsigned> slots = assembly.yieldedAs(op, op.getSlots());
  FailureOr<unsigned> counts = assembly.yieldedAs(op, op.getCounts());
  if (failed(x) || failed(ids) || failed(rows) || failed(slots) || failed(counts))
    return failure();
  if (!x->isContiguous() || ids->rowStride != ids->shape[0])
    return op.emitError("CUDA kernel @")
           << assembly.kernel.getSymName() << " needs an x and ids whose rows are contiguous";
  Sort sort{*x,
            *ids,
            *rows,
            *slots,
            *counts,
            ids->shape[0],
            cast<RankedTensorType>(op.getCounts().getType()).getDimSize(0),
            {},
            0};
  constexpr int64_t kLeastThreads = 128, kMostThreads = 1024;
  if (sort.topK > kLeastThreads)
    return op.emitError("CUDA kernel @")
           << assembly.kernel.getSymName() << " takes up to " << kLeastThreads
           << " experts of each token, but got " << sort.topK;
  const int64_t bytes = bytesOf(x->elementType);
  const SmallVector<int64_t> steps{x->rowStride * bytes, x->offset * bytes};
  auto share = [&](int64_t mostThreads, int64_t groups) {
    sort.pieces = RowPieces::of(x->elements() * bytes, steps, mostThreads, kLeastThreads);
    sort.groups = groups;
  };
  share(kLeastThreads, kFewTokens);
  assembly.beginVariant(kFewTokens);
  addPermute(assembly, sort, "few");
  share(kMostThreads, 2 * assembly.target.multiprocessors);
  assembly.beginVariant();
  addPermute(assembly, sort, "many");
  return success();
}

} // namespace epigraph::cuda
