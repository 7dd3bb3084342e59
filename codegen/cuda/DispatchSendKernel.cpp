// Writes each token's row into the slot of every rank that owns one of its experts.
//
// What a receiver needs to lay out its rows goes to all ranks: how many tokens, their ids and their
// weights, in words that say which epoch they belong to. Rows of few tokens go as such words, too.
// Rows of many follow at full width, and when a block has stored all of its own, a flag for each.
#include "codegen/cuda/KernelBuilders.h"
#include "codegen/cuda/Peers.h"
#include "dialects/ep/Ep.h"

#include <numeric>

using namespace mlir;

namespace epigraph::cuda {
namespace {

constexpr int64_t kBytes = 4, kWordBytes = 8;
constexpr int64_t kAccessBytes = 16;
constexpr int64_t kWarp = 32;
/// No expert, in 16 bits.
constexpr int64_t kNoId = 0xFFFF;

struct Sending {
  TensorView x, ids, weights;
  std::optional<TensorView> scales; ///< column-major
  ep::PlacementAttr placement;
  ExchangeLayout layout;
  RowPieces pieces;  ///< as they lie in slots
  int64_t alignment; ///< of rows of x
};

class SendBody {
public:
  SendBody(KernelFrame &frame, const Sending &problem)
      : frame(frame), e(frame.e), problem(problem), layout(problem.layout), pieces(problem.pieces),
        peers(frame, layout), blockThreads(threadsOf(pieces)), lane(e.threadId() - pieces.threads) {
  }

  static int64_t threadsOf(const RowPieces &pieces) { return pieces.threads + kWarp; }

  void emit() {
    e.waitForPrevious();
    e.allowNext();
    peers.beginEpoch();
    Val rows = frame.rows();
    e.ifThen(e.logicalAnd(e.blockId() == 0, isLane(layout.ranks)), [&] {
      peers.storeWord(rows, layout.header(peers.region(lane), peers.parity, peers.rank));
    });
    sendChoices(rows);
    e.ifElse(peers.areWords(rows), [&] { sendFew(rows); }, [&] { sendMany(rows); });
  }

private:
  /// Whether the thread is among the first `count` of the last warp.
  Val isLane(int64_t count) { return e.logicalAnd(lane >= 0, lane < count); }

  /// Blocks share the parts of rows.
  void sendFew(Val rows) {
    e.forEach(e.blockId(), rows * pieces.parts, e.blockCount(), [&](Val index) {
      Val token = index / pieces.parts, part = index % pieces.parts;
      auto slot = [&](Val region) {
        return layout.slotWords(region, peers.parity, peers.rank, token);
      };
      Vals owners = ownersOf(token);
      e.ifThen(lane < 0, [&] {
        pieces.forPiece(e, part, [&](Val piece) {
          Val moved = loadPiece(token, piece);
          forOwners(owners,
                    [&](Val region) { peers.storePiece(pieces, moved, piece, slot(region)); });
        });
      });
      e.ifThen(e.logicalAnd(lane >= 0, part == 0), [&] {
        forScales(token, [&](Val block, Val scale) {
          forOwners(owners, [&](Val region) {
            Val words = e.offset(slot(region), layout.scalesInSlotWords());
            peers.storeWord(e.bitcast(e.i32(), scale), e.at(words, block, kWordBytes));
          });
        });
      });
    });
  }

  /// Behind all rows of a block comes one fence: it takes longer than to store a row.
  void sendMany(Val rows) {
    e.forEach(e.blockId(), rows, e.blockCount(), [&](Val token) { sendRow(token); });
    e.syncThreads();
    Val first = e.blockId() + e.threadId() / layout.ranks * e.blockCount();
    e.ifThen(first < rows, [&] { fenceSystem(e); });
    Val step = e.blockCount() * (blockThreads / layout.ranks);
    e.ifThen(e.threadId() < blockThreads / layout.ranks * layout.ranks, [&] {
      e.forEach(first, rows, step, [&](Val token) {
        Val region = peers.region(e.threadId() % layout.ranks);
        storeSystem(peers.epoch, layout.slotFlag(region, peers.parity, peers.rank, token));
      });
    });
  }

  Val loadId(Val token, Val choice) {
    return e.load(e.i32(), e.at(frame.rowAddress(problem.ids, token), choice, kBytes));
  }

  Val loadPiece(Val token, Val piece) {
    Val row = frame.rowAddress(problem.x, token);
    return e.load(pieces.type(e), e.at(row, piece, pieces.width), LoadHint::Plain,
                  std::min(problem.alignment, pieces.width));
  }

  /// The ranks of the token's experts.
  Vals ownersOf(Val token) {
    Vals owners;
    for (int64_t choice = 0; choice < layout.topK; ++choice)
      owners.push_back(loadId(token, e.i32(choice)) / problem.placement.getLocalExperts());
    return owners;
  }

  /// Emits `body` for the region of each rank among `owners`: of this rank last, whose memory is
  /// near.
  void forOwners(const Vals &owners, llvm::function_ref<void(Val region)> body) {
    for (int64_t distance = 1; distance <= layout.ranks; ++distance) {
      Val rank = (peers.rank + distance) % layout.ranks;
      Val isOwner = e.boolean(false);
      for (Val owner : owners)
        isOwner = e.logicalOr(isOwner, owner == rank);
      e.ifThen(isOwner, [&] { body(peers.region(rank)); });
    }
  }

  /// Emits `body` for each of the token's scales that is the lane's, in the last warp.
  void forScales(Val token, llvm::function_ref<void(Val block, Val scale)> body) {
    if (!problem.scales)
      return;
    e.forEach(lane, e.i32(layout.scaleBytes / kBytes), e.i32(kWarp), [&](Val block) {
      body(block, e.load(e.f32(), e.at(frame.address(problem.scales->argument),
                                       block * frame.capacity() + token, kBytes)));
    });
  }

  /// For each rank and token: ids 2 w and 2 w + 1 in one word, for each w, and each weight in one.
  /// The last blocks begin, which have no row where tokens are few.
  void sendChoices(Val rows) {
    Val first = (e.blockCount() - 1 - e.blockId()) * blockThreads + e.threadId();
    Val step = e.blockCount() * blockThreads;
    const int64_t words = layout.ranks * layout.idWords(), weights = layout.ranks * layout.topK;
    e.forEach(first, rows * words, step, [&](Val index) {
      Val token = index / words, word = index % layout.idWords();
      Val region = peers.region(index % words / layout.idWords());
      Val low = loadId(token, word * 2);
      Val high = e.ifValues(
          word * 2 + 1 < layout.topK, [&] { return Vals{loadId(token, word * 2 + 1)}; },
          [&] { return Vals{e.i32(kNoId)}; })[0];
      peers.storeWord((low & kNoId) | high << 16,
                      layout.idWord(region, peers.parity, peers.rank, token, word));
    });
    e.forEach(first, rows * weights, step, [&](Val index) {
      Val token = index / weights, choice = index % layout.topK;
      Val region = peers.region(index % weights / layout.topK);
      Val weight = e.load(e.i32(), e.at(frame.rowAddress(problem.weights, token), choice, kBytes));
      peers.storeWord(weight, layout.weightWord(region, peers.parity, peers.rank, token, choice));
    });
  }

  void sendRow(Val token) {
    Vals owners = ownersOf(token);
    auto slot = [&](Val region) { return layout.slot(region, peers.parity, peers.rank, token); };
    e.ifElse(
        lane < 0,
        [&] {
          e.forEach(e.threadId(), e.i32(pieces.count), e.i32(pieces.threads), [&](Val piece) {
            Val moved = loadPiece(token, piece);
            forOwners(owners,
                      [&](Val region) { e.store(moved, e.at(slot(region), piece, pieces.width)); });
          });
        },
        [&] {
          forScales(token, [&](Val block, Val scale) {
            forOwners(owners, [&](Val region) {
              e.store(scale, e.at(e.offset(slot(region), layout.scalesInSlot()), block, kBytes));
            });
          });
        });
  }

  KernelFrame &frame;
  Emitter &e;
  const Sending &problem;
  const ExchangeLayout &layout;
  const RowPieces &pieces;
  Peers peers;
  const int64_t blockThreads;
  Val lane; ///< of the thread in the last warp, which moves scales; negative in the others
};

} // namespace

LogicalResult buildDispatchSend(KernelAssembly &assembly, ep::DispatchSendOp op) {
  FailureOr<TensorView> x = assembly.view(op, op.getX(), "x");
  FailureOr<TensorView> ids = assembly.view(op, op.getIds(), "ids");
  FailureOr<TensorView> weights = assembly.view(op, op.getWeights(), "weights");
  if (failed(x) || failed(ids) || failed(weights) || failed(verifyPeers(op, op.getPlacement())))
    return failure();
  Sending problem{*x, *ids, *weights, std::nullopt, op.getPlacement(), {}, {}, 0};
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
  problem.pieces = RowPieces::of(problem.layout.rowBytes, {}, kThreads, kLeastThreads);
  problem.alignment = std::gcd(std::gcd(x->rowStride * bytes, x->offset * bytes), kAccessBytes);
  // A block of each multiprocessor: enough for the link, and room for those of the next kernel.
  FunctionSpec spec;
  spec.threads = SendBody::threadsOf(problem.pieces);
  spec.rowTile = 0; // A rank without tokens says so.
  spec.columnTiles = assembly.target.multiprocessors;
  assembly.beginVariant();
  assembly.addFunction(spec, [&](KernelFrame &frame) { SendBody(frame, problem).emit(); });
  return success();
}

} // namespace epigraph::cuda
