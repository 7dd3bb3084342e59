// After the kernel before has ended, one thing follows from another: a load of the rows, the sums
// of the norm, the products, what the warps share of them, the logits that blocks leave with each
// other, the choices, and the stores. All that does not depend on the rows is done before: weights
// are on the multiprocessors, and which rows there are is not waited for, since rows past the last
// can be read, too.
//
// A choice's place is the number of choices that come before it by (expert, token, choice), which
// each lane counts among the few there are.
#include "codegen/cuda/RouterBlock.h"

#include "codegen/cuda/ClusterExchange.h"
#include "codegen/cuda/Hopper.h"
#include "codegen/cuda/KernelBuilders.h"
#include "codegen/cuda/RowPrefetch.h"

using namespace mlir;

namespace epigraph::cuda {
namespace {

constexpr int64_t kBytes = sizeof(int32_t);
/// Elements of a chunk (RowChunks.h).
constexpr int64_t kChunk = 8;
/// What a thread has in registers, of which there are 255: chunks of a row, the sums of 16 experts
/// each, and places that a row goes to.
constexpr int64_t kMostPasses = 4, kMostFragments = 4, kMostPlaces = 16;

RowThreads threadsOf(const RouterLayout &layout) {
  RowThreads threads = RowThreads::ofBlocks(RouterLayout::kThreads / layout.tokens, /*columns=*/1);
  threads.rows = layout.tokens;
  threads.eager = true;
  return threads;
}

/// The parts of the block's shared memory, one after the other.
struct SharedParts {
  SharedParts(exec::KernelOp kernel, const RouterLayout &layout, int64_t topK)
      : rows(llvm::alignTo(sharedBytesOf(kernel, threadsOf(layout)), 128)),
        sums(rows + layout.rowBytes()), logits(sums + layout.sumBytes()),
        ids(logits + layout.logitBytes()),
        barrier(llvm::alignTo(ids + layout.tokens * topK * kBytes, 8)),
        weights(llvm::alignTo(barrier + 8, 128)), end(weights + layout.keptBytes()) {}

  int64_t rows, sums, logits, ids, barrier, weights, end;
};

class RouterBlock {
public:
  RouterBlock(KernelFrame &frame, const RouterProblem &problem, const RouterLayout &layout)
      : frame(frame), e(frame.e), problem(problem), layout(layout),
        shared(frame.kernel, layout, problem.topK()), threads(threadsOf(layout)),
        warpsOfRow(threads.ofRow / 32),
        products(frame, layout, problem.weights, part(shared.weights)), rank(clusterRank(e)) {}

  void emit() {
    prefetchVectors(frame, RouterLayout::kThreads);
    Vals bias = loadBias(frame, problem.routing);
    products.fetch();
    openExchange(part(shared.barrier), e.i32(layout.logitBytes()));
    e.allowNext();
    e.waitForPrevious();
    rows = frame.rows();
    token = e.warp() / warpsOfRow;

    isOurs = e.logicalAnd(e.warp() % layout.blocks == rank, token < rows);
    normalize();
    e.syncThreads();
    products.multiply(part(shared.rows), part(shared.sums));
    e.syncThreads();
    products.share(part(shared.sums), part(shared.logits), part(shared.barrier),
                   [&](Val of, Val expert, Val logit) {
                     e.ifThen(of < rows, [&] {
                       e.store(logit,
                               e.at(frame.resultRow(problem.logits, of), expert, sizeof(float)));
                     });
                   });
    awaitExchange(part(shared.barrier));
    e.ifThen(e.warp() < layout.tokens, [&] { route(bias); });
    e.syncThreads();
    order();
    storeRows();
  }

  /// As RowEvaluator::unsupported.
  Operation *unsupported() const { return crossed; }

private:
  Val part(int64_t offset) { return e.offset(e.sharedMemory(), offset); }
  int64_t choices() const { return layout.tokens * problem.topK(); }

  /// Of all that is computed of a row (RowEvaluator.h).
  int64_t period() {
    SmallVector<Operation *> ops;
    for (Operation &op : frame.kernel.getBody().front())
      if (isRowWise(op))
        ops.push_back(&op);
    return periodOf(ops);
  }

  RowEvaluator evaluator() {
    return RowEvaluator(frame, rowLayout, threads, period(), e.minimum(token, frame.capacity() - 1),
                        /*rowExists=*/{}, e.threadId() % threads.ofRow);
  }
  Val normalizedRow() { return e.at(part(shared.rows), token, layout.pitch()); }
  bool isNormalized(Operation *op) { return op == problem.normalized.getDefiningOp(); }

  /// Leaves the normalized rows in shared memory, and stores what they are made of.
  void normalize() {
    RowEvaluator ofInputs = evaluator();
    for (Operation &op : frame.kernel.getBody().front())
      if (isRowWise(op))
        ofInputs.prepare(op);
    ofInputs.keep(problem.normalized, normalizedRow());
    e.ifThen(isOurs,
             [&] { storeResults(ofInputs, [&](Operation *op) { return isa<epi::AddOp>(op); }); });
  }

  /// Routes the token of the warp's number. Tokens that are not there choose an expert past the
  /// last.
  void route(ArrayRef<Val> bias) {
    const Routing &routing = problem.routing;
    Val logits = e.at(part(shared.logits), e.warp(), layout.experts * sizeof(float));
    Choice choice = routeLogits(e, routing, bias, logits);
    Val exists = e.warp() < rows;
    forChoice(e, routing, [&] {
      e.store(e.select(exists, choice.id, e.i32(layout.experts)),
              e.at(part(shared.ids), e.warp() * problem.topK() + e.lane(), kBytes));
    });
    e.ifThen(e.logicalAnd(rank == 0, exists),
             [&] { storeChoice(frame, routing, e.warp(), choice); });
  }

  /// Finds the places of all choices, each by a lane of every warp.
  void order() {
    const int64_t wide = choices() % 4 == 0 ? 4 : 1;
    Vals ids;
    for (int64_t first = 0; first < choices(); first += wide)
      ids.append(e.elements(e.load(e.vector(e.i32(), wide), part(shared.ids + first * kBytes))));
    Val choice = e.minimum(e.lane(), e.i32(choices() - 1));
    Val id = e.load(e.i32(), e.at(part(shared.ids), choice, kBytes));
    place = e.i32(0);
    for (auto [index, other] : llvm::enumerate(ids)) {
      Val isEarlier = e.logicalAnd(other == id, choice > e.i32(static_cast<int64_t>(index)));
      place = place + e.toI32(e.logicalOr(other < id, isEarlier));
    }
    Val exists = e.logicalAnd(e.lane() < choices(), e.lane() < rows * problem.topK());
    e.ifThen(e.logicalAnd(e.logicalAnd(rank == 0, e.warp() == 0), exists),
             [&] { e.store(place, e.at(frame.result(problem.slots), e.lane(), kBytes)); });
    e.ifThen(rank == 0, [&] { countChoices(ids); });
  }

  void countChoices(ArrayRef<Val> ids) {
    e.forEach(e.threadId(), e.i32(layout.experts), e.i32(RouterLayout::kThreads), [&](Val expert) {
      Val count = e.i32(0);
      for (Val id : ids)
        count = count + e.toI32(id == expert);
      e.store(count, e.at(frame.result(problem.counts), expert, kBytes));
    });
  }

  /// A row's warps are shared out to the blocks: those of a block store their columns.
  void storeRows() {
    Vals places;
    for (int64_t i = 0; i < problem.topK(); ++i)
      places.push_back(e.shuffle(place, token * problem.topK() + i));
    e.ifThen(isOurs, [&] {
      RowEvaluator ofNormalized = evaluator();
      ofNormalized.take(problem.normalized, normalizedRow());
      storeResults(ofNormalized, [&](Operation *op) {
        return isNormalized(op) || isQuantized(op, problem.normalized);
      });
      ofNormalized.storeTo(places, problem.topK());
      storeResults(ofNormalized, [&](Operation *op) {
        return op == problem.permuted.getDefiningOp() || isQuantized(op, problem.permuted);
      });
      crossed = ofNormalized.unsupported();
    });
  }

  static bool isQuantized(Operation *op, Value rows) {
    auto quantize = dyn_cast<epi::QuantizeOp>(op);
    return quantize && quantize.getX() == rows;
  }

  /// Stores the rows that are results of operations which are `chosen`.
  void storeResults(RowEvaluator &evaluator, llvm::function_ref<bool(Operation *)> chosen) {
    Operation *yield = frame.kernel.getBody().front().getTerminator();
    for (auto [result, value] : llvm::enumerate(yield->getOperands()))
      if (chosen(value.getDefiningOp()) && isRows(value))
        evaluator.store(value, static_cast<unsigned>(result));
  }

  /// Whether `value` is computed row by row, or is the permuted rows: not their slots or counts.
  bool isRows(Value value) {
    return value == problem.permuted || isRowWise(*value.getDefiningOp());
  }

  KernelFrame &frame;
  Emitter &e;
  const RouterProblem &problem;
  const RouterLayout &layout;
  const SharedParts shared;
  const RowThreads threads;
  const int64_t warpsOfRow;
  RowLayout rowLayout;
  RouterProducts products;
  Val rank;   ///< of the block
  Val rows;   ///< of the launch
  Val token;  ///< whose row this thread has a part of
  Val isOurs; ///< i1: whether the row exists, and the block stores the thread's part
  Val place;  ///< of the choice of the lane's number
  Operation *crossed = nullptr;
};

} // namespace

bool fitsRegisters(const RouterProblem &problem, const RouterLayout &layout) {
  return threadsOf(layout).passes(layout.depth / kChunk) <= kMostPasses &&
         layout.fragments() <= kMostFragments && problem.topK() <= kMostPlaces;
}

int64_t routerSharedBytes(exec::KernelOp kernel, const RouterProblem &problem,
                          const RouterLayout &layout) {
  return SharedParts(kernel, layout, problem.topK()).end;
}

LogicalResult addRouter(KernelAssembly &assembly, const RouterProblem &problem,
                        const RouterLayout &layout, StringRef suffix) {
  FunctionSpec spec;
  spec.suffix = suffix.str();
  spec.threads = RouterLayout::kThreads;
  spec.sharedBytes = routerSharedBytes(assembly.kernel, problem, layout);
  spec.cluster = layout.blocks;
  spec.rowTile = 0;
  spec.columnTiles = layout.blocks;
  Operation *unsupported = nullptr;
  assembly.addFunction(spec, [&](KernelFrame &frame) {
    RouterBlock block(frame, problem, layout);
    block.emit();
    unsupported = block.unsupported();
  });
  return unsupported ? reportCrossed(assembly.kernel, unsupported) : success();
}

} // namespace epigraph::cuda
