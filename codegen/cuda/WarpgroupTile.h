// Causal attention of a tile of tokens and one query head by the two warpgroups that multiply
// (TileRings.h), each with 64 of the queries.
#ifndef EPIGRAPH_CODEGEN_CUDA_WARPGROUPTILE_H
#define EPIGRAPH_CODEGEN_CUDA_WARPGROUPTILE_H

#include "codegen/cuda/AttentionItems.h"
#include "codegen/cuda/RunningSoftmax.h"
#include "codegen/cuda/TileRings.h"

namespace epigraph::cuda {

/// The pages [first, end) that an item's tokens see, and the steps that they make.
struct TilePages {
  Val first, end, steps;

  static TilePages of(Emitter &e, const ItemValues &item, std::optional<int64_t> window);
};

/// How often each buffer of TileRings has been used.
struct TileUses {
  Val queries, keys, values;

  Vals pack() const { return {queries, keys, values}; }
  static TileUses unpack(llvm::ArrayRef<Val> values) { return {values[0], values[1], values[2]}; }
};

class WarpgroupTile {
public:
  WarpgroupTile(Emitter &e, const TileShape &shape, const TileRings &rings)
      : e(e), shape(shape), rings(rings), warpgroup(e.warp() / 4),
        row(e.warp() * 16 + e.lane() / 4) {}

  /// Once, before the first tile.
  void beginTurns();

  /// Attends for the item, whose queries are there. `sink`, if any, is the head's (f32), a score
  /// that belongs to no position.
  void attend(const ItemValues &item, const TilePages &pages, const TileUses &uses, Val sink);

  /// Stores the result, after attend, in bf16: `addressOf` gets the row of a token in the tile.
  void store(const ItemValues &item, llvm::function_ref<Val(Val row)> addressOf);

private:
  /// What is carried from step to step: the softmax up to it, its weights as a left operand, and
  /// the sums of the steps before, in terms of the softmax.
  struct State {
    RunningSoftmax softmax;
    Vals weights, sums;

    Vals pack() const;
    State unpack(llvm::ArrayRef<Val> values) const;
  };

  // Barriers of the block's threads (Emitter::meet): of each warpgroup's turn, and of both.
  static constexpr int64_t kTurn = 1, kBoth = 3;

  Accumulator score(Val use);
  void addValues(Accumulator &sums, llvm::ArrayRef<Val> weights, const TileRings::Place &values);
  void mask(Accumulator &scores, const ItemValues &item, const TilePages &pages, Val step);
  State addSteps(const ItemValues &item, const TilePages &pages, const TileUses &uses, Val first,
                 Val last, bool isMasked, const State &state);
  State addStep(const ItemValues &item, const TilePages &pages, const TileUses &uses, Val step,
                bool isMasked, State state);
  void addLastValues(const ItemValues &item, const TilePages &pages, const TileUses &uses,
                     State &state);
  void zeroPast(Val tokens, const TileRings::Place &values);

  Emitter &e;
  const TileShape &shape;
  const TileRings &rings;
  Val warpgroup;
  Val row; ///< of the thread's first query in the tile; its second is 8 on
  Vals sums;
  RowPair totals;
};

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_WARPGROUPTILE_H
