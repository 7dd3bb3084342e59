// Orders the rows of a batch by expert (ExpertSort.h), in one launch: each block sorts the choices
// of some consecutive tokens, and copies their rows, each to all of its slots. What the kernel
// computes of permuted rows is computed of a token's row once, and stored to all of its slots.
//
// A kernel that routes, too, has a launch for the routing before. Only few tokens are routed by
// every block for itself, which takes less time than a launch.
#include "codegen/cuda/ExpertSort.h"
#include "codegen/cuda/KernelBuilders.h"
#include "codegen/cuda/RowEvaluator.h"
#include "codegen/cuda/RowPieces.h"
#include "codegen/cuda/TokenRouter.h"

using namespace mlir;

namespace epigraph::cuda {
namespace {

constexpr int64_t kBytes = sizeof(int32_t);
/// Up to this many tokens, several blocks share the columns of one.
constexpr int64_t kFewTokens = 32;
constexpr int64_t kLeastThreads = 128, kMostThreads = 1024;
/// Up to this many tokens are routed by every block, each by a warp.
constexpr int64_t kRoutedTokens = 8;
constexpr int64_t kRoutingThreads = 32 * kRoutedTokens;

/// What is permuted, and how blocks share the work. They come in `groups` of pieces.parts: a group
/// has consecutive tokens, a block of it some columns of them.
struct Permutation {
  epi::PermuteOp op;
  TensorView x;
  std::optional<TensorView> ids;  ///< none if the kernel routes
  std::optional<Routing> routing; ///< of the kernel
  unsigned slots = 0, counts = 0; ///< results
  int64_t topK = 0, experts = 0;
  RowPieces pieces;
  int64_t groups = 0;
  bool routesInBlocks = false; ///< every block routes all tokens for itself

  int64_t sortBytes() const { return ExpertSort::sharedBytes(experts, pieces.threads); }
};

class PermuteBody {
public:
  PermuteBody(KernelFrame &frame, RowLayout &layout, const Permutation &problem)
      : frame(frame), e(frame.e), layout(layout), problem(problem),
        threads(RowThreads::ofBlocks(problem.pieces.threads, problem.pieces.parts)),
        sort(e, problem.experts, problem.pieces.threads, e.sharedMemory()), ids(idsAddress()),
        part(e.blockId() % problem.pieces.parts) {}

  /// `bias`: of loadBias, if the block routes.
  void emit(ArrayRef<Val> bias) {
    Val rows = frame.rows(), groups = e.i32(problem.groups);
    Val group = e.blockId() / problem.pieces.parts;
    Val first = group * rows / groups, last = (group + 1) * rows / groups;
    Val isFirst = e.blockId() == 0;
    // The first block writes the counts, even of a batch without tokens.
    e.ifThen(e.logicalOr(first < last, isFirst), [&] {
      if (problem.routesInBlocks)
        routeTokens(rows, bias);
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
        storeTokens(token, tokens);
        e.syncThreads(); // Before the next tokens are ordered.
      });
    });
  }

  /// As RowEvaluator::unsupported.
  Operation *unsupported() const { return crossed; }

private:
  /// Where the ids of all choices are, or will be.
  Val idsAddress() {
    if (problem.routesInBlocks)
      return e.offset(e.sharedMemory(), problem.sortBytes());
    return problem.routing ? frame.result(problem.routing->ids)
                           : frame.rowAddress(*problem.ids, e.i32(0));
  }

  /// Routes all tokens, each by a warp. The first block stores what they chose.
  void routeTokens(Val rows, ArrayRef<Val> bias) {
    const Routing &routing = *problem.routing;
    e.forEach(e.warp(), rows, e.i32(kRoutedTokens), [&](Val token) {
      Choice choice = routeToken(frame, routing, bias, token);
      forChoice(e, routing,
                [&] { e.store(choice.id, e.at(ids, token * problem.topK + e.lane(), kBytes)); });
      e.ifThen(e.blockId() == 0, [&] { storeChoice(frame, routing, token, choice); });
    });
    e.syncThreads();
  }

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

  void storeTokens(Val token, Val tokens) {
    Operation *yield = frame.kernel.getBody().front().getTerminator();
    epi::PermuteOp permute = problem.op;
    e.forEach(e.i32(0), tokens, e.i32(1), [&](Val index) {
      Vals places;
      for (int64_t choice = 0; choice < problem.topK; ++choice)
        places.push_back(sort.placeOf(index * problem.topK + choice));
      RowEvaluator evaluator(frame, layout, threads, period(), token + index, /*rowExists=*/{},
                             e.threadId() + part * problem.pieces.threads);
      evaluator.storeTo(places, problem.topK);
      for (auto [result, value] : llvm::enumerate(yield->getOperands())) {
        if (value == permute.getRows())
          copyRow(token + index, places, static_cast<unsigned>(result));
        else if (value.getDefiningOp<epi::QuantizeOp>())
          evaluator.store(value, static_cast<unsigned>(result));
      }
      crossed = evaluator.unsupported();
    });
  }

  /// Of what the kernel computes (RowEvaluator.h).
  int64_t period() {
    auto quantizes = frame.kernel.getBody().front().getOps<epi::QuantizeOp>();
    return quantizes.empty() ? 0 : periodOf(**quantizes.begin());
  }

  /// Copies the row's bits, whatever they are.
  void copyRow(Val token, ArrayRef<Val> places, unsigned result) {
    const RowPieces &pieces = problem.pieces;
    pieces.forPiece(e, part, [&](Val piece) {
      Val moved =
          e.load(pieces.type(e), e.at(frame.rowAddress(problem.x, token), piece, pieces.width));
      for (Val place : places)
        e.store(moved, e.at(frame.resultRow(result, place), piece, pieces.width));
    });
  }

  KernelFrame &frame;
  Emitter &e;
  RowLayout &layout;
  const Permutation &problem;
  const RowThreads threads;
  ExpertSort sort;
  Val ids, part;
  Operation *crossed = nullptr;
};

LogicalResult addPermute(KernelAssembly &assembly, const Permutation &problem, StringRef suffix) {
  FunctionSpec spec;
  spec.suffix = suffix.str();
  spec.threads = problem.pieces.threads;
  spec.sharedBytes = problem.sortBytes();
  if (problem.routesInBlocks)
    spec.sharedBytes += kRoutedTokens * problem.topK * kBytes;
  spec.rowTile = 0;
  spec.columnTiles = problem.groups * problem.pieces.parts;
  RowLayout layout;
  Operation *unsupported = nullptr;
  assembly.addFunction(spec, [&](KernelFrame &frame) {
    Vals bias = problem.routesInBlocks ? loadBias(frame, *problem.routing) : Vals();
    frame.e.waitForPrevious();
    frame.e.allowNext();
    PermuteBody body(frame, layout, problem);
    body.emit(bias);
    unsupported = body.unsupported();
  });
  return unsupported ? reportCrossed(assembly.kernel, unsupported) : success();
}

/// Permuted rows may be quantized, and nothing else be computed of them.
LogicalResult checkBody(epi::PermuteOp permute, exec::KernelOp kernel) {
  for (Operation &op : kernel.getBody().front().without_terminator()) {
    auto quantize = dyn_cast<epi::QuantizeOp>(op);
    if (quantize ? quantize.getX() != permute.getRows() : isRowWise(op))
      return op.emitError("CUDA kernel @")
             << kernel.getSymName() << " orders rows by expert and can quantize them, but holds '"
             << op.getName() << "' beside that; outline it as a kernel of its own";
  }
  return success();
}

/// The problem of `op`, but for how blocks share it.
FailureOr<Permutation> describe(KernelAssembly &assembly, epi::PermuteOp op) {
  FailureOr<TensorView> x = assembly.view(op, op.getX(), "x");
  FailureOr<unsigned> slots = assembly.yieldedAs(op, op.getSlots());
  FailureOr<unsigned> counts = assembly.yieldedAs(op, op.getCounts());
  if (failed(x) || failed(slots) || failed(counts) || failed(checkBody(op, assembly.kernel)))
    return failure();
  Permutation problem;
  problem.op = op;
  problem.x = *x;
  problem.slots = *slots;
  problem.counts = *counts;
  problem.topK = cast<RankedTensorType>(op.getIds().getType()).getDimSize(1);
  problem.experts = cast<RankedTensorType>(op.getCounts().getType()).getDimSize(0);
  if (auto route = op.getIds().getDefiningOp<epi::RouteOp>()) {
    FailureOr<Routing> routing = Routing::describe(assembly, route);
    if (failed(routing))
      return failure();
    problem.routing = *routing;
  } else {
    FailureOr<TensorView> ids = assembly.view(op, op.getIds(), "ids");
    if (failed(ids))
      return failure();
    problem.ids = *ids;
  }
  if (!x->isContiguous() || (problem.ids && problem.ids->rowStride != problem.topK))
    return op.emitError("CUDA kernel @")
           << assembly.kernel.getSymName() << " needs an x and ids whose rows are contiguous";
  if (problem.topK > kLeastThreads)
    return op.emitError("CUDA kernel @")
           << assembly.kernel.getSymName() << " takes up to " << kLeastThreads
           << " experts of each token, but got " << problem.topK;
  return problem;
}

} // namespace

LogicalResult buildPermute(KernelAssembly &assembly, epi::PermuteOp op) {
  FailureOr<Permutation> problem = describe(assembly, op);
  if (failed(problem))
    return failure();
  const TensorView &x = problem->x;
  const int64_t bytes = bytesOf(x.elementType);
  auto add = [&](int64_t leastThreads, int64_t mostThreads, int64_t groups, StringRef suffix) {
    problem->pieces = RowPieces::of(x.elements() * bytes, {x.rowStride * bytes, x.offset * bytes},
                                    mostThreads, leastThreads);
    problem->groups = groups;
    if (problem->routing && !problem->routesInBlocks)
      addRoute(assembly, *problem->routing, "route");
    return addPermute(assembly, *problem, suffix);
  };
  if (problem->routing) {
    problem->routesInBlocks = true;
    assembly.beginVariant(kRoutedTokens);
    if (failed(add(kRoutingThreads, kRoutingThreads, kRoutedTokens, "routing")))
      return failure();
    problem->routesInBlocks = false;
  }
  assembly.beginVariant(kFewTokens);
  if (failed(add(kLeastThreads, kLeastThreads, kFewTokens, "few")))
    return failure();
  assembly.beginVariant();
  return add(kLeastThreads, kMostThreads, 2 * assembly.target.multiprocessors, "many");
}

} // namespace epigraph::cuda
