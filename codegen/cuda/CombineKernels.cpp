// Combine over the memory of peers: each rank adds up what its experts made of a token of another
// rank and stores the sum there; the token's rank adds what its own experts made, and the sums.
#include "codegen/cuda/KernelBuilders.h"
#include "codegen/cuda/Peers.h"
#include "codegen/cuda/RowPieces.h"

using namespace mlir;

namespace epigraph::cuda {
namespace {

constexpr int64_t kBytes = 4;
constexpr int64_t kAccessBytes = 16;
/// Of all blocks of a multiprocessor.
constexpr int64_t kThreadsOfCore = 2048;
/// What a thread of the half that sends has at hand does not fit the registers of larger blocks.
constexpr int64_t kSendThreads = 512, kReceiveThreads = 1024;

/// What both halves have in common: the experts' rows, and which of them belong to a token.
struct Combining {
  TensorView rows, places, weights;
  ExchangeLayout layout;
  RowPieces pieces;

  int64_t columns() const { return pieces.width / bytesOf(rows.elementType); }
};

/// The choices of one token that this rank's experts see to.
struct Choices {
  Vals places, weights;

  static Choices load(KernelFrame &frame, const Combining &problem, Val line, Val weightsOfToken) {
    Emitter &e = frame.e;
    Val places = e.at(frame.address(problem.places.argument), line * problem.layout.topK, kBytes);
    Choices choices;
    for (int64_t j = 0; j < problem.layout.topK; ++j) {
      choices.places.push_back(e.load(e.i32(), e.offset(places, j * kBytes)));
      choices.weights.push_back(e.load(e.f32(), e.offset(weightsOfToken, j * kBytes)));
    }
    return choices;
  }

  Val any(Emitter &e) const {
    Val some = e.boolean(false);
    for (Val place : places)
      some = e.logicalOr(some, place >= 0);
    return some;
  }

  /// The weighted sum of the rows at one piece, in the order of the choices.
  Vals sum(KernelFrame &frame, const Combining &problem, Val piece) const {
    Emitter &e = frame.e;
    const int64_t columns = problem.columns();
    Vals none(columns, e.f32(0));
    SmallVector<Vals> terms;
    for (Val place : places)
      terms.push_back(e.ifValues(
          place >= 0,
          [&] {
            Val row = frame.rowAddress(problem.rows, place);
            return loadFloats(e, problem.rows.elementType, e.at(row, piece, problem.pieces.width),
                              columns);
          },
          [&] { return none; }));
    Vals sums = none;
    for (auto [term, weight, place] : llvm::zip_equal(terms, weights, places)) {
      Val factor = e.select(place >= 0, weight, e.f32(0));
      for (int64_t column = 0; column < columns; ++column)
        sums[column] = e.fma(factor, term[column], sums[column]);
    }
    return sums;
  }
};

/// Emits `body` for each piece of a row that is the thread's.
void forPieces(Emitter &e, const RowPieces &pieces, llvm::function_ref<void(Val piece)> body) {
  for (int64_t part = 0; part < pieces.parts; ++part)
    pieces.forPiece(e, e.i32(part), body);
}

class CombineSendBody {
public:
  CombineSendBody(KernelFrame &frame, const Combining &problem)
      : frame(frame), e(frame.e), problem(problem), layout(problem.layout), peers(frame, layout) {}

  void emit() {
    TokenLine line = peers.tokensOfOthers();
    e.forEach(e.blockId(), line.size(), e.blockCount(), [&](Val index) {
      TokenLine::Place place = line.find(index);
      Val entry = place.source * layout.capacity + place.token;
      Val weights = e.at(frame.address(problem.weights.argument), entry * layout.topK, kBytes);
      Choices choices = Choices::load(frame, problem, entry, weights);
      e.ifThen(choices.any(e), [&] { sendSum(place, choices); });
    });
  }

private:
  void sendSum(TokenLine::Place place, const Choices &choices) {
    Val region = peers.region(place.source);
    Val sum = layout.sum(region, peers.rank, place.token);
    forPieces(e, problem.pieces, [&](Val piece) {
      storeFloats(e, choices.sum(frame, problem, piece), problem.rows.elementType,
                  e.at(sum, piece, problem.pieces.width));
    });
    e.syncThreads();
    e.ifThen(e.threadId() == 0, [&] {
      fenceSystem(e);
      storeSystem(peers.epoch, layout.sumFlag(region, peers.rank, place.token));
    });
  }

  KernelFrame &frame;
  Emitter &e;
  const Combining &problem;
  const ExchangeLayout &layout;
  Peers peers;
};

class CombineReceiveBody {
public:
  CombineReceiveBody(KernelFrame &frame, const Combining &problem, const TensorView &ids,
                     int64_t localExperts, unsigned result)
      : frame(frame), e(frame.e), problem(problem), layout(problem.layout), ids(ids),
        localExperts(localExperts), result(result), peers(frame, layout) {}

  void emit() {
    e.forEach(e.blockId(), frame.rows(), e.blockCount(), [&](Val token) {
      Val entry = peers.rank * layout.capacity + token;
      Choices choices =
          Choices::load(frame, problem, entry, frame.rowAddress(problem.weights, token));
      Vals isOwner = waitForSums(token);
      forPieces(e, problem.pieces, [&](Val piece) {
        Vals sums = choices.sum(frame, problem, piece);
        for (int64_t rank = 0; rank < layout.ranks; ++rank)
          sums = addSum(sums, isOwner[rank], rank, token, piece);
        storeFloats(e, sums, problem.rows.elementType,
                    e.at(frame.resultRow(result, token), piece, problem.pieces.width));
      });
    });
    peers.finish();
  }

private:
  /// Waits for what the other ranks that own experts of the token send. Which they are.
  Vals waitForSums(Val token) {
    Vals isOwner(layout.ranks, e.boolean(false));
    for (int64_t choice = 0; choice < layout.topK; ++choice) {
      Val id = e.load(e.i32(), e.offset(frame.rowAddress(ids, token), choice * kBytes));
      for (int64_t rank = 0; rank < layout.ranks; ++rank)
        isOwner[rank] = e.logicalOr(isOwner[rank], id / localExperts == rank);
    }
    for (int64_t rank = 0; rank < layout.ranks; ++rank) {
      Val from = e.i32(rank);
      isOwner[rank] = e.logicalAnd(isOwner[rank], peers.rank != rank);
      e.ifThen(e.logicalAnd(isOwner[rank], e.threadId() == 0), [&] {
        peers.waitForFlag(PeerWait::Sum, from, token,
                          layout.sumFlag(peers.ownRegion(), from, token));
      });
    }
    e.syncThreads();
    return isOwner;
  }

  Vals addSum(const Vals &sums, Val isOwner, int64_t rank, Val token, Val piece) {
    return e.ifValues(
        isOwner,
        [&] {
          Val sum = layout.sum(peers.ownRegion(), e.i32(rank), token);
          Val moved = loadFresh(problem.pieces.type(e), e.at(sum, piece, problem.pieces.width));
          Vals added = sums;
          for (auto [total, term] : llvm::zip_equal(added, floatsOf(moved)))
            total = total + term;
          return added;
        },
        [&] { return sums; });
  }

  Vals floatsOf(Val moved) {
    Type element = problem.rows.elementType;
    if (problem.columns() == 1)
      return {e.toF32(e.bitcast(element, moved))};
    return e.elements(e.toF32(e.bitcast(e.vector(element, problem.columns()), moved)));
  }

  KernelFrame &frame;
  Emitter &e;
  const Combining &problem;
  const ExchangeLayout &layout;
  const TensorView &ids;
  const int64_t localExperts;
  const unsigned result;
  Peers peers;
};

FailureOr<Combining> describe(KernelAssembly &assembly, Operation *op, Value rows, Value places,
                              Value weights, int64_t capacity, int64_t mostThreads) {
  FailureOr<TensorView> rowsView = assembly.view(op, rows, "rows");
  FailureOr<TensorView> placesView = assembly.view(op, places, "places");
  FailureOr<TensorView> weightsView = assembly.view(op, weights, "weights");
  if (failed(rowsView) || failed(placesView) || failed(weightsView))
    return failure();
  auto shape = cast<RankedTensorType>(places.getType()).getShape();
  Combining problem{*rowsView, *placesView, *weightsView, {}, {}};
  problem.layout.ranks = shape[0] / capacity;
  problem.layout.capacity = capacity;
  problem.layout.topK = shape[1];
  problem.layout.hidden = rowsView->shape[0];
  const int64_t bytes = bytesOf(rowsView->elementType);
  problem.pieces = RowPieces::of(problem.layout.hidden * bytes,
                                 {rowsView->rowStride * bytes, rowsView->offset * bytes},
                                 mostThreads, /*leastThreads=*/32, kAccessBytes);
  if (!rowsView->isContiguous())
    return op->emitError("CUDA kernel @")
           << assembly.kernel.getSymName() << " needs rows that are contiguous";
  return problem;
}

/// Adds a launch of a fixed number of blocks, each of which takes some of the tokens.
void addTokenLoop(KernelAssembly &assembly, const RowPieces &pieces, int64_t mostThreads,
                  llvm::function_ref<void(KernelFrame &)> body) {
  FunctionSpec spec;
  spec.threads = pieces.threads;
  spec.rowTile = 0; // Also of a rank without tokens, which takes part in every exchange.
  spec.columnTiles = kThreadsOfCore / mostThreads * assembly.target.multiprocessors;
  assembly.beginVariant();
  assembly.addFunction(spec, [&](KernelFrame &frame) {
    frame.e.waitForPrevious();
    frame.e.allowNext();
    body(frame);
  });
}

} // namespace

LogicalResult buildCombineSend(KernelAssembly &assembly, ep::CombineSendOp op) {
  FailureOr<Combining> problem = describe(assembly, op, op.getRows(), op.getPlaces(),
                                          op.getWeights(), op.getCapacity(), kSendThreads);
  if (failed(problem))
    return failure();
  addTokenLoop(assembly, problem->pieces, kSendThreads,
               [&](KernelFrame &frame) { CombineSendBody(frame, *problem).emit(); });
  return success();
}

LogicalResult buildCombineReceive(KernelAssembly &assembly, ep::CombineReceiveOp op) {
  FailureOr<Combining> problem = describe(assembly, op, op.getRows(), op.getPlaces(),
                                          op.getWeights(), op.getCapacity(), kReceiveThreads);
  FailureOr<TensorView> ids = assembly.view(op, op.getIds(), "ids");
  FailureOr<unsigned> result = assembly.yieldedAs(op, op.getResult());
  if (failed(problem) || failed(ids) || failed(result) ||
      failed(verifyPeers(op, op.getPlacement())))
    return failure();
  addTokenLoop(assembly, problem->pieces, kReceiveThreads, [&](KernelFrame &frame) {
    CombineReceiveBody(frame, *problem, *ids, op.getPlacement().getLocalExperts(), *result).emit();
  });
  return success();
}

} // namespace epigraph::cuda
