#include "codegen/cuda/ExpertSort.h"

#include "codegen/cuda/BlockScan.h"

using namespace mlir;

namespace epigraph::cuda {
namespace {

constexpr int64_t kBytes = sizeof(int32_t);
/// Words that one load takes.
constexpr int64_t kWide = 4;

} // namespace

ExpertSort::ExpertSort(Emitter &e, int64_t experts, int64_t threads, Val shared)
    : e(e), experts(llvm::alignTo(experts, kWide)), threads(threads), size(experts),
      scratch(shared), base(e.offset(shared, kScanScratchBytes)) {}

int64_t ExpertSort::sharedBytes(int64_t experts, int64_t threads) {
  return kScanScratchBytes + 2 * (llvm::alignTo(experts, kWide) + threads) * kBytes;
}

Val ExpertSort::word(int64_t first, Val index) {
  return e.at(e.offset(base, first * kBytes), index, kBytes);
}

void ExpertSort::clear() {
  e.forEach(e.threadId(), e.i32(2 * experts), e.i32(threads),
            [&](Val index) { e.store(e.i32(0), next(index)); });
  e.syncThreads();
}

void ExpertSort::count(Val expert, Val isBefore) {
  e.atomicAdd(next(e.select(isBefore, expert, expert + experts)), e.i32(1));
}

Val ExpertSort::start(llvm::function_ref<void(Val, Val)> publish) {
  e.syncThreads();
  Val sum = scanOverBlock(
      e, size, threads, scratch,
      [&](Val expert) { return e.load(e.i32(), next(expert)) + e.load(e.i32(), rest(expert)); },
      [&](Val expert, Val count, Val before) {
        publish(expert, count);
        e.store(before + e.load(e.i32(), next(expert)), next(expert));
      });
  e.syncThreads();
  return sum;
}

Val ExpertSort::countEqual(Val choice, Val expert) {
  return e.forLoop(
      e.i32(0), e.ceilDiv(choice, kWide), e.i32(1), e.i32(0), [&](Val group, ArrayRef<Val> sum) {
        Vals others = e.elements(e.load(e.vector(e.i32(), kWide), chosen(group * kWide)));
        Val equal = sum[0];
        for (auto [index, other] : llvm::enumerate(others)) {
          Val isBefore = group * kWide + static_cast<int64_t>(index) < choice;
          equal = equal + e.toI32(e.logicalAnd(isBefore, other == expert));
        }
        return Vals{equal};
      })[0];
}

Val ExpertSort::order(Val expert) {
  Val choice = e.threadId(), exists = expert >= 0;
  e.store(expert, chosen(choice));
  e.syncThreads();
  Val where = e.ifValues(
      exists, [&] { return Vals{e.load(e.i32(), next(expert)) + countEqual(choice, expert)}; },
      [&] { return Vals{e.i32(-1)}; })[0];
  e.store(where, place(choice));
  e.syncThreads();
  e.ifThen(exists, [&] { e.atomicAdd(next(expert), e.i32(1)); });
  return where;
}

Val ExpertSort::placeOf(Val choice) { return e.load(e.i32(), place(choice)); }

} // namespace epigraph::cuda
