// What the warps of a narrow projection multiply: each has its part of K of every stage, and all of
// its x in registers, which stays there for all units of the same rows.
#ifndef EPIGRAPH_CODEGEN_CUDA_NARROWPRODUCTS_H
#define EPIGRAPH_CODEGEN_CUDA_NARROWPRODUCTS_H

#include "codegen/cuda/Hopper.h"
#include "codegen/cuda/NarrowLayout.h"

namespace epigraph::cuda {

class NarrowProducts {
public:
  NarrowProducts(const NarrowKernel &kernel, const NarrowUnits &units);

  /// Leaves the sums of all units of the block for the threads that store, by each of the warps
  /// that share K.
  void multiplyUnits() const;

private:
  /// What the lane multiplies with of rows of x, and their scales.
  struct Rows {
    Vals x, scales;
  };
  /// What the lane has when it comes to a unit.
  struct State {
    RingPlace place;
    Val row; ///< the first of those in registers
    Rows rows;
    Vals weightScales; ///< of the unit
  };
  Vals flat(const State &state) const;
  State stateOf(llvm::ArrayRef<Val> flat) const;
  int64_t xWords() const;
  int64_t scalesOfBlock() const;

  Rows loadRows(const BlockTile &unit) const;
  Rows rowsOf(const BlockTile &unit, const State &state) const;
  Val rowOf(const BlockTile &unit, Val inUnit) const;
  Vals loadX(const BlockTile &unit) const;
  Vals loadRowScales(const BlockTile &unit) const;
  Vals firstWeightScales() const;
  Vals weightScales(Val index) const;
  Vals loadWeightScales(const BlockTile &unit) const;
  Val firstScaleBlock() const;
  Val scaleBlock(Val first, int64_t step, int64_t block) const;

  Vals multiplyUnit(State &state) const;
  llvm::SmallVector<Vals> loadStage(int64_t step, RingPlace &place) const;
  void addStage(llvm::MutableArrayRef<Vals> sums, llvm::ArrayRef<Vals> weights, const State &state,
                int64_t step) const;
  void addScaledStage(llvm::MutableArrayRef<Val> sums, llvm::ArrayRef<Vals> weights,
                      const State &state, int64_t step) const;
  llvm::ArrayRef<Val> xOf(const State &state, int64_t step, int64_t load) const;
  void keep(llvm::ArrayRef<Val> sums, Val memory) const;

  /// Bytes from the start of a row to load `load` of step `step`, of the first lane.
  int64_t depthOf(int64_t step, int64_t load) const;
  /// Whether the lane's bytes are there, where they may not be; else null.
  Val exists(int64_t step, int64_t load) const;

  const NarrowKernel &kernel;
  const NarrowUnits &units;
  const NarrowLayout &layout;
  Emitter &e;
  Val warp;
  Val group, quad; ///< the lane's row in a fragment, and its place among the four of the row
  Val laneDepth;   ///< bytes from the start of a row, in the first load of a stage
};

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_NARROWPRODUCTS_H
