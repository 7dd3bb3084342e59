// Each warp scans its lanes by shuffles; the sums of the warps go through shared memory. Indices
// beyond the threads of the block are seen to in further rounds.
#include "codegen/cuda/BlockScan.h"

using llvm::ArrayRef;

namespace epigraph::cuda {
namespace {

constexpr int64_t kWarp = 32;

/// The sum over the lanes up to and including each.
Val scanOverWarp(Emitter &e, Val x) {
  for (int64_t distance = 1; distance < kWarp; distance *= 2) {
    Val below = e.shuffleUp(x, distance);
    x = x + e.select(e.lane() >= distance, below, e.i32(0));
  }
  return x;
}

} // namespace

Vals scanOverBlock(Emitter &e, int64_t size, int64_t threads, Val scratch, int64_t count,
                   llvm::function_ref<Vals(Val)> values,
                   llvm::function_ref<void(Val, ArrayRef<Val>, ArrayRef<Val>)> use) {
  Vals sums(static_cast<size_t>(count), e.i32(0));
  for (int64_t first = 0; first < size; first += threads) {
    const int64_t warps = llvm::divideCeil(std::min(threads, size - first), kWarp);
    Val index = e.threadId() + first;
    Val exists = index < size;
    const Vals x = e.ifValues(
        exists, [&] { return values(index); },
        [&] { return Vals(static_cast<size_t>(count), e.i32(0)); });
    if (first > 0)
      e.syncThreads(); // The sums of the round before have been read.
    Vals before;
    for (auto [i, value] : llvm::enumerate(x)) {
      Val inclusive = scanOverWarp(e, value);
      Val own = e.offset(scratch, static_cast<int64_t>(i) * kScanScratchBytes);
      e.ifThen(e.logicalAnd(e.lane() == kWarp - 1, e.warp() < warps),
               [&] { e.store(inclusive, e.at(own, e.warp(), 4)); });
      before.push_back(sums[i] + inclusive - value);
    }
    e.syncThreads();
    for (auto [i, sum] : llvm::enumerate(sums))
      for (int64_t warp = 0; warp < warps; ++warp) {
        Val ofWarp = e.load(
            e.i32(), e.offset(scratch, static_cast<int64_t>(i) * kScanScratchBytes + warp * 4));
        before[i] = before[i] + e.select(e.warp() > warp, ofWarp, e.i32(0));
        sum = sum + ofWarp;
      }
    e.ifThen(exists, [&] { use(index, x, before); });
  }
  return sums;
}

Val scanOverBlock(Emitter &e, int64_t size, int64_t threads, Val scratch,
                  llvm::function_ref<Val(Val)> value, llvm::function_ref<void(Val, Val, Val)> use) {
  return scanOverBlock(
      e, size, threads, scratch, /*count=*/1, [&](Val index) { return Vals{value(index)}; },
      [&](Val index, ArrayRef<Val> values, ArrayRef<Val> before) {
        use(index, values[0], before[0]);
      })[0];
}

} // namespace epigraph::cuda
