// Combine over the memory of peers: each rank adds up what its experts made of a token of another
// rank and stores the sum there; the token's rank adds what its own experts made, and the sums.
//
// A row is cut into parts, and a block takes one part of one token at a time. A thread keeps its
// pieces of all rows as they are until all have come, so that many are under way in few registers.
// Sums for ranks with few tokens go as words (ExchangeLayout.h). Behind others goes a flag for each
// part, from a warp that has no piece: the rest of the block goes on while that waits for the
// fence.
#include "codegen/cuda/KernelBuilders.h"
#include "codegen/cuda/Peers.h"

#include <numeric>

using namespace mlir;

namespace epigraph::cuda {
namespace {

constexpr int64_t kBytes = 4;
constexpr int64_t kAccessBytes = 16;
constexpr int64_t kWarp = 32;

/// What both halves have in common: the experts' rows, and which of them belong to a token.
struct Combining {
  TensorView rows, places, weights;
  ExchangeLayout layout;
  RowPieces pieces; ///< of sums: rows may be aligned to less
  int64_t alignment;

  int64_t columns() const { return pieces.width / bytesOf(rows.elementType); }

  /// A piece of a row, or zeroes where the condition does not hold.
  Val load(Emitter &e, Val address, Val condition) const {
    if (alignment >= pieces.width)
      return loadFresh(pieces.type(e), address, condition);
    const int64_t unit = std::min<int64_t>(alignment, kBytes);
    Type type = e.builder().getIntegerType(static_cast<unsigned>(unit * 8));
    Vals units;
    for (int64_t at = 0; at < pieces.width; at += unit)
      units.push_back(loadFresh(type, e.offset(address, at), condition));
    return e.bitcast(pieces.type(e), e.pack(units));
  }
  /// A piece as elements in float32, and back.
  Vals floatsOf(Emitter &e, Val moved) const {
    Type element = rows.elementType;
    if (columns() == 1)
      return {e.toF32(e.bitcast(element, moved))};
    return e.elements(e.toF32(e.bitcast(e.vector(element, columns()), moved)));
  }
  Val pack(Emitter &e, ArrayRef<Val> floats) const {
    Val row = e.fromF32(columns() == 1 ? floats[0] : e.pack(floats), rows.elementType);
    return e.bitcast(pieces.type(e), row);
  }
};

/// The choices of one token that this rank's experts see to.
struct Choices {
  Vals places, weights;

  static Choices load(KernelFrame &frame, const Combining &problem, Val line, Val weightsOfToken) {
    Emitter &e = frame.e;
    Val places = e.at(frame.address(problem.places.argument), line * problem.layout.topK, kBytes);
    Choices choices;
    for (int64_t j = 0; j < problem.layout.topK; ++j) {
      choices.places.push_back(loadFresh(e.i32(), e.offset(places, j * kBytes)));
      choices.weights.push_back(loadFresh(e.f32(), e.offset(weightsOfToken, j * kBytes)));
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
    Vals pieces;
    for (Val place : places) {
      Val row = frame.rowAddress(problem.rows, place);
      pieces.push_back(problem.load(e, e.at(row, piece, problem.pieces.width), place >= 0));
    }
    Vals sums(problem.columns(), e.f32(0));
    for (auto [moved, weight, place] : llvm::zip_equal(pieces, weights, places)) {
      Val factor = e.select(place >= 0, weight, e.f32(0));
      for (auto [sum, term] : llvm::zip_equal(sums, problem.floatsOf(e, moved)))
        sum = e.fma(factor, term, sum);
    }
    return sums;
  }
};

class CombineSendBody {
public:
  CombineSendBody(KernelFrame &frame, const Combining &problem)
      : frame(frame), e(frame.e), problem(problem), layout(problem.layout), pieces(problem.pieces),
        peers(frame, layout), lane(e.threadId() - pieces.threads) {}

  static int64_t threadsOf(const RowPieces &pieces) { return pieces.threads + kWarp; }

  void emit() {
    peers.beginEpoch();
    TokenLine line = peers.waitForTokens(e.sharedMemory()).without(peers.rank);
    e.waitForPrevious();
    e.allowNext();
    e.forEach(e.blockId(), line.size() * pieces.parts, e.blockCount(), [&](Val index) {
      TokenLine::Place token = line.find(index / pieces.parts);
      Val entry = token.source * layout.capacity + token.token;
      Val weights = e.at(frame.address(problem.weights.argument), entry * layout.topK, kBytes);
      Choices choices = Choices::load(frame, problem, entry, weights);
      e.ifThen(choices.any(e), [&] { sendSum(token, index % pieces.parts, choices); });
    });
  }

private:
  void sendSum(TokenLine::Place token, Val part, const Choices &choices) {
    Val region = peers.region(token.source), areWords = peers.areWords(token.tokens);
    e.ifThen(lane < 0, [&] {
      pieces.forPiece(e, part, [&](Val piece) {
        Val sum = problem.pack(e, choices.sum(frame, problem, piece));
        e.ifElse(
            areWords,
            [&] {
              peers.storePiece(pieces, sum, piece,
                               layout.sumWords(region, peers.rank, token.token));
            },
            [&] {
              Val row = layout.sum(region, peers.rank, token.token);
              e.store(sum, e.at(row, piece, pieces.width));
            });
      });
    });
    e.ifThen(e.logicalNot(areWords), [&] {
      e.syncThreads();
      e.ifThen(lane == 0, [&] {
        fenceSystem(e);
        storeSystem(peers.epoch, layout.sumFlag(region, peers.rank, token.token, part));
      });
    });
  }

  KernelFrame &frame;
  Emitter &e;
  const Combining &problem;
  const ExchangeLayout &layout;
  const RowPieces &pieces;
  Peers peers;
  Val lane; ///< of the thread in the last warp; negative in the others, which add up
};

class CombineReceiveBody {
public:
  CombineReceiveBody(KernelFrame &frame, const Combining &problem, const TensorView &ids,
                     int64_t localExperts, unsigned result)
      : frame(frame), e(frame.e), problem(problem), layout(problem.layout), pieces(problem.pieces),
        ids(ids), localExperts(localExperts), result(result), peers(frame, layout) {}

  void emit() {
    e.allowNext();
    peers.resumeEpoch();
    Val rows = frame.rows();
    e.forEach(e.blockId(), rows * pieces.parts, e.blockCount(), [&](Val index) {
      TokenLine::Place token{peers.rank, index / pieces.parts, rows};
      Val entry = peers.rank * layout.capacity + token.token;
      Choices choices =
          Choices::load(frame, problem, entry, frame.rowAddress(problem.weights, token.token));
      Vals owners = ownersOf(token.token);
      e.ifElse(
          peers.areWords(rows),
          [&] { addPart<true>(token, index % pieces.parts, choices, owners); },
          [&] { addPart<false>(token, index % pieces.parts, choices, owners); });
    });
    e.ifThen(e.blockId() == 0, [&] {
      e.waitForPrevious();
      e.ifThen(e.threadId() == 0, [&] { peers.endEpoch(); });
    });
  }

private:
  /// Of each rank, whether it is another that has experts of the token.
  Vals ownersOf(Val token) {
    Vals isOwner(layout.ranks, e.boolean(false));
    for (int64_t choice = 0; choice < layout.topK; ++choice) {
      Val id = loadFresh(e.i32(), e.offset(frame.rowAddress(ids, token), choice * kBytes));
      for (int64_t rank = 0; rank < layout.ranks; ++rank)
        isOwner[rank] = e.logicalOr(isOwner[rank], id / localExperts == rank);
    }
    for (int64_t rank = 0; rank < layout.ranks; ++rank)
      isOwner[rank] = e.logicalAnd(isOwner[rank], peers.rank != rank);
    return isOwner;
  }

  template <bool areWords>
  void addPart(TokenLine::Place token, Val part, const Choices &choices, const Vals &isOwner) {
    pieces.forPiece(e, part, [&](Val piece) {
      Vals sums = choices.sum(frame, problem, piece);
      for (int64_t rank = 0; rank < layout.ranks; ++rank)
        sums = e.ifValues(
            isOwner[rank],
            [&] {
              TokenLine::Place from{e.i32(rank), token.token, token.tokens};
              Vals added = sums;
              for (auto [total, term] : llvm::zip_equal(
                       added, problem.floatsOf(e, waitForSum<areWords>(from, part, piece))))
                total = total + term;
              return added;
            },
            [&] { return sums; });
      e.waitForPrevious();
      e.store(problem.pack(e, sums),
              e.at(frame.resultRow(result, token.token), piece, pieces.width));
    });
  }

  /// A piece of what the rank `from.source` has made of the token. Where a flag tells that it is
  /// there, each thread looks at it: those of a warp at once.
  template <bool areWords> Val waitForSum(TokenLine::Place from, Val part, Val piece) {
    Val region = peers.ownRegion();
    if (areWords)
      return peers.waitForPiece(PeerWait::Sum, from, pieces, piece,
                                layout.sumWords(region, from.source, from.token));
    peers.waitForFlag(PeerWait::Sum, from.source, from.token,
                      layout.sumFlag(region, from.source, from.token, part));
    Val row = layout.sum(region, from.source, from.token);
    return loadFresh(pieces.type(e), e.at(row, piece, pieces.width));
  }

  KernelFrame &frame;
  Emitter &e;
  const Combining &problem;
  const ExchangeLayout &layout;
  const RowPieces &pieces;
  const TensorView &ids;
  const int64_t localExperts;
  const unsigned result;
  Peers peers;
};

FailureOr<Combining> describe(KernelAssembly &assembly, Operation *op, Value rows, Value places,
                              Value weights, int64_t capacity) {
  FailureOr<TensorView> rowsView = assembly.view(op, rows, "rows");
  FailureOr<TensorView> placesView = assembly.view(op, places, "places");
  FailureOr<TensorView> weightsView = assembly.view(op, weights, "weights");
  if (failed(rowsView) || failed(placesView) || failed(weightsView))
    return failure();
  auto shape = cast<RankedTensorType>(places.getType()).getShape();
  Combining problem{*rowsView, *placesView, *weightsView, {}, {}, 0};
  problem.layout.ranks = shape[0] / capacity;
  problem.layout.capacity = capacity;
  problem.layout.topK = shape[1];
  problem.layout.hidden = rowsView->shape[0];
  const int64_t bytes = bytesOf(rowsView->elementType);
  problem.pieces = RowPieces::of(problem.layout.hidden * bytes, {}, ExchangeLayout::kPartPieces);
  problem.alignment =
      std::gcd(std::gcd(rowsView->rowStride * bytes, rowsView->offset * bytes), kAccessBytes);
  if (!rowsView->isContiguous())
    return op->emitError("CUDA kernel @")
           << assembly.kernel.getSymName() << " needs rows that are contiguous";
  return problem;
}

/// Adds a launch of blocks that share the tokens. Blocks of both halves fit a multiprocessor
/// together, so that rows of this rank's experts are added up while sums are under way.
void addTokenLoop(KernelAssembly &assembly, FunctionSpec spec,
                  llvm::function_ref<void(KernelFrame &)> body) {
  constexpr int64_t kBlocksOfCore = 2;
  spec.rowTile = 0; // Also of a rank without tokens, which takes part in every exchange.
  spec.columnTiles = kBlocksOfCore * assembly.target.multiprocessors;
  spec.blocksOfCore = 2 * kBlocksOfCore;
  assembly.beginVariant();
  assembly.addFunction(spec, body);
}

} // namespace

LogicalResult buildCombineSend(KernelAssembly &assembly, ep::CombineSendOp op) {
  FailureOr<Combining> problem =
      describe(assembly, op, op.getRows(), op.getPlaces(), op.getWeights(), op.getCapacity());
  if (failed(problem))
    return failure();
  FunctionSpec spec;
  spec.threads = CombineSendBody::threadsOf(problem->pieces);
  spec.sharedBytes = Peers::kSharedBytes;
  addTokenLoop(assembly, spec,
               [&](KernelFrame &frame) { CombineSendBody(frame, *problem).emit(); });
  return success();
}

LogicalResult buildCombineReceive(KernelAssembly &assembly, ep::CombineReceiveOp op) {
  FailureOr<Combining> problem =
      describe(assembly, op, op.getRows(), op.getPlaces(), op.getWeights(), op.getCapacity());
  FailureOr<TensorView> ids = assembly.view(op, op.getIds(), "ids");
  FailureOr<unsigned> result = assembly.yieldedAs(op, op.getResult());
  if (failed(problem) || failed(ids) || failed(result) ||
      failed(verifyPeers(op, op.getPlacement())))
    return failure();
  FunctionSpec spec;
  spec.threads = problem->pieces.threads;
  addTokenLoop(assembly, spec, [&](KernelFrame &frame) {
    CombineReceiveBody(frame, *problem, *ids, op.getPlacement().getLocalExperts(), *result).emit();
  });
  return success();
}

} // namespace epigraph::cuda
