#include "codegen/cuda/WideLinear.h"

#include "codegen/cuda/WideProducts.h"
#include "codegen/cuda/WideStore.h"

using namespace mlir;

namespace epigraph::cuda {
namespace {

/// What addresses and strides of tensor maps are multiples of, in bytes.
constexpr int64_t kMapAlignment = 16;
/// Registers of a thread that multiplies, and of one that fetches, where three warpgroups share
/// those of a multiprocessor.
constexpr int64_t kProductRegisters = 232, kFetchRegisters = 40;
/// Weights of a stage, those of all parts.
constexpr int64_t kMostWeightRows = 256;
/// Sums, accumulators and scales of a thread that leave enough registers for all else: with scales,
/// without, and where two blocks share the registers of a multiprocessor.
constexpr int64_t kMostSums = 200, kMostPlainSums = 128, kMostSharedSums = 64;

/// A row of a slab has 8 pieces of 16 bytes, at least, which are swizzled (WideStore).
constexpr int64_t kLeastSlabColumns = 64;

void initBarriers(const WideKernel &kernel) {
  Emitter &e = kernel.e();
  const WideLayout &layout = kernel.layout;
  e.ifThen(e.threadId() == 0, [&] {
    for (int64_t stage = 0; stage < layout.stages; ++stage) {
      initBarrier(kernel.full(e.i32(stage)), 1);
      // One lane of each warp that multiplies, in each block that gets what is fetched.
      initBarrier(kernel.empty(e.i32(stage)), layout.warpgroups * 4 * layout.tile.multicast);
    }
    fenceBarrierInit(e);
  });
}

void fetch(const WideKernel &kernel, const WorkList &list) {
  Emitter &e = kernel.e();
  if (kernel.layout.warpgroups > 1)
    lowerRegisters(e, kFetchRegisters);
  e.ifThen((e.threadId() & 127) == 0, [&] { fetchTiles(kernel, list); });
  if (kernel.layout.tile.split == 1)
    return;
  e.syncWarp();
  list.forEachTile({}, [&](const WorkTile &, ArrayRef<Val>) {
    clusterSync(e); // As WideStore, which shares sums among the blocks.
    clusterSync(e);
    return Vals();
  });
}

void multiplyAndStore(const WideKernel &kernel, const WorkList &list, Val warpgroup) {
  Emitter &e = kernel.e();
  if (kernel.layout.warpgroups > 1)
    raiseRegisters(e, kProductRegisters);
  if (kernel.fetchesEarly())
    e.waitForPrevious();
  WideProducts products(kernel, warpgroup);
  WideStore store(kernel, list, warpgroup);
  list.forEachTile({e.i32(0), e.i32(0)}, [&](const WorkTile &tile, ArrayRef<Val> at) {
    WideProducts::Sums sums = products.multiplyTile(tile, {at[0], at[1]});
    store.store(tile, sums.fragments);
    return Vals{sums.next.stage, sums.next.parity};
  });
}

void emit(KernelFrame &frame, const LinearProblem &problem, const LinearEpilogue &epilogue,
          const WideLayout &layout) {
  Emitter &e = frame.e;
  WideKernel kernel{frame,  problem,          epilogue,
                    layout, e.sharedMemory(), layout.cluster > 1 ? clusterRank(e) : e.i32(0)};
  initBarriers(kernel);
  const bool isGrouped = problem.kind == LinearKind::Grouped;
  if (!isGrouped)
    e.allowNext(); // Its blocks start as soon as there is room for them.
  if (!kernel.fetchesEarly()) {
    e.waitForPrevious();
    if (isGrouped)
      e.allowNext(); // Only now: followsProjectionOfGroups.
  }
  WorkList list(kernel);
  layout.cluster > 1 ? clusterSync(e) : e.syncThreads();
  Val warpgroup = e.threadId() >> 7;
  e.ifElse(
      warpgroup == layout.warpgroups, [&] { fetch(kernel, list); },
      [&] { multiplyAndStore(kernel, list, warpgroup); });
  if (layout.cluster > 1) {
    e.syncWarp();
    clusterSync(e); // Others may still write to this block's memory or read it.
  }
}

std::string suffixOf(const WideLayout &layout) {
  const WideTile &tile = layout.tile;
  std::string suffix = tile.swapped ? "swapped_" : "wide_";
  suffix += std::to_string(tile.rows) + "x" + std::to_string(tile.columns);
  if (tile.multicast > 1)
    suffix += "_multicast" + std::to_string(tile.multicast);
  if (tile.split > 1)
    suffix += "_split" + std::to_string(tile.split);
  if (tile.blocksOfCore > 1)
    suffix += "_by" + std::to_string(tile.blocksOfCore);
  if (tile.streamed)
    suffix += "_streamed";
  return suffix + (layout.hasOneRowTile ? "_low" : "");
}

} // namespace

bool canBeWide(const LinearProblem &problem, const LinearEpilogue &epilogue) {
  const int64_t bytes = bytesOf(problem.xType());
  const bool hasBf16 = problem.xType().isBF16() && problem.wType().isBF16();
  const bool hasFp8 = problem.xScale && problem.wScale && bytes == 1;
  auto isAligned = [&](int64_t elements) { return elements * bytes % kMapAlignment == 0; };
  return problem.kind != LinearKind::Heads && (hasBf16 || hasFp8) &&
         isAligned(problem.x.rowStride) && isAligned(problem.x.offset) &&
         isAligned(problem.depth) && problem.w.offset % problem.depth == 0 &&
         (!hasFp8 || epilogue.parts() == 1 || epilogue.columns() % epi::kScaleBlock == 0) &&
         (!epilogue.quantized() || (epilogue.columns() % 8 == 0 && !problem.resultType().isF32()));
}

bool fits(const WideTile &tile, const LinearProblem &problem, const LinearEpilogue &epilogue,
          const CudaTarget &target) {
  const WideLayout layout(problem, epilogue, tile, target, /*mostRows=*/0);
  // With scales there is one accumulator beside the sums, and swapped they are many.
  int64_t sums = layout.sums();
  if (layout.isFp8)
    sums += layout.fragmentWidth / 2 + (tile.swapped ? tile.rows / 4 : 2);
  const int64_t mostSums = tile.blocksOfCore > 1 ? kMostSharedSums
                           : layout.isFp8        ? kMostSums
                                                 : kMostPlainSums;
  const int64_t rowsOfPass = layout.teamThreads * 8 / layout.slabColumns;
  return layout.stages >= 3 && layout.weightRows <= kMostWeightRows && layout.fragments > 0 &&
         layout.fragments * layout.fragmentStep == layout.weightRows && sums <= mostSums &&
         (tile.blocksOfCore == 1 || layout.warpgroups == 1) &&
         layout.slabColumns >= kLeastSlabColumns &&
         layout.slabRows % (tile.split * rowsOfPass) == 0 && layout.blocksOfDepth >= tile.split &&
         layout.sharedBytes <= target.sharedBytes &&
         (!epilogue.quantized() || tile.columns % epi::kScaleBlock == 0) &&
         (tile.split == 1 || problem.kind == LinearKind::Linear) &&
         (!tile.streamed || (layout.cluster == 1 && layout.shares * 4 <= kCounterBytes));
}

void addWideLinear(KernelAssembly &assembly, const LinearProblem &problem,
                   const LinearEpilogue &epilogue, const WideTile &tile, int64_t mostRows) {
  const WideLayout layout(problem, epilogue, tile, assembly.target, mostRows);
  FunctionSpec spec;
  spec.suffix = suffixOf(layout);
  spec.threads = layout.threads();
  spec.blocksOfCore = tile.blocksOfCore;
  spec.sharedBytes = layout.sharedBytes;
  spec.cluster = layout.cluster;
  spec.rowTile = tile.rows * tile.multicast;
  spec.columnTiles = layout.columnTiles * layout.cluster;
  spec.persistent = tile.split > 1 ? 0 : tile.blocksOfCore;
  if (tile.streamed) {
    spec.rowTile = 0;
    spec.columnTiles = layout.shares;
    spec.persistent = 0;
    assembly.needWorkspace(layout.shares * layout.partialBytes());
  } else if (problem.kind == LinearKind::Grouped) {
    // How many tiles there are is known to the device alone.
    spec.rowTile = 0;
    spec.columnTiles =
        assembly.target.multiprocessors * tile.blocksOfCore / layout.cluster * layout.cluster;
  }
  spec.maps = wideMaps(assembly, problem, layout);
  assembly.addFunction(spec, [&](KernelFrame &frame) { emit(frame, problem, epilogue, layout); });
}

} // namespace epigraph::cuda
