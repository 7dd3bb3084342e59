#include "codegen/cuda/Peers.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "runtime/artifact/KernelAbi.h"

using namespace mlir;

namespace epigraph::cuda {
namespace {

Val clock(Emitter &e) { return e.ptx(e.i64(), "mov.u64 $0, %clock64;", "=l", {})[0]; }

constexpr int64_t kCountBytes = 4;

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

Val loadFresh(Type type, Val address) {
  Emitter &e = address.owner();
  auto vector = dyn_cast<VectorType>(type);
  const int64_t bits = vector ? vector.getNumElements() * vector.getElementTypeBitWidth()
                              : type.getIntOrFloatBitWidth();
  if (bits < 32) {
    const std::string width = std::to_string(bits);
    Val word = e.ptx(e.i16(), "ld.relaxed.sys.global.b" + width + " $0, [$1];", "=h,l,~{memory}",
                     address)[0];
    if (bits == 8)
      word = e.wrap(arith::TruncIOp::create(e.builder(), e.i8(), word));
    return e.bitcast(type, word);
  }
  const int64_t words = bits / 32;
  std::string names, constraints;
  for (int64_t i = 0; i < words; ++i) {
    names += (i ? ", $" : "$") + std::to_string(i);
    constraints += "=r,";
  }
  std::string code =
      words == 1 ? "ld.relaxed.sys.global.b32 " + names
                 : "ld.relaxed.sys.global.v" + std::to_string(words) + ".b32 {" + names + "}";
  code += ", [$" + std::to_string(words) + "];";
  SmallVector<Type> types(static_cast<size_t>(words), e.i32());
  Vals loaded = e.ptx(types, code, constraints + "l,~{memory}", address);
  return e.bitcast(type, words == 1 ? loaded[0] : e.pack(loaded));
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
  epoch = e.load(e.i32(), tableField(offsetof(PeerTable, epoch))) + 1;
  parity = epoch & 1;
  own = region(rank);
}

Val Peers::region(Val rank) {
  return e.load(e.pointer(kGlobal), e.at(tableField(offsetof(PeerTable, regions)), rank, 8));
}

void Peers::storeWord(Val low, Val address) {
  Val high = e.wrap(arith::ShLIOp::create(e.builder(), e.toI64(epoch), e.i64(32)));
  storeSystem(high | e.toI64(low), address);
}

Val Peers::waitForWord(PeerWait wait, Val peer, Val token, Val address, Val absent) {
  auto isReady = [&](Val word) { return e.toI32(word >> 32) == epoch; };
  Val word = poll(wait, peer, token, [&] { return loadSystem(e.i64(), address); }, isReady);
  return e.select(isReady(word), e.toI32(word), absent);
}

void Peers::waitForFlag(PeerWait wait, Val peer, Val token, Val address) {
  auto load = [&] {
    return e.ptx(e.i32(), "ld.acquire.sys.global.b32 $0, [$1];", "=r,l,~{memory}", address)[0];
  };
  poll(wait, peer, token, load, [&](Val flag) { return flag == epoch; });
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

TokenLine Peers::tokensOfOthers() {
  Val zero = e.i32(0);
  TokenLine line{{zero}};
  for (int64_t source = 0; source < layout.ranks; ++source) {
    Val from = e.i32(source);
    Val word = e.load(e.i64(), layout.header(own, parity, from));
    Val counts = e.logicalAnd(e.toI32(word >> 32) == epoch, e.logicalNot(rank == source));
    line.starts.push_back(line.starts.back() + e.select(counts, e.toI32(word), zero));
  }
  return line;
}

TokenLine::Place TokenLine::find(Val index) const {
  Emitter &e = index.owner();
  Val source = e.i32(0), start = starts[0];
  for (size_t rank = 1; rank + 1 < starts.size(); ++rank) {
    Val isBehind = index >= starts[rank];
    source = e.select(isBehind, e.i32(static_cast<int64_t>(rank)), source);
    start = e.select(isBehind, starts[rank], start);
  }
  return {source, index - start};
}

Val Peers::poll(PeerWait wait, Val peer, Val token, llvm::function_ref<Val()> load,
                llvm::function_ref<Val(Val)> isReady) {
  Val start = clock(e);
  return e.whileLoop(
      {load(), e.boolean(false)},
      [&](ArrayRef<Val> state) { return e.logicalNot(e.logicalOr(isReady(state[0]), state[1])); },
      [&](ArrayRef<Val>) { return Vals{load(), givesUp(wait, peer, token, start)}; })[0];
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

void Peers::finish() {
  e.syncThreads();
  e.ifThen(e.threadId() == 0, [&] {
    Val finished = tableField(offsetof(PeerTable, finished));
    Val before = e.atomicAdd(finished, e.i32(1));
    e.ifThen(before == e.blockCount() - 1, [&] {
      e.store(e.i32(0), finished);
      e.store(epoch, tableField(offsetof(PeerTable, epoch)));
    });
  });
}

} // namespace epigraph::cuda
