// A warp merges 64 neighbouring columns of one head of a token: its lanes first find the largest
// logarithm, then add up the means by their weights, several partial results at a time so that as
// many loads are under way.
#include "codegen/cuda/AttentionMerge.h"

#include "runtime/artifact/AttentionItem.h"
#include "runtime/artifact/KernelAbi.h"

#include <cstddef>
#include <limits>

using namespace mlir;

namespace epigraph::cuda {
namespace {

constexpr int64_t kLanes = 32;
constexpr int64_t kWarps = 4;
/// Blocks loop over tokens: in large batches few, or none, have anything to merge.
constexpr int64_t kBlocksOfCore = 16;
/// Columns of a warp: two of each lane.
constexpr int64_t kColumns = 2 * kLanes;
/// Partial results whose loads are under way at once.
constexpr int64_t kTogether = 16;

/// The partial results [first, first + count) of a token.
struct TokenPartials {
  Val first, count;
};

class Merger {
public:
  Merger(KernelFrame &frame, const AttentionPartials &partials, unsigned result)
      : frame(frame), e(frame.e), partials(partials), result(result) {}

  /// Columns [column, column + 2) of `head` of token `row`.
  void merge(Val row, const TokenPartials &of, Val head, Val column) {
    Val highest = highestLogarithm(of, head);
    Vals sums{e.f32(0.0), e.f32(0.0), e.f32(0.0)}; // The weights, and two columns.
    sums = e.forLoop(e.i32(0), of.count, e.i32(kTogether), sums,
                     [&](Val start, ArrayRef<Val> carried) -> Vals {
                       return addSome(of, start, head, column, highest, carried);
                     });
    Val inverse = e.reciprocal(sums[0]);
    auto type = cast<RankedTensorType>(frame.kernel.getResultTypes()[result]).getElementType();
    const int64_t bytes = type.getIntOrFloatBitWidth() / 8;
    Val to = e.at(frame.resultRow(result, row), head * partials.columns + column, bytes);
    e.store(e.fromF32(e.pack({sums[1] * inverse, sums[2] * inverse}), type), to, 2 * bytes);
  }

private:
  Val highestLogarithm(const TokenPartials &of, Val head) {
    Val none = e.f32(-std::numeric_limits<double>::infinity());
    Vals highest = e.forLoop(e.lane(), of.count, e.i32(kLanes), {none},
                             [&](Val i, ArrayRef<Val> carried) -> Vals {
                               Val at = partials.logarithm(frame, of.first + i, head);
                               return {e.maximum(carried[0], e.load(e.f32(), at))};
                             });
    return e.warpMax(highest[0]);
  }

  /// Adds kTogether partial results from `start` on; those past the last weigh nothing.
  Vals addSome(const TokenPartials &of, Val start, Val head, Val column, Val highest,
               ArrayRef<Val> carried) {
    Vals logarithms, means;
    for (int64_t i = 0; i < kTogether; ++i) {
      Val partial = of.first + e.minimum(start + i, of.count - 1);
      logarithms.push_back(e.load(e.f32(), partials.logarithm(frame, partial, head)));
      Val at = e.at(partials.means(frame, partial, head), column, partials.elementBytes());
      means.push_back(e.load(e.vector(partials.element, 2), at));
    }
    Vals sums(carried.begin(), carried.end());
    for (int64_t i = 0; i < kTogether; ++i) {
      Val weight = e.exp2(logarithms[i] - highest);
      weight = e.select(start + i < of.count, weight, e.f32(0.0));
      Vals mean = e.elements(e.toF32(means[i]));
      sums = {sums[0] + weight, e.fma(weight, mean[0], sums[1]), e.fma(weight, mean[1], sums[2])};
    }
    return sums;
  }

  KernelFrame &frame;
  Emitter &e;
  const AttentionPartials &partials;
  unsigned result;
};

TokenPartials loadTokenPartials(KernelFrame &frame, Val row) {
  Emitter &e = frame.e;
  Val list = frame.stepPointer(offsetof(DeviceStep, tokenPartials));
  Val pair = e.load(e.vector(e.i32(), 2), e.at(list, row, 2 * sizeof(int32_t)));
  return {e.element(pair, 0), e.element(pair, 1)};
}

} // namespace

int64_t AttentionPartials::bytes() const {
  const int64_t logarithmBytes = heads * static_cast<int64_t>(sizeof(float));
  return llvm::alignTo(heads * columns * elementBytes() + logarithmBytes, 16);
}

Val AttentionPartials::means(KernelFrame &frame, Val partial, Val head) const {
  Emitter &e = frame.e;
  return e.at(e.at(frame.workspace(), partial, bytes()), head, columns * elementBytes());
}

Val AttentionPartials::logarithm(KernelFrame &frame, Val partial, Val head) const {
  Emitter &e = frame.e;
  Val all = e.offset(e.at(frame.workspace(), partial, bytes()), heads * columns * elementBytes());
  return e.at(all, head, sizeof(float));
}

void needPartials(KernelAssembly &assembly, const AttentionPartials &partials, int64_t items) {
  assembly.needTokenItems(items);
  // The step is cut for the kernel that asks for most items: one for each multiprocessor, at most.
  const int64_t mostItems = std::max(items, assembly.target.multiprocessors);
  const auto most = static_cast<int64_t>(mostPartials(static_cast<uint64_t>(mostItems)));
  assembly.needWorkspace(most * partials.bytes());
}

void addAttentionMerge(KernelAssembly &assembly, const AttentionPartials &partials,
                       unsigned index) {
  const int64_t unitsOfHead = llvm::divideCeil(partials.columns, kColumns);
  const int64_t units = partials.heads * unitsOfHead;
  FunctionSpec spec;
  spec.suffix = "merge";
  spec.threads = kWarps * kLanes;
  spec.columnTiles = llvm::divideCeil(units, kWarps);
  spec.persistent = kBlocksOfCore;
  assembly.addFunction(spec, [&](KernelFrame &frame) {
    Emitter &e = frame.e;
    e.allowNext();
    e.waitForPrevious();
    e.forEach(e.blockId(), frame.rows() * spec.columnTiles, e.blockCount(), [&](Val tile) {
      Val row = tile / spec.columnTiles;
      TokenPartials of = loadTokenPartials(frame, row);
      Val unit = (tile % spec.columnTiles) * kWarps + e.warp();
      Val column = (unit % unitsOfHead) * kColumns + e.lane() * 2;
      // Lanes without columns compute those of the head's last ones, and write the same.
      column = e.minimum(column, e.i32(partials.columns - 2));
      e.ifThen(e.logicalAnd(of.count > 1, unit < units),
               [&] { Merger(frame, partials, index).merge(row, of, unit / unitsOfHead, column); });
    });
  });
}

} // namespace epigraph::cuda
