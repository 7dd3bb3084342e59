#include "codegen/cuda/LatentExpansion.h"

#include "codegen/cuda/Hopper.h"
#include "codegen/cuda/WarpProducts.h"
#include "runtime/artifact/KernelAbi.h"

using namespace mlir;

namespace epigraph::cuda {
namespace {

/// Columns of a tile at most: sums of one half of them take half as many registers.
constexpr int64_t kMostColumns = 256;
constexpr int64_t kWarpsOfHalf = kPageTokens / 16;
/// Steps in shared memory: one is computed, the others are on their way.
constexpr int64_t kStages = 3;

} // namespace

int64_t LatentExpansion::tiles() const { return llvm::divideCeil(columns, kMostColumns); }

int64_t LatentExpansion::tileColumns() const {
  return llvm::alignTo(llvm::divideCeil(columns, tiles()), 32);
}

int64_t LatentExpansion::depth() const {
  return static_cast<int64_t>(llvm::MinAlign(static_cast<uint64_t>(latent), 64));
}

int64_t LatentExpansion::stageBytes() const { return (kPageTokens + tileColumns()) * stride(); }
int64_t LatentExpansion::sharedBytes() const { return kStages * stageBytes(); }

void LatentExpansion::emit(Emitter &e, Val entries, Val up, Val tile, Val result) const {
  static_assert(kThreads / 32 == 2 * kWarpsOfHalf);
  Val firstColumn = tile * tileColumns();
  Val ofTile = e.at(up, firstColumn, latent * 2);
  auto start = [&](Val step) {
    e.ifThen(step < latent / depth(), [&] {
      startStep(e, entries, ofTile, e.i32(columns) - firstColumn, step, step % kStages);
    });
    commitAsync(e);
  };
  for (int64_t step = 0; step < kStages - 1; ++step)
    start(e.i32(step));
  Val rows = (e.warp() % kWarpsOfHalf) * 16;
  Val half = (e.warp() / kWarpsOfHalf) * (tileColumns() / 2);
  Vals sums(static_cast<size_t>(tileColumns() / 4), e.f32(0.0));
  sums = e.forLoop(e.i32(0), e.i32(latent / depth()), e.i32(1), sums,
                   [&](Val step, ArrayRef<Val> carried) -> Vals {
                     waitForAsync(e, kStages - 2);
                     e.syncThreads(); // The step before has been read: its place is free.
                     start(step + (kStages - 1));
                     Val stage = e.offset(e.sharedMemory(), (step % kStages) * stageBytes());
                     Val up = e.offset(stage, (half + kPageTokens) * stride());
                     Vals next(carried.begin(), carried.end());
                     multiplyTiles(e, next, {e.offset(stage, rows * stride()), stride()},
                                   {up, stride()}, depth());
                     return next;
                   });
  store(e, sums, rows, firstColumn + half, result);
}

void LatentExpansion::startStep(Emitter &e, Val entries, Val up, Val validRows, Val step,
                                Val stage) const {
  const CopyThreads threads{e.threadId(), kThreads};
  const int64_t bytes = depth() * 2;
  Val target = e.offset(e.sharedMemory(), stage * stageBytes());
  copyRows(e, threads, {e.at(entries, step, bytes), kPageTokens, bytes, entry * 2}, target,
           stride(), e.i32(kPageTokens));
  copyRows(e, threads, {e.at(up, step, bytes), tileColumns(), bytes, latent * 2},
           e.offset(target, kPageTokens * stride()), stride(), validRows);
}

void LatentExpansion::store(Emitter &e, const Vals &sums, Val firstRow, Val firstColumn,
                            Val result) const {
  for (size_t half = 0; half < 2; ++half) {
    Val token = firstRow + e.lane() / 4 + static_cast<int64_t>(half * 8);
    Val row = e.at(result, token, columns * 2);
    for (size_t i = half * 2; i < sums.size(); i += 4) {
      Val column = firstColumn + columnOfSum(e, static_cast<int64_t>(i));
      e.ifThen(column < columns, [&] {
        e.store(e.fromF32(e.pack({sums[i], sums[i + 1]}), e.bf16()), e.at(row, column, 2), 4);
      });
    }
  }
}

} // namespace epigraph::cuda
