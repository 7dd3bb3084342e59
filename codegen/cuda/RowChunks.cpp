#include "codegen/cuda/RowChunks.h"

#include "llvm/Support/MathExtras.h"

#include <algorithm>

namespace epigraph::cuda {
namespace {

constexpr int64_t kWarp = 32;
/// Elements of a chunk: 16 bytes of bf16.
constexpr int64_t kWidth = 8;
/// Slots of a row that one warp computes by itself.
constexpr int64_t kWarpSlots = 64;
/// Threads of a block for one row.
constexpr int64_t kMostThreads = 512;
/// Blocks of a cluster that shares a row, and the slots of the shortest row that is shared.
constexpr int64_t kClusterBlocks = 4, kLeastClusterSlots = 512;
/// Threads of a block that shares a row with others.
constexpr int64_t kPartThreads = 256;

} // namespace

ChunkGrid::ChunkGrid(const Run &run, bool grouped)
    : width(std::min(kWidth, run.length)), chunks(llvm::divideCeil(run.length, width)),
      lanes(grouped ? static_cast<int64_t>(llvm::PowerOf2Ceil(chunks)) : chunks), count(run.count),
      length(run.length) {}

Val Chunk::exists(int64_t index) {
  if (!left)
    return {};
  return left > left.owner().i32(isRagged ? index : 0);
}

RowThreads::RowThreads(int64_t slots, bool divisible) {
  if (slots <= kWarpSlots) {
    ofRow = std::min<int64_t>(kWarp, llvm::PowerOf2Ceil(slots));
    rows = kThreads / ofRow;
    return;
  }
  if (divisible) {
    ofRow = std::min(kPartThreads, static_cast<int64_t>(llvm::alignTo(slots, kWarp)));
    columns = llvm::divideCeil(slots, ofRow);
    return;
  }
  // Long rows have too many registers in use for other blocks beside them in any case.
  eager = slots > kMostThreads;
  for (int64_t passes = 1; passes <= kMostPasses; ++passes) {
    ofRow = static_cast<int64_t>(llvm::alignTo(llvm::divideCeil(slots, passes), kWarp));
    if (ofRow <= kMostThreads)
      return;
  }
  ofRow = kMostThreads;
}

RowThreads RowThreads::ofBlocks(int64_t ofRow, int64_t columns) {
  RowThreads threads;
  threads.ofRow = ofRow;
  threads.columns = columns;
  return threads;
}

RowThreads RowThreads::ofFew(int64_t slots) {
  RowThreads threads(slots, /*divisible=*/false);
  if (slots >= kLeastClusterSlots) {
    const int64_t share = llvm::alignTo(llvm::divideCeil(slots, kClusterBlocks), kWarp);
    threads = ofBlocks(std::min(share, kMostThreads), kClusterBlocks);
  }
  threads.eager = true;
  return threads;
}

Chunk chunkAt(Emitter &e, const ChunkGrid &grid, Val slot, bool mayMiss) {
  Chunk chunk;
  chunk.width = grid.width;
  chunk.lanes = grid.lanes;
  chunk.length = grid.length;
  chunk.isRagged = grid.isRagged();
  Val exists;
  if (mayMiss) {
    exists = slot < grid.slots();
    slot = e.minimum(slot, e.i32(grid.slots() - 1));
  }
  Val lane = slot;
  if (grid.count > 1) {
    chunk.repetition = slot / grid.lanes;
    lane = slot % grid.lanes;
  }
  if (grid.lanes > grid.chunks) {
    Val isChunk = lane < grid.chunks;
    exists = exists ? e.logicalAnd(exists, isChunk) : isChunk;
    lane = e.minimum(lane, e.i32(grid.chunks - 1));
  }
  chunk.isFirst = lane == 0;
  if (exists)
    chunk.isFirst = e.logicalAnd(chunk.isFirst, exists);
  chunk.column = lane * grid.width;
  if (chunk.isRagged)
    chunk.left = e.i32(grid.length) - chunk.column;
  else if (exists)
    chunk.left = e.i32(grid.width);
  if (exists)
    chunk.left = e.select(exists, chunk.left, e.i32(0));
  return chunk;
}

} // namespace epigraph::cuda
