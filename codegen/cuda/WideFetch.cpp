// The side of a wide projection's main loop that fetches.
#include "codegen/cuda/WideProducts.h"

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

/// One stage: block `block` of K.
static void fetchStage(const WideKernel &kernel, const WorkTile &tile, Val block, Val stage) {
  Emitter &e = kernel.e();
  const WideLayout &layout = kernel.layout;
  const LinearProblem &problem = kernel.problem;
  const int64_t multicast = layout.tile.multicast, box = weightBox(layout);
  Val full = kernel.full(stage), base = e.at(kernel.shared, stage, layout.stageBytes);
  const int64_t scaleBytes = layout.isFp8 ? (layout.tile.rows + kScaleRowAlignment) * 4 : 0;
  expectBytes(full, e.i32(layout.stageBytes + scaleBytes));
  Val depth = block * layout.blockDepth;
  copyBoxIn(base, kernel.frame.map(kTokenMap), {depth + problem.x.offset, tile.row}, full);
  if (layout.isFp8) {
    Val scales = e.at(e.offset(kernel.shared, layout.scalesAt), stage, layout.scaleStride);
    copyBoxIn(scales, kernel.frame.map(kScaleMap),
              {tile.row - (tile.row & (kScaleRowAlignment - 1)), block}, full);
  }
  Val row = tile.matrix * problem.outputs + tile.column + problem.w.offset / problem.depth;
  Val weights = e.offset(base, layout.tokenBytes);
  if (multicast > 1) {
    row = row + kernel.rank * box;
    weights = e.at(weights, kernel.rank, box * 128);
  }
  for (int64_t part = 0; part < layout.parts; ++part) {
    Val target = e.offset(weights, part * layout.tile.columns * 128);
    Val partRow = row + part * kernel.epilogue.columns();
    Val map = kernel.frame.map(kWeightMap);
    if (multicast > 1)
      copyBoxIn(target, map, {depth, partRow}, full, e.constant(e.i16(), (1 << multicast) - 1));
    else
      copyBoxIn(target, map, {depth, partRow}, full);
  }
}

void fetchTiles(const WideKernel &kernel, const WorkList &list) {
  Emitter &e = kernel.e();
  const auto [begin, end] = blocksOfDepth(kernel);
  list.forEachTile({e.i32(0), e.i32(0)}, [&](const WorkTile &tile, llvm::ArrayRef<Val> at) {
    return e.forLoop(begin, end, e.i32(1), at, [&](Val block, llvm::ArrayRef<Val> carried) {
      RingPlace place{carried[0], carried[1]};
      wait(kernel.empty(place.stage), place.parity ^ 1);
      fetchStage(kernel, tile, block, place.stage);
      RingPlace next = nextPlace(place, kernel.layout.stages);
      return Vals{next.stage, next.parity};
    });
  });
}

} // namespace epigraph::cuda
