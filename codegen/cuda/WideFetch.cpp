// The side of a wide projection's main loop that fetches.
#include "codegen/cuda/WideProducts.h"

#include <algorithm>

namespace epigraph::cuda {
namespace {

/// Weight rows of one copy: what one block fetches of a part, for all blocks that share it.
int64_t weightBox(const WideLayout &layout) { return layout.tile.columns / layout.tile.multicast; }

DType dtypeOf(mlir::Type element) { return element.isBF16() ? DType::BF16 : DType::F8_E4M3; }

} // namespace

std::vector<TensorMapSpec> wideMaps(const KernelAssembly &assembly, const LinearProblem &problem,
                                    const WideLayout &layout) {
  auto u64 = [](int64_t x) { return static_cast<uint64_t>(x); };
  auto u32 = [](int64_t x) { return static_cast<uint32_t>(x); };
  const int64_t bytes = layout.isFp8 ? 1 : 2;
  TensorMapSpec tokens{.operand = assembly.operandIndex(problem.x.argument),
                       .element = dtypeOf(problem.xType()),
                       .sizes = {u64(problem.x.offset + problem.depth), 0},
                       .strides = {u64(problem.xRowBytes())},
                       .box = {u32(layout.blockDepth), u32(layout.tile.rows)},
                       .swizzleBytes = 128};
  TensorMapSpec weights{.operand = assembly.operandIndex(problem.w.argument),
                        .element = dtypeOf(problem.wType()),
                        .sizes = {u64(problem.depth), u64(problem.w.offset / problem.depth +
                                                          problem.matrices * problem.outputs)},
                        .strides = {u64(problem.depth * bytes)},
                        .box = {u32(layout.blockDepth), u32(weightBox(layout))},
                        .swizzleBytes = 128};
  std::vector<TensorMapSpec> maps{tokens, weights};
  if (layout.isFp8)
    maps.push_back({.operand = assembly.operandIndex(problem.xScale->argument),
                    .element = DType::F32,
                    .sizes = {0, u64(problem.scaleBlocks())},
                    .strides = {0},
                    .box = {u32(layout.tile.rows + kScaleRowAlignment), 1},
                    .swizzleBytes = 0});
  return maps;
}

namespace {

/// Fetches blocks of K of one tile into stages.
class Fetch {
public:
  Fetch(const WideKernel &kernel, const WorkTile &tile, Val policy)
      : kernel(kernel), layout(kernel.layout), e(kernel.e()), tile(tile), policy(policy) {}

  /// What will come for a stage.
  void expect(Val stage) {
    const int64_t scaleBytes = layout.isFp8 ? (layout.tile.rows + kScaleRowAlignment) * 4 : 0;
    expectBytes(kernel.full(stage), e.i32(layout.stageBytes + scaleBytes));
  }

  /// Rows of x, and their scales.
  void tokens(Val block, Val stage) {
    Val full = kernel.full(stage);
    Val depth = block * layout.blockDepth + kernel.problem.x.offset;
    copyBoxIn(e.at(kernel.shared, stage, layout.stageBytes), kernel.frame.map(kTokenMap),
              {depth, tile.row}, full);
    if (!layout.isFp8)
      return;
    Val scales = e.at(e.offset(kernel.shared, layout.scalesAt), stage, layout.scaleStride);
    Val firstRow = tile.row - (tile.row & (kScaleRowAlignment - 1));
    copyBoxIn(scales, kernel.frame.map(kScaleMap), {firstRow, block}, full);
  }

  /// The block's share of the weights of all parts.
  void weights(Val block, Val stage) {
    const LinearProblem &problem = kernel.problem;
    const int64_t multicast = layout.tile.multicast, box = weightBox(layout);
    Val depth = block * layout.blockDepth;
    Val row = tile.matrix * problem.outputs + tile.column + problem.w.offset / problem.depth;
    Val base = e.offset(e.at(kernel.shared, stage, layout.stageBytes), layout.tokenBytes);
    if (multicast > 1) {
      row = row + kernel.rank * box;
      base = e.at(base, kernel.rank, box * 128);
    }
    Val blocks = multicast > 1 ? e.constant(e.i16(), (1 << multicast) - 1) : Val();
    for (int64_t part = 0; part < layout.parts; ++part) {
      Val target = e.offset(base, part * layout.tile.columns * 128);
      Val partRow = row + part * kernel.epilogue.columns();
      copyBoxIn(target, kernel.frame.map(kWeightMap), {depth, partRow}, kernel.full(stage), blocks,
                policy);
    }
  }

private:
  const WideKernel &kernel;
  const WideLayout &layout;
  Emitter &e;
  const WorkTile &tile;
  Val policy; ///< of the weights; may be null
};

/// Of one tile along the rows, a block reads its weights once, and no other does. Tiles that are
/// not swapped have no registers left for a policy.
Val weightPolicy(const WideKernel &kernel) {
  const bool readsOnce = kernel.layout.hasOneRowTile && kernel.layout.tile.swapped;
  return readsOnce ? evictFirst(kernel.e()) : Val();
}

/// Fills the first stages: the weights before the kernel before has ended, then the rows that it
/// may have made. Returns how many stages.
Val fetchFirst(const WideKernel &kernel, const WorkTile &tile, Val policy) {
  Emitter &e = kernel.e();
  const WideLayout &layout = kernel.layout;
  const Val begin = tile.depthBegin;
  const Val count = e.minimum(tile.depthEnd - begin, e.i32(layout.stages));
  Fetch fetch(kernel, tile, policy);
  e.forEach(e.i32(0), count, e.i32(1), [&](Val stage) {
    fetch.expect(stage);
    fetch.weights(begin + stage, stage);
  });
  e.waitForPrevious();
  if (kernel.problem.kind == LinearKind::Grouped)
    e.allowNext(); // Only now: followsProjectionOfGroups.
  e.forEach(e.i32(0), count, e.i32(1), [&](Val stage) { fetch.tokens(begin + stage, stage); });
  return count;
}

} // namespace

void fetchTiles(const WideKernel &kernel, const WorkList &list) {
  Emitter &e = kernel.e();
  const WideLayout &layout = kernel.layout;
  Val fetched = e.i32(0), policy = weightPolicy(kernel);
  if (kernel.fetchesEarly())
    fetched = fetchFirst(kernel, list.firstTile(), policy);
  Val isFull = fetched == layout.stages;
  Vals initial{e.select(isFull, e.i32(0), fetched), e.toI32(isFull), fetched};
  list.forEachTile(initial, [&](const WorkTile &tile, llvm::ArrayRef<Val> at) {
    Fetch fetch(kernel, tile, policy);
    Vals last = e.forLoop(tile.depthBegin + at[2], tile.depthEnd, e.i32(1), at.take_front(2),
                          [&](Val block, llvm::ArrayRef<Val> carried) {
                            RingPlace place{carried[0], carried[1]};
                            wait(kernel.empty(place.stage), place.parity ^ 1);
                            fetch.expect(place.stage);
                            fetch.tokens(block, place.stage);
                            fetch.weights(block, place.stage);
                            RingPlace next = nextPlace(place, layout.stages);
                            return Vals{next.stage, next.parity};
                          });
    last.push_back(e.i32(0));
    return last;
  });
}

} // namespace epigraph::cuda
