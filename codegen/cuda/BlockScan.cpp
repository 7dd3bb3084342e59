// Each warp scans its lanes by shuffles; the sums of the warps go through shared memory. Indices
// beyond the threads of the block are seen to in further rounds.
#include "codegen/cuda/BlockScan.h"

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

Val scanOverBlock(Emitter &e, int64_t size, int64_t threads, Val scratch,
                  llvm::function_ref<Val(Val)> value, llvm::function_ref<void(Val, Val, Val)> use) {
  Val sum = e.i32(0);
  for (int64_t first = 0; first < size; first += threads) {
    const int64_t warps = llvm::divideCeil(std::min(threads, size - first), kWarp);
    Val index = e.threadId() + first;
    Val exists = index < size;
    Val x =
        e.ifValues(exists, [&] { return Vals{value(index)}; }, [&] { return Vals{e.i32(0)}; })[0];
    Val inclusive = scanOverWarp(e, x);
    if (first > 0)
      e.syncThreads(); // The sums of the round before have been read.
    e.ifThen(e.logicalAnd(e.lane() == kWarp - 1, e.warp() < warps),
             [&] { e.store(inclusive, e.at(scratch, e.warp(), 4)); });
    e.syncThreads();
    Val before = sum + inclusive - x;
    for (int64_t warp = 0; warp < warps; ++warp) {
      Val ofWarp = e.load(e.i32(), e.offset(scratch, warp * 4));
      before = before + e.select(e.warp() > warp, ofWarp, e.i32(0));
      sum = sum + ofWarp;
    }
    e.ifThen(exists, [&] { use(index, x, before); });
  }
  return sum;
}

} // namespace epigraph::cuda
