// Orders the rows that all ranks have sent here by expert.
//
// As the permutation of a rank's own rows (ExpertSort.h), over the tokens of all ranks in the order
// of (rank, token): every block reads all ids, as they come in, and counts for itself; then it
// waits for the rows of its own tokens only. All that comes before the kernel before has ended
// (Peers.h).
#include "codegen/cuda/ExpertSort.h"
#include "codegen/cuda/KernelBuilders.h"
#include "codegen/cuda/Peers.h"

using namespace mlir;

namespace epigraph::cuda {
namespace {

constexpr int64_t kBytes = 4, kWordBytes = 8;
/// Of a block: at least as many as sort quickly, and as many more as a row has pieces.
constexpr int64_t kLeastThreads = 256, kMostThreads = 512;
/// Words of ids that a thread has asked for at a time.
constexpr int64_t kWordsAtOnce = 4;

struct Receiving {
  unsigned rows, counts, received, places, weights;
  std::optional<unsigned> scales; ///< column-major
  ep::PlacementAttr placement;
  ExchangeLayout layout;
  RowPieces pieces;
  int64_t blocks;

  int64_t threads() const { return pieces.threads; }
  int64_t localExperts() const { return placement.getLocalExperts(); }
};

class ReceiveBody {
public:
  ReceiveBody(KernelFrame &frame, const Receiving &problem)
      : frame(frame), e(frame.e), problem(problem), layout(problem.layout), peers(frame, layout),
        sort(e, problem.localExperts(), problem.threads(), e.sharedMemory()) {}

  static int64_t sharedBytes(const Receiving &problem) {
    return sortBytes(problem) + Peers::kSharedBytes;
  }

  void emit() {
    e.allowNext();
    peers.beginEpoch();
    sort.clear();
    line = peers.waitForTokens(e.offset(e.sharedMemory(), sortBytes(problem)));
    // Few tokens are shared among blocks by columns, too.
    const int64_t parts = problem.pieces.parts;
    Val isShared = line.size() * parts <= problem.blocks;
    Val width = e.select(isShared, e.i32(parts), e.i32(1)); // blocks of a token
    Val groups = e.i32(problem.blocks) / width, group = e.blockId() / width;
    firstPart = e.select(isShared, e.blockId() % width, e.i32(0));
    lastPart = e.select(isShared, firstPart + 1, e.i32(parts));
    Val first = group * line.size() / groups;
    Val last = e.minimum((group + 1) * line.size() / groups, line.size());
    // Tells how many rows there are, and has none itself unless they are many.
    Val isFirst = e.blockId() == 0;
    e.ifThen(e.logicalOr(first < last, isFirst), [&] {
      countIds(first);
      startExperts(isFirst);
      Val chunk = e.i32(problem.threads() / layout.topK);
      e.forEach(first, last, chunk, [&](Val index) {
        Val tokens = e.minimum(last - index, chunk);
        Choice choice = orderTokens(index, tokens);
        e.syncThreads();
        e.forEach(e.i32(0), tokens, e.i32(1),
                  [&](Val token) { copyRow(line.find(index + token), token * layout.topK); });
        publish(choice);
        e.syncThreads(); // Before the next tokens are ordered.
      });
    });
  }

private:
  /// What a thread has found out of one choice.
  struct Choice {
    Val exists, entry, place, weight;
  };

  static int64_t sortBytes(const Receiving &problem) {
    return ExpertSort::sharedBytes(problem.localExperts(), problem.threads());
  }

  /// This rank's number of the expert `id`; -1 if it is another rank's, or none.
  Val localExpert(Val id) {
    const int64_t experts = problem.localExperts();
    Val local = id - peers.rank * experts;
    return e.select(e.logicalAnd(local >= 0, local < experts), local, e.i32(-1));
  }

  /// Of two ids of a token, of 16 bits each.
  Val idWord(TokenLine::Place place, Val word) {
    return layout.idWord(peers.ownRegion(), peers.parity, place.source, place.token, word);
  }

  /// Counts the choices of all tokens, of which those before `own` are of other blocks.
  void countIds(Val own) {
    const int64_t words = layout.idWords(), threads = problem.threads();
    Val all = line.size() * words;
    e.forEach(e.threadId(), all, e.i32(kWordsAtOnce * threads), [&](Val index) {
      Vals loaded;
      for (int64_t i = 0; i < kWordsAtOnce; ++i) {
        Val near = e.minimum(index + i * threads, all - 1);
        loaded.push_back(peers.loadWord(idWord(line.find(near / words), near % words)));
      }
      for (int64_t i = 0; i < kWordsAtOnce; ++i)
        e.ifThen(index + i * threads < all,
                 [&] { countWord(index + i * threads, own, loaded[i]); });
    });
  }

  void countWord(Val index, Val own, Val loaded) {
    const int64_t words = layout.idWords();
    Val token = index / words;
    TokenLine::Place place = line.find(token);
    Val both = peers.waitForWord(PeerWait::Ids, place.source, place.token,
                                 idWord(place, index % words), e.i32(-1), loaded);
    for (Val id : {both & 0xFFFF, both >> 16}) {
      Val expert = localExpert(id);
      e.ifThen(expert >= 0, [&] { sort.count(expert, token < own); });
    }
  }

  void startExperts(Val isFirst) {
    e.ifThen(isFirst, [&] { e.waitForPrevious(); });
    Val received = sort.start([&](Val expert, Val count) {
      e.ifThen(isFirst,
               [&] { e.store(count, e.at(frame.result(problem.counts), expert, kBytes)); });
    });
    e.ifThen(e.logicalAnd(isFirst, e.threadId() == 0), [&] {
      e.store(received, frame.result(problem.received));
      peers.recordEpoch();
    });
  }

  /// Gives each choice of tokens [index, index + tokens) of the line its place, and waits for the
  /// weights and flags of those that have one.
  Choice orderTokens(Val index, Val tokens) {
    Choice choice;
    choice.exists = e.threadId() < tokens * layout.topK;
    Val number = e.threadId() % layout.topK;
    TokenLine::Place token =
        line.find(e.minimum(index + e.threadId() / layout.topK, index + tokens - 1));
    Val region = peers.ownRegion();
    Val ids = idWord(token, number / 2);
    Val weight = layout.weightWord(region, peers.parity, token.source, token.token, number);
    Val firstIds = peers.loadWord(ids), firstWeight = peers.loadWord(weight);
    Val none = e.i32(-1);
    Val expert = e.ifValues(
        choice.exists,
        [&] {
          Val both =
              peers.waitForWord(PeerWait::Ids, token.source, token.token, ids, none, firstIds);
          return Vals{localExpert(e.select((number & 1) == 0, both & 0xFFFF, both >> 16))};
        },
        [&] { return Vals{none}; })[0];
    choice.entry = (token.source * layout.capacity + token.token) * layout.topK + number;
    choice.place = sort.order(expert);
    choice.weight = e.ifValues(
        choice.place >= 0,
        [&] {
          e.ifThen(e.logicalNot(peers.areWords(token.tokens)), [&] {
            peers.waitForFlag(PeerWait::Row, token.source, token.token,
                              layout.slotFlag(region, peers.parity, token.source, token.token));
          });
          return Vals{peers.waitForWord(PeerWait::Row, token.source, token.token, weight, e.i32(0),
                                        firstWeight)};
        },
        [&] { return Vals{e.i32(0)}; })[0];
    return choice;
  }

  void publish(const Choice &choice) {
    e.waitForPrevious();
    e.ifThen(e.logicalAnd(choice.exists, firstPart == 0), [&] {
      e.store(choice.place, e.at(frame.result(problem.places), choice.entry, kBytes));
      e.store(choice.weight, e.at(frame.result(problem.weights), choice.entry, kBytes));
    });
  }

  /// Copies a row out of its slot to the places of its choices, which are those from `choice` on.
  void copyRow(TokenLine::Place token, Val choice) {
    Vals places;
    Val isHere = e.boolean(false);
    for (int64_t j = 0; j < layout.topK; ++j) {
      places.push_back(sort.placeOf(choice + j));
      isHere = e.logicalOr(isHere, places.back() >= 0);
    }
    e.ifThen(isHere, [&] {
      e.ifElse(
          peers.areWords(token.tokens), [&] { copyPieces<true>(token, places); },
          [&] { copyPieces<false>(token, places); });
    });
  }

  template <bool areWords> void copyPieces(TokenLine::Place token, const Vals &places) {
    const RowPieces &pieces = problem.pieces;
    Val region = peers.ownRegion();
    Val slot = areWords ? layout.slotWords(region, peers.parity, token.source, token.token)
                        : layout.slot(region, peers.parity, token.source, token.token);
    auto storeAll = [&](Val moved, llvm::function_ref<Val(Val place)> address) {
      e.waitForPrevious();
      for (Val place : places)
        e.ifThen(place >= 0, [&] { e.store(moved, address(place)); });
    };
    e.forEach(firstPart, lastPart, e.i32(1), [&](Val part) {
      pieces.forPiece(e, part, [&](Val piece) {
        Val moved = areWords ? peers.waitForPiece(PeerWait::Row, token, pieces, piece, slot)
                             : loadFresh(pieces.type(e), e.at(slot, piece, pieces.width));
        Val to = e.at(frame.result(problem.rows), piece, pieces.width);
        storeAll(moved, [&](Val place) { return e.at(to, place, layout.rowBytes); });
      });
    });
    if (!problem.scales)
      return;
    e.ifThen(firstPart == 0, [&] {
      e.forEach(
          e.threadId(), e.i32(layout.scaleBytes / kBytes), e.i32(pieces.threads), [&](Val block) {
            Val scale = areWords ? waitForScale(token, slot, block)
                                 : loadFresh(e.i32(), e.at(e.offset(slot, layout.scalesInSlot()),
                                                           block, kBytes));
            Val column = block * frame.capacity();
            storeAll(scale, [&](Val place) {
              return e.at(frame.result(*problem.scales), column + place, kBytes);
            });
          });
    });
  }

  Val waitForScale(TokenLine::Place token, Val slot, Val block) {
    Val address = e.at(e.offset(slot, layout.scalesInSlotWords()), block, kWordBytes);
    return peers.waitForWord(PeerWait::Row, token.source, token.token, address, e.i32(0));
  }

  KernelFrame &frame;
  Emitter &e;
  const Receiving &problem;
  const ExchangeLayout &layout;
  Peers peers;
  ExpertSort sort;
  TokenLine line;
  Val firstPart, lastPart; ///< of each row, that the block copies
};

} // namespace

LogicalResult buildDispatchReceive(KernelAssembly &assembly, ep::DispatchReceiveOp op) {
  FailureOr<unsigned> rows = assembly.yieldedAs(op, op.getRows());
  FailureOr<unsigned> counts = assembly.yieldedAs(op, op.getCounts());
  FailureOr<unsigned> received = assembly.yieldedAs(op, op.getReceived());
  FailureOr<unsigned> places = assembly.yieldedAs(op, op.getPlaces());
  FailureOr<unsigned> weights = assembly.yieldedAs(op, op.getWeights());
  if (failed(rows) || failed(counts) || failed(received) || failed(places) || failed(weights) ||
      failed(verifyPeers(op, op.getPlacement())))
    return failure();
  Receiving problem{*rows,        *counts,           *received, *places, *weights,
                    std::nullopt, op.getPlacement(), {},        {},      0};
  if (op.getRowScales()) {
    FailureOr<unsigned> scales = assembly.yieldedAs(op, op.getRowScales());
    if (failed(scales))
      return failure();
    problem.scales.emplace(*scales);
  }
  problem.layout = exchangeLayout(op.getPlacement(), op.getCapacity(), op.getPlaces().getType(),
                                  op.getRows().getType());
  problem.pieces = RowPieces::of(problem.layout.rowBytes, {}, kMostThreads, kLeastThreads);
  if (problem.layout.topK > problem.threads())
    return op.emitError("CUDA kernel @")
           << assembly.kernel.getSymName() << " takes up to " << problem.threads()
           << " experts of each token, but got " << problem.layout.topK;
  // All at once on the GPU, each with some of the tokens, however many there are.
  constexpr int64_t kBlocksOfCore = 2;
  problem.blocks = kBlocksOfCore * assembly.target.multiprocessors;
  FunctionSpec spec;
  spec.threads = problem.threads();
  spec.blocksOfCore = kBlocksOfCore;
  spec.sharedBytes = ReceiveBody::sharedBytes(problem);
  spec.rowTile = 0;
  spec.columnTiles = problem.blocks;
  assembly.beginVariant();
  assembly.addFunction(spec, [&](KernelFrame &frame) { ReceiveBody(frame, problem).emit(); });
  return success();
}

} // namespace epigraph::cuda
