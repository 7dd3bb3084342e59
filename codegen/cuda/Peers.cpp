#include "codegen/cuda/Peers.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "runtime/artifact/KernelAbi.h"

using namespace mlir;

namespace epigraph::cuda {
namespace {

Val clock(Emitter &e) { return e.ptx(e.i64(), "mov.u64 $0, %clock64;", "=l", {})[0]; }

constexpr int64_t kCountBytes = 4;
/// A word that carries the epoch, and the bytes of a row in it.
constexpr int64_t kWordBytes = 8, kWordPayload = 4;
/// A wait looks at the clock, and whether others have given up, once in so many times (a power of
/// two): all waits of a GPU look at the same word for that.
constexpr int64_t kLooksBetween = 32;

/// "b32" and its constraint, or of 64 bits.
std::pair<std::string, std::string> wordOf(Type type) {
  return type.isInteger(64) ? std::pair("b64", "l") : std::pair("b32", "r");
}

} // namespace

Val loadSystem(Type type, Val address) {
  auto [name, constraint] = wordOf(type);
  return address.owner().ptx(type, "ld.relaxed.sys.global." + name + " $0, [$1];",
                             "=" + constraint + ",l,~{memory}", address)[0];
}

void storeSystem(Val value, Val address) {
  auto [name, constraint] = wordOf(value.type());
  value.owner().ptx({}, "st.relaxed.sys.global." + name + " [$0], $1;",
                    "l," + constraint + ",~{memory}", {address, value});
}

Val loadFresh(Type type, Val address, Val condition) {
  Emitter &e = address.owner();
  auto vector = dyn_cast<VectorType>(type);
  const int64_t bits = vector ? vector.getNumElements() * vector.getElementTypeBitWidth()
                              : type.getIntOrFloatBitWidth();
  const int64_t words = llvm::divideCeil(bits, 32);
  const std::string width = bits < 32 ? std::to_string(bits) : "32";
  std::string names, zeros, constraints;
  for (int64_t i = 0; i < words; ++i) {
    const std::string name = "$" + std::to_string(i);
    names += (i ? ", " : "") + name;
    zeros += "mov.b" + (bits < 32 ? "16" : width) + " " + name + ", 0; ";
    constraints += bits < 32 ? "=&h," : "=&r,";
  }
  std::string load = "ld.relaxed.sys.global.";
  load +=
      words == 1 ? "b" + width + " " + names : "v" + std::to_string(words) + ".b32 {" + names + "}";
  load += ", [$" + std::to_string(words) + "];";
  Vals operands{address};
  constraints += "l,";
  if (condition) {
    load = "{ .reg .pred p; setp.ne.b32 p, $" + std::to_string(words + 1) + ", 0; " + zeros +
           "@p " + load + " }";
    operands.push_back(e.toI32(condition));
    constraints += "r,";
  }
  SmallVector<Type> types(static_cast<size_t>(words), bits < 32 ? e.i16() : e.i32());
  Vals loaded = e.ptx(types, load, constraints + "~{memory}", operands);
  Val all = words == 1 ? loaded[0] : e.pack(loaded);
  if (bits == 8)
    all = e.wrap(arith::TruncIOp::create(e.builder(), e.i8(), all));
  return e.bitcast(type, all);
}

void fenceSystem(Emitter &e) { e.ptx({}, "fence.acq_rel.sys;", "~{memory}", {}); }

ExchangeLayout exchangeLayout(ep::PlacementAttr placement, int64_t capacity, Type ids, Type rows) {
  auto rowType = cast<RankedTensorType>(rows);
  ExchangeLayout layout;
  layout.ranks = placement.getRanks();
  layout.capacity = capacity;
  layout.topK = cast<RankedTensorType>(ids).getDimSize(1);
  layout.hidden = rowType.getDimSize(1);
  layout.rowBytes = layout.hidden * rowType.getElementTypeBitWidth() / 8;
  if (isa<Float8E4M3FNType>(rowType.getElementType()))
    layout.scaleBytes = llvm::divideCeil(layout.hidden, epi::kScaleBlock) * 4;
  return layout;
}

LogicalResult verifyPeers(Operation *op, ep::PlacementAttr placement) {
  constexpr int64_t kMostSlots = 0xFFFF; // Ids travel in 16 bits, of which one value says none.
  if (placement.getRanks() > kMostPeers || placement.getNumSlots() > kMostSlots)
    return op->emitError("device kernels exchange rows among up to ")
           << kMostPeers << " ranks with up to " << kMostSlots << " experts in all, but got "
           << placement.getRanks() << " ranks and " << placement.getNumSlots()
           << " experts; compile for fewer ranks along the axis of experts";
  return success();
}

Peers::Peers(KernelFrame &frame, const ExchangeLayout &layout)
    : layout(layout), e(frame.e),
      table(frame.stepPointer(static_cast<int64_t>(offsetof(DeviceStep, peers)))) {
  rank = e.load(e.i32(), tableField(offsetof(PeerTable, rank)));
  own = region(rank);
}

void Peers::setEpoch(Val value) {
  epoch = value;
  parity = epoch & 1;
}

void Peers::beginEpoch() {
  setEpoch(loadFresh(e.i32(), tableField(offsetof(PeerTable, finished))) + 1);
}
void Peers::resumeEpoch() {
  setEpoch(loadFresh(e.i32(), tableField(offsetof(PeerTable, current))));
}
void Peers::recordEpoch() { e.store(epoch, tableField(offsetof(PeerTable, current))); }
void Peers::endEpoch() { e.store(epoch, tableField(offsetof(PeerTable, finished))); }

Val Peers::region(Val rank) {
  return e.load(e.pointer(kGlobal), e.at(tableField(offsetof(PeerTable, regions)), rank, 8));
}

Val Peers::tagged(Val low) {
  return e.wrap(arith::ShLIOp::create(e.builder(), e.toI64(epoch), e.i64(32))) | e.toI64(low);
}

void Peers::storeWord(Val low, Val address) { storeSystem(tagged(low), address); }

Val Peers::waitForWord(PeerWait wait, Val peer, Val token, Val address, Val absent, Val first) {
  auto load = [&] { return Vals{loadWord(address)}; };
  Val word = poll(wait, peer, token, first ? Vals{first} : load(), load,
                  [&](ArrayRef<Val> word) { return isTagged(word[0]); })[0];
  return e.select(isTagged(word), e.toI32(word), absent);
}

void Peers::waitForFlag(PeerWait wait, Val peer, Val token, Val address) {
  auto load = [&] {
    return e.ptx(e.i32(), "ld.acquire.sys.global.b32 $0, [$1];", "=r,l,~{memory}", address);
  };
  poll(wait, peer, token, load(), load, [&](ArrayRef<Val> flag) { return flag[0] == epoch; });
}

// A warp's threads write, and read, whole lines: two words of each piece, then the other two.
Vals Peers::wordAddresses(const RowPieces &pieces, Val piece, Val row) {
  if (pieces.width <= kWordPayload)
    return {e.at(row, piece, kWordBytes)};
  Vals addresses;
  for (int64_t pair = 0; pair < pieces.width / (2 * kWordPayload); ++pair)
    addresses.push_back(e.at(row, piece + pair * pieces.count, 2 * kWordBytes));
  return addresses;
}

void Peers::storePiece(const RowPieces &pieces, Val moved, Val piece, Val row) {
  Vals addresses = wordAddresses(pieces, piece, row);
  if (pieces.width <= kWordPayload)
    return storeWord(e.toI32(moved), addresses[0]);
  Vals words = e.elements(moved);
  for (auto [pair, address] : llvm::enumerate(addresses))
    e.ptx({}, "st.relaxed.sys.global.v2.b64 [$0], {$1, $2};", "l,l,l,~{memory}",
          {address, tagged(words[2 * pair]), tagged(words[2 * pair + 1])});
}

Val Peers::waitForPiece(PeerWait wait, TokenLine::Place token, const RowPieces &pieces, Val piece,
                        Val row) {
  Vals addresses = wordAddresses(pieces, piece, row);
  const bool isOne = pieces.width <= kWordPayload;
  auto load = [&] {
    Vals words;
    for (Val address : addresses)
      words.append(isOne ? Vals{loadWord(address)}
                         : e.ptx({e.i64(), e.i64()}, "ld.relaxed.sys.global.v2.b64 {$0, $1}, [$2];",
                                 "=l,=l,l,~{memory}", address));
    return words;
  };
  auto areThere = [&](ArrayRef<Val> words) {
    Val all = e.boolean(true);
    for (Val word : words)
      all = e.logicalAnd(all, isTagged(word));
    return all;
  };
  Vals words = poll(wait, token.source, token.token, load(), load, areThere);
  for (Val &word : words)
    word = e.toI32(word);
  if (!isOne)
    return e.pack(words);
  Type type = pieces.type(e);
  return type == e.i32() ? words[0] : e.wrap(arith::TruncIOp::create(e.builder(), type, words[0]));
}

// One thread for each rank looks: words that thousands of warps read come from one slice of the
// second-level cache, one after the other.
TokenLine Peers::waitForTokens(Val shared) {
  Val zero = e.i32(0), from = e.threadId();
  e.ifThen(from < layout.ranks, [&] {
    Val tokens = waitForWord(PeerWait::Header, from, zero, layout.header(own, parity, from), zero);
    e.store(tokens, e.at(shared, from, kCountBytes));
  });
  e.syncThreads();
  TokenLine line{{zero}};
  for (int64_t source = 0; source < layout.ranks; ++source)
    line.starts.push_back(line.starts.back() +
                          e.load(e.i32(), e.offset(shared, source * kCountBytes)));
  return line;
}

TokenLine TokenLine::without(Val rank) const {
  Emitter &e = rank.owner();
  TokenLine others{{e.i32(0)}};
  for (size_t other = 0; other + 1 < starts.size(); ++other) {
    Val count = starts[other + 1] - starts[other];
    Val kept = e.select(rank == static_cast<int64_t>(other), e.i32(0), count);
    others.starts.push_back(others.starts.back() + kept);
  }
  return others;
}

TokenLine::Place TokenLine::find(Val index) const {
  Emitter &e = index.owner();
  Val source = e.i32(0), start = starts[0], end = starts[1];
  for (size_t rank = 1; rank + 1 < starts.size(); ++rank) {
    Val isBehind = index >= starts[rank];
    source = e.select(isBehind, e.i32(static_cast<int64_t>(rank)), source);
    start = e.select(isBehind, starts[rank], start);
    end = e.select(isBehind, starts[rank + 1], end);
  }
  return {source, index - start, end - start};
}

// What a wait carries beside its values: whether it gives up, how often it has looked, and what the
// clock said the first time that it looked at that.
Vals Peers::poll(PeerWait wait, Val peer, Val token, Vals first, Load load, Check isReady) {
  const size_t count = first.size();
  Vals initial = std::move(first);
  initial.append({e.boolean(false), e.i32(0), e.i64(0)});
  Vals last = e.whileLoop(
      initial,
      [&](ArrayRef<Val> state) {
        return e.logicalNot(e.logicalOr(isReady(state.take_front(count)), state[count]));
      },
      [&](ArrayRef<Val> state) {
        Vals next = load();
        Val looks = state[count + 1] + 1, start = state[count + 2];
        next.append(e.ifValues((looks & (kLooksBetween - 1)) == 0,
                               [&] {
                                 Val since = e.select(start == 0, clock(e), start);
                                 return Vals{givesUp(wait, peer, token, since), looks, since};
                               },
                               [&] { return Vals{e.boolean(false), looks, start}; }));
        return next;
      });
  last.truncate(count);
  return last;
}

Val Peers::givesUp(PeerWait wait, Val peer, Val token, Val start) {
  Val told = loadSystem(e.i32(), own);
  Val isToldTo = told != 0;
  // A step of this rank can still come to its end, without meaning.
  e.ifThen(isToldTo, [&] {
    storeSystem(told, e.load(e.pointer(kGlobal), tableField(offsetof(PeerTable, failure))));
  });
  Val isLate = clock(e) - start > e.load(e.i64(), tableField(offsetof(PeerTable, patience)));
  e.ifThen(e.logicalAnd(isLate, e.logicalNot(isToldTo)), [&] { report(wait, peer, token); });
  return e.logicalOr(isToldTo, isLate);
}

void Peers::report(PeerWait wait, Val peer, Val token) {
  Val failure = e.i32(peerFailure(wait, 0, 0)) | peer << 20 | (token & 0xFFFFF);
  Val first = e.ptx(e.i32(), "atom.relaxed.sys.global.cas.b32 $0, [$1], 0, $2;", "=r,l,r,~{memory}",
                    {own, failure})[0];
  // One thread speaks for the rank.
  e.ifThen(first == 0, [&] {
    storeSystem(failure, e.load(e.pointer(kGlobal), tableField(offsetof(PeerTable, failure))));
    for (int64_t other = 0; other < layout.ranks; ++other)
      e.ifThen(rank != other, [&] {
        storeSystem(e.i32(peerFailure(PeerWait::Peer, 0, 0)) | rank << 20, region(e.i32(other)));
      });
    fenceSystem(e);
  });
}

} // namespace epigraph::cuda
