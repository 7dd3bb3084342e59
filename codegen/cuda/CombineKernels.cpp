// Combine over the memory of peers: each rank adds up what its experts made of a token of another
// rank and stores the sum there; the token's rank adds what its own experts made, and the sums.
//
// A row is cut into parts, and a block takes one part of one token at a time. A thread keeps its
// pieces of all rows as they are until all have come, so that many are under way in few registers.
// Sums for ranks with few tokens go as words (ExchangeLayout.h). Others have a flag for each part,
// when their block has stored all of its own. While they are under way, what this rank's experts
// made is added up; it waits in the region, at the place of sums that no rank sends to itself.
#include "codegen/cuda/KernelBuilders.h"
#include "codegen/cuda/Peers.h"

#include <numeric>

using namespace mlir;

namespace epigraph::cuda {
namespace {

constexpr int64_t kBytes = 4;
constexpr int64_t kAccessBytes = 16;

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
        peers(frame, layout) {}

  void emit() {
    peers.beginEpoch();
    line = peers.waitForTokens(e.sharedMemory()).without(peers.rank);
    e.waitForPrevious();
    e.allowNext();
    Val units = line.size() * pieces.parts;
    e.forEach(e.blockId(), units, e.blockCount(), [&](Val unit) { sendPart(unit); });
    e.syncThreads();
    Val first = e.blockId() + e.threadId() * e.blockCount();
    e.forEach(first, units, e.blockCount() * pieces.threads, [&](Val unit) { sendFlag(unit); });
  }

private:
  /// A part of a token's sum.
  void sendPart(Val unit) {
    TokenLine::Place token = line.find(unit / pieces.parts);
    Val entry = token.source * layout.capacity + token.token;
    Val weights = e.at(frame.address(problem.weights.argument), entry * layout.topK, kBytes);
    Choices choices = Choices::load(frame, problem, entry, weights);
    Val region = peers.region(token.source);
    auto send = [&](Val piece) {
      Val sum = problem.pack(e, choices.sum(frame, problem, piece));
      e.ifElse(
          peers.areWords(token.tokens),
          [&] {
            Val row = layout.sumWords(region, peers.rank, token.token);
            peers.storePiece(pieces, sum, piece, row);
          },
          [&] {
            Val row = layout.sum(region, peers.rank, token.token);
            e.store(sum, e.at(row, piece, pieces.width));
          });
    };
    e.ifThen(choices.any(e), [&] { pieces.forPiece(e, unit % pieces.parts, send); });
  }

  /// Also where there is no sum, which nobody waits for. A thread has seldom more than one.
  void sendFlag(Val unit) {
    TokenLine::Place token = line.find(unit / pieces.parts);
    e.ifThen(e.logicalNot(peers.areWords(token.tokens)), [&] {
      fenceSystem(e);
      storeSystem(peers.epoch, layout.sumFlag(peers.region(token.source), peers.rank, token.token,
                                              unit % pieces.parts));
    });
  }

  KernelFrame &frame;
  Emitter &e;
  const Combining &problem;
  const ExchangeLayout &layout;
  const RowPieces &pieces;
  Peers peers;
  TokenLine line; ///< tokens of the other ranks
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
    rows = frame.rows();
    Val isFew = units() <= e.blockCount(), areWords = peers.areWords(rows);
    e.ifElse(e.logicalOr(isFew, areWords), [&] { addFew(areWords); }, [&] { addMany(); });
    e.ifThen(e.blockId() == 0, [&] {
      e.waitForPrevious();
      e.ifThen(e.threadId() == 0, [&] { peers.endEpoch(); });
    });
  }

private:
  /// One part of one token.
  struct Unit {
    Val token, part;
  };
  Unit unitAt(Val index) const { return {index / pieces.parts, index % pieces.parts}; }

  /// Few parts for each block: sums stay in registers.
  void addFew(Val areWords) {
    e.forEach(e.blockId(), units(), e.blockCount(), [&](Val index) {
      Unit unit = unitAt(index);
      Vals isOwner = ownersOf(unit.token);
      pieces.forPiece(e, unit.part, [&](Val piece) {
        Vals sums = ownSum(unit.token, piece);
        for (int64_t rank = 0; rank < layout.ranks; ++rank)
          sums = e.ifValues(
              isOwner[rank],
              [&] {
                return sumOf(sums,
                             e.ifValues(
                                 areWords,
                                 [&] { return Vals{waitForWords(e.i32(rank), unit, piece)}; },
                                 [&] { return Vals{waitForRow(e.i32(rank), unit, piece)}; })[0]);
              },
              [&] { return sums; });
        e.waitForPrevious();
        storeResult(unit.token, piece, sums);
      });
    });
  }

  Val waitForWords(Val from, Unit unit, Val piece) {
    Val row = layout.sumWords(peers.ownRegion(), from, unit.token);
    return peers.waitForPiece(PeerWait::Sum, {from, unit.token, rows}, pieces, piece, row);
  }

  /// Each thread looks at the flag: those of a warp at once.
  Val waitForRow(Val from, Unit unit, Val piece) {
    waitForFlag(from, unit);
    return loadSum(from, unit, piece);
  }

  void waitForFlag(Val from, Unit unit) {
    peers.waitForFlag(PeerWait::Sum, from, unit.token,
                      layout.sumFlag(peers.ownRegion(), from, unit.token, unit.part));
  }

  Val loadSum(Val from, Unit unit, Val piece) {
    Val row = layout.sum(peers.ownRegion(), from, unit.token);
    return loadFresh(pieces.type(e), e.at(row, piece, pieces.width));
  }

  /// First all that this rank's experts made; then what others sent, some parts at a time.
  void addMany() {
    e.forEach(e.blockId(), units(), e.blockCount(), [&](Val index) {
      Unit unit = unitAt(index);
      pieces.forPiece(e, unit.part, [&](Val piece) {
        storeFloats(e, ownSum(unit.token, piece), e.f32(), ownPlace(unit.token, piece));
      });
    });
    waitForFlags();
    e.waitForPrevious();
    constexpr int64_t kAtOnce = 2;
    e.forEach(e.blockId(), units(), e.blockCount() * kAtOnce, [&](Val index) {
      SmallVector<Val> some;
      for (int64_t i = 0; i < kAtOnce; ++i)
        some.push_back(index + e.blockCount() * i);
      addSums(some);
    });
  }

  /// Waits for the sums of all units of the block, of which the threads share the flags.
  void waitForFlags() {
    Val first = e.blockId() + e.threadId() / layout.ranks * e.blockCount();
    const int64_t together = pieces.threads / layout.ranks;
    Val from = e.threadId() % layout.ranks;
    Val waits = e.logicalAnd(from != peers.rank, e.threadId() < together * layout.ranks);
    e.ifThen(waits, [&] {
      e.forEach(first, units(), e.blockCount() * together,
                [&](Val index) { waitForFlag(from, unitAt(index)); });
    });
    e.syncThreads();
  }

  /// Adds up what has come for the units `some`, as far as they exist.
  void addSums(ArrayRef<Val> some) {
    SmallVector<Vals> owners, sums, others;
    for (Val index : some) {
      Unit unit = unitAt(e.minimum(index, units() - 1));
      owners.push_back(ownersOf(unit.token));
      Val piece = e.minimum(unit.part * pieces.threads + e.threadId(), e.i32(pieces.count - 1));
      sums.push_back(loadFloats(e, e.f32(), ownPlace(unit.token, piece), problem.columns()));
      others.emplace_back();
      for (int64_t rank = 0; rank < layout.ranks; ++rank)
        others.back().push_back(loadSum(e.i32(rank), unit, piece));
    }
    for (auto [index, isOwner, own, other] : llvm::zip_equal(some, owners, sums, others))
      e.ifThen(index < units(), [&] {
        Vals total = own;
        for (auto [counts, sum] : llvm::zip_equal(isOwner, other))
          for (auto [column, added] : llvm::zip_equal(total, sumOf(total, sum)))
            column = e.select(counts, added, column);
        Unit unit = unitAt(index);
        pieces.forPiece(e, unit.part, [&](Val piece) { storeResult(unit.token, piece, total); });
      });
  }

  Vals sumOf(Vals sums, Val moved) {
    for (auto [sum, term] : llvm::zip_equal(sums, problem.floatsOf(e, moved)))
      sum = sum + term;
    return sums;
  }

  /// What this rank's experts made of a token, at one piece.
  Vals ownSum(Val token, Val piece) {
    Val entry = peers.rank * layout.capacity + token;
    Val weights = frame.rowAddress(problem.weights, token);
    return Choices::load(frame, problem, entry, weights).sum(frame, problem, piece);
  }

  /// Where that waits for the other sums, in float32.
  Val ownPlace(Val token, Val piece) {
    return e.at(layout.sum(peers.ownRegion(), peers.rank, token), piece,
                problem.columns() * kBytes);
  }

  void storeResult(Val token, Val piece, const Vals &sums) {
    e.store(problem.pack(e, sums), e.at(frame.resultRow(result, token), piece, pieces.width));
  }

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

  /// Parts of all tokens.
  Val units() { return rows * pieces.parts; }

  KernelFrame &frame;
  Emitter &e;
  const Combining &problem;
  const ExchangeLayout &layout;
  const RowPieces &pieces;
  const TensorView &ids;
  const int64_t localExperts;
  const unsigned result;
  Peers peers;
  Val rows;
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
  spec.threads = problem->pieces.threads;
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
