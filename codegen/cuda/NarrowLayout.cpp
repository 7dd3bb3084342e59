#include "codegen/cuda/NarrowLayout.h"

namespace epigraph::cuda {
namespace {

constexpr int64_t kBarrierBytes = 8, kWarp = 32;
/// More stages than this would be smaller than what a copy takes.
constexpr int64_t kMostStages = 64;
/// Registers of a thread for places, and for addresses and, of e4m3, the 16-bit floats that they
/// become, by loads. As many as no kernel of many shapes and tiles spilled with.
constexpr int64_t kOtherRegisters = 26, kRegistersOfLoad = 4, kFp8RegistersOfLoad = 12;

} // namespace

NarrowLayout::NarrowLayout(const LinearProblem &problem, const LinearEpilogue &epilogue,
                           const NarrowTile &tile, const CudaTarget &target, int64_t mostRows)
    : tile(tile),
      hasOneRowTile(problem.kind == LinearKind::Linear && mostRows != 0 && mostRows <= tile.rows),
      isFp8(!problem.wType().isBF16()), parts(epilogue.parts()), weightRows(parts * tile.columns),
      fragments(llvm::divideCeil(weightRows, kFragmentRows)),
      tokenFragments(llvm::divideCeil(tile.rows, kFragmentTokens)),
      across(llvm::divideCeil(epilogue.columns(), tile.columns)),
      depthBytes(problem.depth * bytesOf(problem.wType())),
      stageDepth(tile.warps * tile.loads * kLoadBytes),
      steps(llvm::divideCeil(depthBytes, stageDepth)), isPartial(depthBytes % stageDepth != 0),
      scales(isFp8 ? llvm::divideCeil(tile.loads, int64_t{2}) : 0),
      // Eight lanes load 16 bytes each of two neighbouring rows, from all banks.
      pitch(stageDepth + kLoadBytes), stageBytes(weightRows * pitch),
      sums{tile.rows, tile.columns, parts, tile.warps} {
  const int64_t listBytes =
      problem.kind == LinearKind::Grouped ? GroupList::bytes(problem.matrices) : 0;
  const int64_t others = kSumBuffers * sums.bytes() + listBytes;
  stages = std::min(kMostStages, (target.sharedBytes - others) / (stageBytes + 2 * kBarrierBytes));
  sumsAt = stages * stageBytes;
  listAt = sumsAt + kSumBuffers * sums.bytes();
  fullAt = listAt + listBytes;
  emptyAt = fullAt + stages * kBarrierBytes;
  sharedBytes = emptyAt + stages * kBarrierBytes;
}

/// Those that store come after those that multiply, and last the warp that fetches.
int64_t NarrowLayout::threads() const { return multipliers() + kNarrowStorers + kWarp; }

/// All of x and its scales, the scales of two units' weights, two steps' weights, and the sums.
int64_t NarrowLayout::registers() const {
  const int64_t x = steps * tile.loads * tokenFragments * 4;
  const int64_t scalesOfX = steps * scales * (tile.rows == 1 ? 1 : 2 * tokenFragments);
  const int64_t weights = 2 * tile.loads * weightRows / 2;
  const int64_t accumulators = fragments * tokenFragments * 4 * (isFp8 ? 3 : 2);
  const int64_t others =
      kOtherRegisters + tile.loads * (isFp8 ? kFp8RegistersOfLoad : kRegistersOfLoad);
  return x + scalesOfX + 2 * steps * scales * parts + weights + accumulators + others;
}

Val NarrowKernel::sumsOf(Val index) const {
  Emitter &e = frame.e;
  return e.at(e.offset(shared, layout.sumsAt), index & 1, layout.sums.bytes());
}

NarrowUnits::NarrowUnits(const NarrowKernel &kernel)
    : kernel(kernel), e(kernel.e()),
      groups(e, e.offset(kernel.shared, kernel.layout.listAt), kernel.problem.matrices,
             kernel.layout.tile.rows, kernel.layout.across) {
  if (kernel.isGrouped())
    groups.make(kernel.frame.rowAddress(*kernel.problem.counts, e.i32(0)), kernel.layout.threads());
}

void NarrowUnits::locate() {
  Val units = kernel.isGrouped() ? groups.tiles() : e.i32(kernel.layout.across);
  first = e.blockId() * units / e.blockCount();
  count = (e.blockId() + 1) * units / e.blockCount() - first;
  place = kernel.isGrouped() ? groups.search(first) : e.i32(0);
}

Val NarrowUnits::all() const {
  if (kernel.isGrouped() || kernel.layout.hasOneRowTile)
    return count;
  Val rowTiles = e.ceilDiv(kernel.frame.rows(), kernel.layout.tile.rows);
  return count * e.maximum(rowTiles, e.i32(1)); // Weights of the first are under way.
}

/// Of groups, down the rows of a group before the next columns, which have other weights; of one
/// matrix, all columns of the block before the next rows.
BlockTile NarrowUnits::at(Val index, Val &place, Val rowEnd) const {
  const NarrowTile &tile = kernel.layout.tile;
  if (!kernel.isGrouped()) {
    Val pass = kernel.layout.hasOneRowTile ? e.i32(0) : index / count;
    return {Val(), pass * tile.rows, rowEnd, (first + index - pass * count) * tile.columns};
  }
  place = groups.find(first + index, place);
  const GroupList::Group group = groups.at(place);
  Val inGroup = first + index - group.firstTile;
  Val down = e.ceilDiv(group.rowEnd - group.firstRow, tile.rows);
  Val column = inGroup / down;
  return {group.index, group.firstRow + (inGroup - column * down) * tile.rows, group.rowEnd,
          column * tile.columns};
}

Vals NarrowUnits::forEach(
    Val begin, Val end, Val rowEnd, llvm::ArrayRef<Val> initial,
    llvm::function_ref<Vals(Val, const BlockTile &, llvm::ArrayRef<Val>)> body) const {
  Vals withPlace{place};
  withPlace.append(initial.begin(), initial.end());
  Vals last =
      e.forLoop(begin, end, e.i32(1), withPlace, [&](Val index, llvm::ArrayRef<Val> carried) {
        Val at = carried[0];
        const BlockTile unit = this->at(index, at, rowEnd);
        Vals next{at};
        next.append(body(index, unit, carried.drop_front()));
        return next;
      });
  last.erase(last.begin());
  return last;
}

} // namespace epigraph::cuda
