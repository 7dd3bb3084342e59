#include "codegen/cuda/NarrowLinear.h"

#include "codegen/cuda/BulkCopies.h"
#include "codegen/cuda/NarrowProducts.h"

using namespace mlir;

namespace epigraph::cuda {
namespace {

constexpr int64_t kRegisters = 65536, kMostRegisters = 255, kRegisterUnit = 8;
constexpr int64_t kMostThreads = 1024;
/// Stages of a ring that copies run ahead in.
constexpr int64_t kLeastStages = 3;

void initBarriers(const NarrowKernel &kernel) {
  Emitter &e = kernel.e();
  e.ifThen(e.threadId() == 0, [&] {
    for (int64_t stage = 0; stage < kernel.layout.stages; ++stage) {
      initBarrier(kernel.full(e.i32(stage)), 1);
      initBarrier(kernel.empty(e.i32(stage)), kernel.layout.tile.warps);
    }
    fenceBarrierInit(e);
  });
}

/// The lane's weight row of a unit. Rows past the last are read as the last.
Val weightRow(const NarrowKernel &kernel, const BlockTile &unit) {
  Emitter &e = kernel.e();
  const int64_t columns = kernel.epilogue.columns(), ofUnit = kernel.layout.tile.columns;
  Val inUnit = e.minimum(e.lane(), e.i32(kernel.layout.weightRows - 1));
  Val column = e.minimum(unit.column + inUnit % ofUnit, e.i32(columns - 1));
  Val base = kernel.frame.rowAddress(kernel.problem.w, e.i32(0));
  if (unit.matrix)
    base = e.at(base, unit.matrix, kernel.problem.outputs * kernel.layout.depthBytes);
  return e.at(base, column + inUnit / ofUnit * columns, kernel.layout.depthBytes);
}

/// A lane copies a row of each stage. No other block reads these weights.
RingPlace fetchUnit(const NarrowKernel &kernel, const BlockTile &unit, RingPlace first,
                    Val policy) {
  Emitter &e = kernel.e();
  const NarrowLayout &layout = kernel.layout;
  Val source = weightRow(kernel, unit);
  Vals last =
      e.forLoop(e.i32(0), e.i32(layout.steps), e.i32(1), {first.stage, first.parity},
                [&](Val step, ArrayRef<Val> carried) {
                  RingPlace place{carried[0], carried[1]};
                  Val done = step * layout.stageDepth, full = kernel.full(place.stage);
                  Val bytes = e.minimum(e.i32(layout.depthBytes) - done, e.i32(layout.stageDepth));
                  wait(kernel.empty(place.stage), place.parity ^ 1);
                  e.ifThen(e.lane() == 0, [&] { expectBytes(full, bytes * layout.weightRows); });
                  e.syncWarp();
                  Val stage = e.at(kernel.shared, place.stage, layout.stageBytes);
                  Val target = e.at(stage, e.lane(), layout.pitch);
                  e.ifThen(e.lane() < layout.weightRows, [&] {
                    copyBytesIn(target, e.offset(source, done), bytes, full, policy);
                  });
                  RingPlace next = nextPlace(place, layout.stages);
                  return Vals{next.stage, next.parity};
                });
  return {last[0], last[1]};
}

/// By one warp. Which weights come first depends on nothing that the kernel before makes.
void fetch(const NarrowKernel &kernel, const NarrowUnits &units) {
  Emitter &e = kernel.e();
  Val policy = evictFirst(e);
  auto fetchUnits = [&](Val begin, Val end, ArrayRef<Val> initial) {
    return units.forEach(begin, end, Val(), initial,
                         [&](Val, const BlockTile &unit, ArrayRef<Val> place) {
                           RingPlace next = fetchUnit(kernel, unit, {place[0], place[1]}, policy);
                           return Vals{next.stage, next.parity};
                         });
  };
  Vals place = fetchUnits(e.i32(0), units.known(), {e.i32(0), e.i32(0)});
  if (kernel.isGrouped() || kernel.layout.hasOneRowTile)
    return;
  e.waitForPrevious();
  fetchUnits(units.known(), units.all(), place);
}

void store(const NarrowKernel &kernel, const NarrowUnits &units) {
  Emitter &e = kernel.e();
  if (kernel.fetchesEarly())
    e.waitForPrevious();
  const SumStore sums(kernel.frame, kernel.epilogue, kernel.layout.sums);
  Val thread = e.threadId() - kernel.layout.multipliers(), end = units.all();
  Val rowEnd = kernel.isGrouped() ? Val() : kernel.frame.rows();
  units.forEach(e.i32(0), end, rowEnd, {}, [&](Val index, const BlockTile &unit, ArrayRef<Val>) {
    e.meet(kernel.haveSums(index), kernel.meeting());
    sums.store(unit, kernel.sumsOf(index), thread, kNarrowStorers);
    e.ifThen(index + kSumBuffers < end,
             [&] { e.arriveAt(kernel.haveStored(index), kernel.meeting()); });
    return Vals();
  });
}

void emit(KernelFrame &frame, const LinearProblem &problem, const LinearEpilogue &epilogue,
          const NarrowLayout &layout) {
  Emitter &e = frame.e;
  const NarrowKernel kernel{frame, problem, epilogue, layout, e.sharedMemory()};
  initBarriers(kernel);
  if (!kernel.isGrouped())
    e.allowNext(); // Its blocks start as soon as there is room for them.
  if (!kernel.fetchesEarly()) {
    e.waitForPrevious();
    e.allowNext(); // Only now: followsProjectionOfGroups.
  }
  NarrowUnits units(kernel);
  e.syncThreads();
  units.locate();
  Val warp = e.warp();
  e.ifElse(
      warp < layout.tile.warps, [&] { NarrowProducts(kernel, units).multiplyUnits(); },
      [&] {
        e.ifElse(
            e.threadId() < layout.multipliers() + kNarrowStorers, [&] { store(kernel, units); },
            [&] { fetch(kernel, units); });
      });
}

std::string suffixOf(const NarrowLayout &layout) {
  const NarrowTile &tile = layout.tile;
  std::string suffix = "narrow" + std::to_string(tile.rows) + "x" + std::to_string(tile.columns) +
                       "_" + std::to_string(tile.warps) + "x" + std::to_string(tile.loads);
  return suffix + (layout.hasOneRowTile ? "_low" : "");
}

} // namespace

bool canBeNarrow(const LinearProblem &problem, const LinearEpilogue &epilogue) {
  const int64_t bytes = bytesOf(problem.wType());
  auto isAligned = [&](int64_t elements) { return elements * bytes % kLaneBytes == 0; };
  const bool hasBf16 = problem.xType().isBF16() && problem.wType().isBF16();
  const bool hasFp8 = problem.xScale && problem.wScale;
  return problem.kind != LinearKind::Heads && (hasBf16 || hasFp8) && !epilogue.quantized() &&
         isAligned(problem.depth) && isAligned(problem.w.offset) && isAligned(problem.x.offset) &&
         isAligned(problem.x.rowStride);
}

bool fits(const NarrowTile &tile, const LinearProblem &problem, const LinearEpilogue &epilogue,
          const CudaTarget &target) {
  const NarrowLayout layout(problem, epilogue, tile, target, /*mostRows=*/0);
  const int64_t registers = kRegisters / layout.threads() / kRegisterUnit * kRegisterUnit;
  const bool hasWholeScales =
      !layout.isFp8 ||
      ((tile.loads == 1 || tile.loads % 2 == 0) &&
       (layout.parts == 1 || epilogue.columns() % std::max(tile.columns, kFragmentRows) == 0));
  return (tile.rows == 1 || tile.rows % kFragmentTokens == 0) &&
         (tile.columns == 8 || tile.columns == 16 || tile.columns == 32) &&
         layout.weightRows <= 32 && tile.warps % 2 == 0 && layout.threads() <= kMostThreads &&
         layout.stages >= kLeastStages && layout.sharedBytes <= target.sharedBytes &&
         hasWholeScales && layout.registers() <= std::min(registers, kMostRegisters);
}

void addNarrowLinear(KernelAssembly &assembly, const LinearProblem &problem,
                     const LinearEpilogue &epilogue, const NarrowTile &tile, int64_t mostRows) {
  const NarrowLayout layout(problem, epilogue, tile, assembly.target, mostRows);
  FunctionSpec spec;
  spec.suffix = suffixOf(layout);
  spec.threads = layout.threads();
  spec.sharedBytes = layout.sharedBytes;
  spec.rowTile = 0; // A block has all rows of its columns.
  spec.columnTiles = assembly.target.multiprocessors;
  if (problem.kind == LinearKind::Linear)
    spec.columnTiles = std::min(spec.columnTiles, layout.across);
  assembly.addFunction(spec, [&](KernelFrame &frame) { emit(frame, problem, epilogue, layout); });
}

} // namespace epigraph::cuda
