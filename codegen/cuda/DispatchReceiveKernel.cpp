// Orders the rows that all ranks have sent here by expert.
//
// As the permutation of a rank's own rows (ExpertSort.h), over the tokens of all ranks in the order
// of (rank, token): every block reads all ids, as they come in, and counts for itself; then it
// waits for the rows of its own tokens only.
#include "codegen/cuda/ExpertSort.h"
#include "codegen/cuda/KernelBuilders.h"
#include "codegen/cuda/Peers.h"
#include "codegen/cuda/RowPieces.h"

using namespace mlir;

namespace epigraph::cuda {
namespace {

constexpr int64_t kBytes = 4;
constexpr int64_t kThreads = 256;

struct Receiving {
  unsigned rows, counts, received, places, weights;
  std::optional<unsigned> scales; ///< column-major
  ep::PlacementAttr placement;
  ExchangeLayout layout;
  RowPieces pieces;
  int64_t blocks;
};

class ReceiveBody {
public:
  ReceiveBody(KernelFrame &frame, const Receiving &problem)
      : frame(frame), e(frame.e), problem(problem), layout(problem.layout), peers(frame, layout),
        sort(e, problem.placement.getLocalExperts(), kThreads, e.sharedMemory()),
        line(peers.waitForTokens(e.offset(e.sharedMemory(), sortBytes(problem)))) {}

  static int64_t sortBytes(const Receiving &problem) {
    return ExpertSort::sharedBytes(problem.placement.getLocalExperts(), kThreads);
  }

  void emit() {
    // Few tokens are shared among blocks by columns, too.
    const int64_t parts = problem.pieces.parts;
    Val isShared = line.size() * parts <= problem.blocks;
    Val width = e.select(isShared, e.i32(parts), e.i32(1)); // blocks of a token
    Val groups = e.i32(problem.blocks) / width, group = e.blockId() / width;
    firstPart = e.select(isShared, e.blockId() % width, e.i32(0));
    lastPart = e.select(isShared, firstPart + 1, e.i32(parts));
    Val first = group * line.size() / groups;
    Val last = e.minimum((group + 1) * line.size() / groups, line.size());
    Val isFirst = e.blockId() == 0;
    e.ifThen(e.logicalOr(first < last, isFirst), [&] {
      sort.clear();
      countIds(first);
      startExperts(isFirst);
      Val chunk = e.i32(kThreads / layout.topK);
      e.forEach(first, last, chunk, [&](Val index) {
        Val tokens = e.minimum(last - index, chunk);
        orderTokens(index, tokens);
        e.syncThreads();
        e.forEach(e.i32(0), tokens, e.i32(1),
                  [&](Val token) { copyRow(line.find(index + token), token * layout.topK); });
        e.syncThreads(); // Before the next tokens are ordered.
      });
    });
  }

private:
  /// This rank's number of the expert `id`; -1 if it is another rank's, or none.
  Val localExpert(Val id) {
    const int64_t experts = problem.placement.getLocalExperts();
    Val local = id - peers.rank * experts;
    return e.select(e.logicalAnd(local >= 0, local < experts), local, e.i32(-1));
  }

  /// Two ids of a token, of 16 bits each.
  Val waitForIds(TokenLine::Place place, Val word) {
    return peers.waitForWord(
        PeerWait::Ids, place.source, place.token,
        layout.idWord(peers.ownRegion(), peers.parity, place.source, place.token, word), e.i32(-1));
  }

  /// Counts the choices of all tokens, of which those before `own` are of other blocks.
  void countIds(Val own) {
    e.forEach(e.threadId(), line.size() * layout.idWords(), e.i32(kThreads), [&](Val index) {
      Val token = index / layout.idWords();
      Val both = waitForIds(line.find(token), index % layout.idWords());
      for (Val id : {both & 0xFFFF, both >> 16}) {
        Val expert = localExpert(id);
        e.ifThen(expert >= 0, [&] { sort.count(expert, token < own); });
      }
    });
  }

  void startExperts(Val isFirst) {
    Val received = sort.start([&](Val expert, Val count) {
      e.ifThen(isFirst,
               [&] { e.store(count, e.at(frame.result(problem.counts), expert, kBytes)); });
    });
    e.ifThen(e.logicalAnd(isFirst, e.threadId() == 0),
             [&] { e.store(received, frame.result(problem.received)); });
  }

  /// Gives each choice of tokens [index, index + tokens) of the line its place, waits for the slots
  /// of those that have one, and takes their weights out of them.
  void orderTokens(Val index, Val tokens) {
    Val exists = e.threadId() < tokens * layout.topK;
    Val choice = e.threadId() % layout.topK;
    TokenLine::Place token = line.find(index + e.threadId() / layout.topK);
    Val expert = e.ifValues(
        exists,
        [&] {
          Val both = waitForIds(token, choice / 2);
          return Vals{localExpert(e.select((choice & 1) == 0, both & 0xFFFF, both >> 16))};
        },
        [&] { return Vals{e.i32(-1)}; })[0];
    Val place = sort.order(expert);
    Val weight = e.ifValues(
        place >= 0,
        [&] {
          Val region = peers.ownRegion();
          peers.waitForFlag(PeerWait::Row, token.source, token.token,
                            layout.slotFlag(region, peers.parity, token.source, token.token));
          Val slot = layout.slot(region, peers.parity, token.source, token.token);
          return Vals{
              loadFresh(e.f32(), e.at(e.offset(slot, layout.weightsInSlot()), choice, kBytes))};
        },
        [&] { return Vals{e.f32(0)}; })[0];
    e.ifThen(e.logicalAnd(exists, firstPart == 0), [&] {
      Val entry = (token.source * layout.capacity + token.token) * layout.topK + choice;
      e.store(place, e.at(frame.result(problem.places), entry, kBytes));
      e.store(weight, e.at(frame.result(problem.weights), entry, kBytes));
    });
  }

  /// Copies a row out of its slot to the places of its choices, which are those from `choice` on.
  void copyRow(TokenLine::Place token, Val choice) {
    const RowPieces &pieces = problem.pieces;
    Val slot = layout.slot(peers.ownRegion(), peers.parity, token.source, token.token);
    Vals places;
    Val isHere = e.boolean(false);
    for (int64_t j = 0; j < layout.topK; ++j) {
      places.push_back(sort.placeOf(choice + j));
      isHere = e.logicalOr(isHere, places.back() >= 0);
    }
    auto storeAll = [&](Val moved, llvm::function_ref<Val(Val place)> address) {
      for (Val place : places)
        e.ifThen(place >= 0, [&] { e.store(moved, address(place)); });
    };
    e.ifThen(isHere, [&] {
      e.forEach(firstPart, lastPart, e.i32(1), [&](Val part) {
        pieces.forPiece(e, part, [&](Val piece) {
          Val moved = loadFresh(pieces.type(e), e.at(slot, piece, pieces.width));
          Val to = e.at(frame.result(problem.rows), piece, pieces.width);
          storeAll(moved, [&](Val place) { return e.at(to, place, layout.rowBytes); });
        });
      });
      if (!problem.scales)
        return;
      e.ifThen(firstPart == 0, [&] {
        e.forEach(e.threadId(), e.i32(layout.scaleBytes / kBytes), e.i32(kThreads), [&](Val block) {
          Val scale =
              loadFresh(e.f32(), e.at(e.offset(slot, layout.scalesInSlot()), block, kBytes));
          Val column = block * frame.capacity();
          storeAll(scale, [&](Val place) {
            return e.at(frame.result(*problem.scales), column + place, kBytes);
          });
        });
      });
    });
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
    problem.scales = *scales;
  }
  problem.layout = exchangeLayout(op.getPlacement(), op.getCapacity(), op.getPlaces().getType(),
                                  op.getRows().getType());
  if (problem.layout.topK > kThreads)
    return op.emitError("CUDA kernel @")
           << assembly.kernel.getSymName() << " takes up to " << kThreads
           << " experts of each token, but got " << problem.layout.topK;
  problem.pieces = RowPieces::of(problem.layout.rowBytes, {}, kThreads, kThreads);
  // All at once on the GPU, each with some of the tokens, however many there are.
  constexpr int64_t kBlocksOfCore = 4;
  problem.blocks = kBlocksOfCore * assembly.target.multiprocessors;
  FunctionSpec spec;
  spec.threads = kThreads;
  spec.blocksOfCore = kBlocksOfCore;
  spec.sharedBytes = ReceiveBody::sortBytes(problem) + Peers::kSharedBytes;
  spec.rowTile = 0;
  spec.columnTiles = problem.blocks;
  assembly.beginVariant();
  assembly.addFunction(spec, [&](KernelFrame &frame) {
    frame.e.waitForPrevious();
    frame.e.allowNext();
    ReceiveBody(frame, problem).emit();
  });
  return success();
}

} // namespace epigraph::cuda
