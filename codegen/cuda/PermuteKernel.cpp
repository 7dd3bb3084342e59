// Orders the rows of a batch by expert (ExpertSort.h), in one launch: each block sorts the choices
// of some consecutive tokens, and copies their rows, each to all of its slots.
#include "codegen/cuda/ExpertSort.h"
#include "codegen/cuda/KernelBuilders.h"
#include "codegen/cuda/RowPieces.h"

using namespace mlir;

namespace epigraph::cuda {
namespace {

constexpr int64_t kBytes = sizeof(int32_t);
/// Up to this many tokens, several blocks share the columns of one.
constexpr int64_t kFewTokens = 32;
constexpr int64_t kLeastThreads = 128, kMostThreads = 1024;

/// What is permuted, and how blocks share the work. They come in `groups` of pieces.parts: a group
/// has consecutive tokens, a block of it some columns of them.
struct Permutation {
  TensorView x, ids;
  unsigned rows, slots, counts; ///< results
  int64_t topK, experts;
  RowPieces pieces;
  int64_t groups;
};

class PermuteBody {
public:
  PermuteBody(KernelFrame &frame, const Permutation &problem)
      : frame(frame), e(frame.e), problem(problem),
        sort(e, problem.experts, problem.pieces.threads, e.sharedMemory()),
        ids(frame.rowAddress(problem.ids, e.i32(0))), part(e.blockId() % problem.pieces.parts) {}

  void emit() {
    Val rows = frame.rows(), groups = e.i32(problem.groups);
    Val group = e.blockId() / problem.pieces.parts;
    Val first = group * rows / groups, last = (group + 1) * rows / groups;
    Val isFirst = e.blockId() == 0;
    // The first block writes the counts, even of a batch without tokens.
    e.ifThen(e.logicalOr(first < last, isFirst), [&] {
      sort.clear();
      countIds(rows * problem.topK, first * problem.topK);
      sort.start([&](Val expert, Val count) {
        e.ifThen(isFirst,
                 [&] { e.store(count, e.at(frame.result(problem.counts), expert, kBytes)); });
      });
      Val chunk = e.i32(problem.pieces.threads / problem.topK);
      e.forEach(first, last, chunk, [&](Val token) {
        Val tokens = e.minimum(last - token, chunk);
        orderTokens(token, tokens);
        copyTokens(token, tokens);
        e.syncThreads(); // Before the next tokens are ordered.
      });
    });
  }

private:
  /// Counts the choices [0, all), of which those before `own` are of tokens before the block's.
  void countIds(Val all, Val own) {
    constexpr int64_t kWide = 4;
    e.forEach(e.threadId(), all / kWide, e.i32(problem.pieces.threads), [&](Val four) {
      Val wide = e.load(e.vector(e.i32(), kWide), e.at(ids, four, kWide * kBytes));
      for (int64_t i = 0; i < kWide; ++i)
        sort.count(e.element(wide, i), four * kWide + i < own);
    });
    Val tail = all / kWide * kWide + e.threadId();
    e.ifThen(tail < all, [&] { sort.count(e.load(e.i32(), e.at(ids, tail, kBytes)), tail < own); });
  }

  /// Gives each choice of tokens [token, token + tokens) its slot.
  void orderTokens(Val token, Val tokens) {
    Val exists = e.threadId() < tokens * problem.topK;
    Val entry = token * problem.topK + e.threadId();
    Val id = e.ifValues(
        exists, [&] { return Vals{e.load(e.i32(), e.at(ids, entry, kBytes))}; },
        [&] { return Vals{e.i32(-1)}; })[0];
    Val slot = sort.order(id);
    e.ifThen(e.logicalAnd(exists, part == 0),
             [&] { e.store(slot, e.at(frame.result(problem.slots), entry, kBytes)); });
  }

  void copyTokens(Val token, Val tokens) {
    const RowPieces &pieces = problem.pieces;
    pieces.forPiece(e, part, [&](Val piece) {
      Val to = e.at(frame.result(problem.rows), piece, pieces.width);
      e.forEach(e.i32(0), tokens, e.i32(1), [&](Val index) {
        Val from = e.at(frame.rowAddress(problem.x, token + index), piece, pieces.width);
        Val moved = e.load(pieces.type(e), from);
        for (int64_t choice = 0; choice < problem.topK; ++choice)
          e.store(moved, e.at(to, sort.placeOf(index * problem.topK + choice),
                              pieces.width * pieces.count));
      });
    });
  }

  KernelFrame &frame;
  Emitter &e;
  const Permutation &problem;
  ExpertSort sort;
  Val ids, part;
};

void addPermute(KernelAssembly &assembly, const Permutation &problem, StringRef suffix) {
  FunctionSpec spec;
  spec.suffix = suffix.str();
  spec.threads = problem.pieces.threads;
  spec.sharedBytes = ExpertSort::sharedBytes(problem.experts, problem.pieces.threads);
  spec.rowTile = 0;
  spec.columnTiles = problem.groups * problem.pieces.parts;
  assembly.addFunction(spec, [&](KernelFrame &frame) {
    frame.e.waitForPrevious();
    frame.e.allowNext();
    PermuteBody(frame, problem).emit();
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
  const int64_t topK = ids->shape[0], bytes = bytesOf(x->elementType);
  if (topK > kLeastThreads)
    return op.emitError("CUDA kernel @")
           << assembly.kernel.getSymName() << " takes up to " << kLeastThreads
           << " experts of each token, but got " << topK;
  Permutation problem{*x,
                      *ids,
                      *rows,
                      *slots,
                      *counts,
                      topK,
                      cast<RankedTensorType>(op.getCounts().getType()).getDimSize(0),
                      {},
                      0};
  auto share = [&](int64_t mostThreads, int64_t groups) {
    problem.pieces = RowPieces::of(x->elements() * bytes, {x->rowStride * bytes, x->offset * bytes},
                                   mostThreads, kLeastThreads);
    problem.groups = groups;
  };
  share(kLeastThreads, kFewTokens);
  assembly.beginVariant(kFewTokens);
  addPermute(assembly, problem, "few");
  share(kMostThreads, 2 * assembly.target.multiprocessors);
  assembly.beginVariant();
  addPermute(assembly, problem, "many");
  return success();
}

} // namespace epigraph::cuda
