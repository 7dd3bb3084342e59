// A block of latent attention made of warpgroups: 64 heads of one item.
//
// Two warpgroups compute and one fetches. The scores' warpgroup makes S = Q K^T of a page, the
// softmax, and columns 0-255 of O += P V; it hands P to the values' warpgroup, which makes columns
// 256-511. A page is fetched once: V is the latent part of K, read by another descriptor. The next
// page's Q K^T runs in the shadow of P V, and the values' warpgroup holds its P V back until that
// is done, so that it fills the tensor cores while the other computes its softmax.
//
// Two pages are in shared memory, in chunks of 64 entries x 64 elements; each is freed in three
// groups of chunks, as soon as the last product has read the group.
#ifndef EPIGRAPH_CODEGEN_CUDA_MLADECODEBLOCK_H
#define EPIGRAPH_CODEGEN_CUDA_MLADECODEBLOCK_H

#include "codegen/cuda/AttentionItems.h"
#include "codegen/cuda/Hopper.h"
#include "codegen/cuda/MlaDecode.h"
#include "codegen/cuda/PagedCache.h"
#include "codegen/cuda/RunningSoftmax.h"

namespace epigraph::cuda {

class MlaDecodeBlock {
public:
  static constexpr int64_t kHeads = 64; ///< of a block
  static constexpr int64_t kLatent = 512;
  static constexpr int64_t kRope = 64;
  static constexpr int64_t kWarpgroup = 128;
  static constexpr int64_t kThreads = 3 * kWarpgroup;

  // Shared memory, in bytes.
  static constexpr int64_t kChunkColumns = 64;
  static constexpr int64_t kChunk = kPageTokens * kChunkColumns * 2;
  static constexpr int64_t kChunks = (kLatent + kRope) / kChunkColumns;
  static constexpr int64_t kPage = kChunks * kChunk;
  static constexpr int64_t kStages = 2;
  static constexpr int64_t kQueries = 0;
  static constexpr int64_t kPages = kQueries + kChunks * kChunk;
  static constexpr int64_t kWeights = kPages + kStages * kPage; ///< P, as its fragments lie
  static constexpr int64_t kFactors = kWeights + kHeads * kPageTokens * 2;
  static constexpr int64_t kBarriers = kFactors + kWarpgroup * 8; ///< two factors a thread
  static constexpr int64_t kSharedBytes = kBarriers + 8 * (4 + 6 * kStages);

  /// Tensor maps, in the order of the function's parameters.
  enum Map { kQueryMap, kRopeMap, kCacheMap };

  MlaDecodeBlock(KernelFrame &frame, const MlaDecodeProblem &problem,
                 const AttentionPartials &partials);

  /// Emits the function.
  void emit();

private:
  /// Chunks that are fetched and freed together, in the order in which Q K^T reads them. The first
  /// is freed by the scores' warpgroup, the others by the values'.
  enum Group { kLeft, kMiddle, kRight, kGroups };
  static llvm::ArrayRef<int64_t> chunksOf(Group group);
  static constexpr int64_t kRopeChunk = kChunks - 1;

  // Barriers of the block's threads (Emitter::meet).
  enum NamedBarrier {
    kWeightsReady = 1,
    kWeightsFree = 2,
    kScoresDone = 3, ///< and 4: by the parity of the page
    kLeftZeroed = 5,
    kRightZeroed = 6,
    kQueriesRotated = 7,
  };

  // MlaDecodeBlock.cpp
  void prepareBarriers();
  void fetchOldPages();
  void fetchQueries();
  void fetchPages();
  void fetchPage(Val page, Val physical);
  void prefetchPage(Val physical);

  /// Barriers of the queries' chunks: of each group those of the latent part, then the rope chunk.
  Val queriesBarrier(Group group);
  Val ropeBarrier();
  Val fullBarrier(Group group, Val stage);
  Val emptyBarrier(Group group, Val stage);
  void release(Group group, Val page);
  Val pageAddress(Val page);
  Val stageOf(Val page) { return page & 1; }
  Val parityOf(Val page) { return (page >> 1) & 1; }
  /// Entries of the last page that the token sees; 64 or more: all.
  Val entriesOfLastPage() {
    return item.position + 1 - (item.firstPage + item.pages - 1) * kPageTokens;
  }

  // MlaDecodeScores.cpp
  void runScores();
  /// The softmax, of which rows are heads, scores, left columns of O.
  struct ScoreState {
    RunningSoftmax softmax;
    Accumulator scores, output;
    Vals pack() const;
    static ScoreState unpack(llvm::ArrayRef<Val> values);
  };
  struct Weights {
    Vals packed;     ///< P in bf16, as fragments of A
    RowPair factors; ///< by which what was summed before must be multiplied
  };
  Accumulator startScores(Val page);
  Accumulator startFirstScores();
  void multiplyChunk(Accumulator &scores, Val queries, Val keys, int64_t chunk, bool accumulate);
  void maskTail(Accumulator &scores);
  Weights weigh(ScoreState &state);
  void publish(const Weights &weights);
  void finishScores(ScoreState state);

  // MlaDecodeValues.cpp
  void runValues();
  void rotateQueries();
  void addRightColumns(Val page, Accumulator &middle, Accumulator &right, bool isLast);

  // MlaDecodeOutput.cpp
  /// acc += P V over the columns from chunk `firstChunk` on. Not waited for.
  void addValues(Accumulator &acc, llvm::ArrayRef<Val> weights, Val page, int64_t firstChunk);
  /// Zeroes the entries of the last page that the token does not see, in four chunks: a weight of
  /// zero times what a stale cache holds need not be zero.
  void zeroTail(int64_t firstChunk, int64_t barrier);
  void storeOutput(llvm::ArrayRef<Val> registers, RowPair scales, int64_t firstColumn);
  void storeColumns(llvm::ArrayRef<Val> registers, RowPair scales, Val firstRow,
                    mlir::Type element);
  void storeLogSums(RowPair logSums);
  void storeFactors(RowPair factors);
  RowPair loadFactors();
  /// Emits `body` if the block's row `row` is a head of the problem.
  void ifHead(Val row, llvm::function_ref<void()> body);

  KernelFrame &frame;
  Emitter &e;
  const MlaDecodeProblem &problem;
  const AttentionPartials &partials;

  Val shared;       ///< the block's shared memory
  Val base;         ///< its 32-bit address
  Val thread, lane; ///< in the warpgroup; in the warp
  Val row, column;  ///< of a thread's first element in a fragment: row, and which column pair
  Val headGroup;    ///< index of the block's heads
  ItemValues item;
  Val table; ///< address of the page table's entry of the item's first page
  Val early; ///< pages that are fetched before the kernel before has ended
};

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_MLADECODEBLOCK_H
