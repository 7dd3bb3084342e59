// Writes each token's row into the slot of every rank that owns one of its experts.
//
// What a receiver needs to lay out its rows goes first: how many tokens, and their ids, in words
// that say which epoch they belong to. Rows follow without such words, at full width; when all
// threads of the block have stored one, a flag for each rank tells.
#include "codegen/cuda/KernelBuilders.h"
#include "codegen/cuda/Peers.h"
#include "codegen/cuda/RowPieces.h"
#include "dialects/ep/Ep.h"

using namespace mlir;

namespace epigraph::cuda {
namespace {

constexpr int64_t kBytes = 4;
/// No expert, in 16 bits.
constexpr int64_t kNoId = 0xFFFF;

struct Sending {
  TensorView x, ids, weights;
  std::optional<TensorView> scales; ///< column-major
  ep::PlacementAttr placement;
  ExchangeLayout layout;
  RowPieces pieces;
};

class SendBody {
public:
  SendBody(KernelFrame &frame, const Sending &problem)
      : frame(frame), e(frame.e), problem(problem), peers(frame, problem.layout),
        threads(e.i32(problem.pieces.threads)) {}

  void emit() {
    Val rows = frame.rows();
    e.ifThen(e.logicalAnd(e.blockId() == 0, e.threadId() < problem.layout.ranks), [&] {
      Val region = peers.region(e.threadId());
      peers.storeWord(rows, problem.layout.header(region, peers.parity, peers.rank));
    });
    e.forEach(e.blockId(), rows, e.blockCount(), [&](Val token) {
      sendIds(token);
      sendRow(token);
      e.syncThreads();
      e.ifThen(e.threadId() < problem.layout.ranks, [&] {
        fenceSystem(e);
        storeSystem(peers.epoch, problem.layout.slotFlag(peers.region(e.threadId()), peers.parity,
                                                         peers.rank, token));
      });
    });
  }

private:
  Val loadId(Val token, Val choice) {
    return e.load(e.i32(), e.at(frame.rowAddress(problem.ids, token), choice, kBytes));
  }

  /// Ids 2 w and 2 w + 1 in one word, for each w and each rank.
  void sendIds(Val token) {
    const ExchangeLayout &layout = problem.layout;
    e.forEach(e.threadId(), e.i32(layout.ranks * layout.idWords()), threads, [&](Val index) {
      Val word = index % layout.idWords(), region = peers.region(index / layout.idWords());
      Val low = loadId(token, word * 2);
      Val high = e.ifValues(
          word * 2 + 1 < layout.topK, [&] { return Vals{loadId(token, word * 2 + 1)}; },
          [&] { return Vals{e.i32(kNoId)}; })[0];
      peers.storeWord((low & kNoId) | high << 16,
                      layout.idWord(region, peers.parity, peers.rank, token, word));
    });
  }

  /// The row, its scales and weights, to each owner of one of the token's experts: this rank last,
  /// whose memory is near.
  void sendRow(Val token) {
    const ExchangeLayout &layout = problem.layout;
    Vals owners;
    for (int64_t choice = 0; choice < layout.topK; ++choice)
      owners.push_back(loadId(token, e.i32(choice)) / problem.placement.getLocalExperts());
    for (int64_t distance = 1; distance <= layout.ranks; ++distance) {
      Val rank = (peers.rank + distance) % layout.ranks;
      Val isOwner = e.boolean(false);
      for (Val owner : owners)
        isOwner = e.logicalOr(isOwner, owner == rank);
      e.ifThen(isOwner, [&] {
        storeSlot(token, layout.slot(peers.region(rank), peers.parity, peers.rank, token));
      });
    }
  }

  void storeSlot(Val token, Val slot) {
    const ExchangeLayout &layout = problem.layout;
    const RowPieces &pieces = problem.pieces;
    e.forEach(e.threadId(), e.i32(pieces.count), threads, [&](Val piece) {
      Val moved =
          e.load(pieces.type(e), e.at(frame.rowAddress(problem.x, token), piece, pieces.width));
      e.store(moved, e.at(slot, piece, pieces.width));
    });
    e.forEach(e.threadId(), e.i32(layout.scaleBytes / kBytes), threads, [&](Val block) {
      Val scale = e.load(e.f32(), e.at(frame.address(problem.scales->argument),
                                       block * frame.capacity() + token, kBytes));
      e.store(scale, e.at(e.offset(slot, layout.scalesInSlot()), block, kBytes));
    });
    e.forEach(e.threadId(), e.i32(layout.topK), threads, [&](Val choice) {
      Val weight = e.load(e.f32(), e.at(frame.rowAddress(problem.weights, token), choice, kBytes));
      e.store(weight, e.at(e.offset(slot, layout.weightsInSlot()), choice, kBytes));
    });
  }

  KernelFrame &frame;
  Emitter &e;
  const Sending &problem;
  Peers peers;
  Val threads;
};

} // namespace

LogicalResult buildDispatchSend(KernelAssembly &assembly, ep::DispatchSendOp op) {
  FailureOr<TensorView> x = assembly.view(op, op.getX(), "x");
  FailureOr<TensorView> ids = assembly.view(op, op.getIds(), "ids");
  FailureOr<TensorView> weights = assembly.view(op, op.getWeights(), "weights");
  if (failed(x) || failed(ids) || failed(weights) || failed(verifyPeers(op, op.getPlacement())))
    return failure();
  Sending problem{*x, *ids, *weights, std::nullopt, op.getPlacement(), {}, {}};
  if (op.getXScale()) {
    FailureOr<TensorView> scales = assembly.view(op, op.getXScale(), "x_scale");
    if (failed(scales))
      return failure();
    problem.scales = *scales;
  }
  if (!x->isContiguous())
    return op.emitError("CUDA kernel @")
           << assembly.kernel.getSymName() << " needs an x whose rows are contiguous";
  const int64_t bytes = bytesOf(x->elementType);
  problem.layout = exchangeLayout(op.getPlacement(), op.getCapacity(), op.getIds().getType(),
                                  op.getX().getType());
  constexpr int64_t kThreads = 512, kLeastThreads = 64;
  problem.pieces = RowPieces::of(x->elements() * bytes, {x->rowStride * bytes, x->offset * bytes},
                                 kThreads, kLeastThreads);
  FunctionSpec spec;
  spec.threads = problem.pieces.threads;
  spec.rowTile = 0; // A rank without tokens says so.
  auto add = [&](int64_t mostRows, int64_t blocks, StringRef suffix) {
    spec.suffix = suffix.str();
    spec.columnTiles = blocks;
    assembly.beginVariant(mostRows);
    assembly.addFunction(spec, [&](KernelFrame &frame) {
      frame.e.waitForPrevious();
      frame.e.allowNext();
      SendBody(frame, problem).emit();
    });
  };
  constexpr int64_t kFewTokens = 32;
  add(kFewTokens, kFewTokens, "few");
  add(0, 4 * assembly.target.multiprocessors, "many");
  return success();
}

} // namespace epigraph::cuda
