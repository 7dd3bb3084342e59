#include "codegen/cuda/HeadLinear.h"

#include "codegen/cuda/FragmentSums.h"
#include "codegen/cuda/Hopper.h"
#include "codegen/cuda/SharedRows.h"

using namespace mlir;

namespace epigraph::cuda {
namespace {

constexpr int64_t kElementBytes = 2;
constexpr int64_t kMostWarps = 8;
/// Sums of 16 weight rows by 8 rows of x that a warp has registers for.
constexpr int64_t kMostSums = 16;
/// As many of them are under way at once, so that products do not wait for one another.
constexpr int64_t kTogether = 4;
/// Loads of x in a row; those of two such chunks are under way at once.
constexpr int64_t kChunkLoads = 8;
/// Columns that a thread quantizes: 16 neighbouring lanes have those that share a scale.
constexpr int64_t kQuantized = 8;
/// Rows that blocks multiply at a time, each for launches of up to so many, the last for any.
constexpr int64_t kRows[] = {8, 32, 64};

/// How the block's warps share the columns that it has, and rows of x.
struct HeadLayout {
  int64_t columns;
  int64_t across, down; ///< warps along columns and rows
  int64_t fragments;    ///< of 16 columns, of a warp
  int64_t tokens;       ///< of 8 rows, of a warp
  int64_t depthBytes;

  int64_t rows() const { return down * tokens * kFragmentTokens; }
  int64_t threads() const { return 32 * across * down; }
  int64_t steps() const { return depthBytes / kLoadBytes; }
  /// From one row of weights to the next: two neighbours are in different halves of the banks.
  int64_t pitch() const { return llvm::alignTo(depthBytes, 2 * kLoadBytes) + kLoadBytes; }
  int64_t weightBytes() const { return columns * pitch(); }
  SumLayout sums() const { return {rows(), columns, /*parts=*/1, /*warps=*/1}; }
  int64_t sharedBytes() const { return weightBytes() + sums().bytes(); }
};

std::optional<HeadLayout> layoutOf(int64_t columns, int64_t rows, int64_t depthBytes,
                                   int64_t sharedBytes) {
  HeadLayout layout;
  layout.columns = columns;
  layout.down = rows >= 32 ? 2 : 1;
  layout.tokens = rows / kFragmentTokens / layout.down;
  layout.across = kMostWarps / layout.down;
  while (columns / kFragmentRows % layout.across)
    layout.across /= 2;
  layout.fragments = columns / kFragmentRows / layout.across;
  layout.depthBytes = depthBytes;
  const bool fits =
      layout.fragments * layout.tokens <= kMostSums && layout.sharedBytes() <= sharedBytes;
  return fits ? std::optional(layout) : std::nullopt;
}

/// As many columns of a head as fit, and as many rows, up to `rows`, as fit beside them.
std::optional<HeadLayout> chooseLayout(const LinearProblem &problem, const LinearEpilogue &epilogue,
                                       int64_t rows, const CudaTarget &target) {
  const int64_t unit = epilogue.quantized() ? epi::kScaleBlock : kFragmentRows;
  const int64_t depthBytes = problem.depth * kElementBytes;
  for (int64_t columns = problem.outputs; columns % unit == 0; columns /= 2)
    for (int64_t fewer = rows; fewer >= kFragmentTokens; fewer /= 2)
      if (auto layout = layoutOf(columns, fewer, depthBytes, target.sharedBytes))
        return layout;
  return std::nullopt;
}

class HeadBlock {
public:
  HeadBlock(KernelFrame &frame, const LinearProblem &problem, const LinearEpilogue &epilogue,
            const HeadLayout &layout)
      : frame(frame), e(frame.e), problem(problem), epilogue(epilogue), layout(layout),
        weights(e.sharedMemory()), sums(e.offset(weights, layout.weightBytes())),
        warpAcross(e.warp() % layout.across), warpDown(e.warp() / layout.across),
        group(e.lane() / 4), quad(e.lane() % 4) {}

  void emit() {
    e.allowNext();
    const int64_t tiles = problem.outputs / layout.columns;
    tile.matrix = e.blockId() / tiles;
    tile.column = e.blockId() % tiles * layout.columns;
    copyWeights();
    e.waitForPrevious();
    tile.rowEnd = frame.rows();
    e.forEach(e.i32(0), tile.rowEnd, e.i32(layout.rows()), [&](Val first) {
      tile.row = first;
      keep(multiply());
      e.syncThreads();
      epilogue.quantized()
          ? storeQuantized()
          : SumStore(frame, epilogue, layout.sums()).store(tile, sums, e.threadId(), threads());
    });
    waitForAsync(e, 0); // Also where there are no rows.
  }

private:
  int64_t threads() const { return layout.threads(); }

  void copyWeights() {
    Val first = tile.matrix * problem.outputs + tile.column;
    const GlobalRows rows{e.at(frame.rowAddress(problem.w, e.i32(0)), first, layout.depthBytes),
                          layout.columns, layout.depthBytes, layout.depthBytes};
    copyRows(e, {e.threadId(), threads()}, rows, weights, layout.pitch(), e.i32(layout.columns));
    commitAsync(e);
  }

  /// The sums of the warp's columns and rows, of the rows from tile.row on.
  Vals multiply() {
    const int64_t accumulators = layout.fragments * layout.tokens;
    const int64_t ways = std::max<int64_t>(kTogether / accumulators, 1);
    SmallVector<Vals> ofWay(ways, Vals(accumulators * 4, e.f32(0.0)));
    const int64_t chunk = std::max<int64_t>(kChunkLoads / layout.tokens, 1);
    const Vals sources = rowSources();
    SmallVector<Vals> x;
    auto load = [&](int64_t from) {
      for (int64_t step = from; step < std::min(from + chunk, layout.steps()); ++step)
        x.push_back(loadRows(sources, step));
    };
    load(0);
    load(chunk);
    // All weights are there, and the sums of the rows before have been stored.
    waitForAsync(e, 0);
    e.syncThreads();
    for (int64_t step = 0; step < layout.steps(); ++step) {
      if (step > 0 && step % chunk == 0)
        load(step + chunk);
      multiplyLoad(ofWay[step % ways], loadWeights(step), x[step], /*isFp8=*/false);
    }
    for (int64_t way = 1; way < ways; ++way)
      for (auto [sum, more] : llvm::zip_equal(ofWay[0], ofWay[way]))
        sum = sum + more;
    return ofWay[0];
  }

  /// The lane's part of its row of each 8 of the warp. Rows past the last are read as the last.
  Vals rowSources() {
    Vals sources;
    for (int64_t i = 0; i < layout.tokens; ++i) {
      Val inTile = (warpDown * layout.tokens + i) * kFragmentTokens + group;
      Val row = e.minimum(tile.row + inTile, tile.rowEnd - 1);
      Val head =
          e.at(frame.rowAddress(problem.x, row), tile.matrix, problem.x.strides[0] * kElementBytes);
      sources.push_back(e.at(head, quad, kLaneBytes));
    }
    return sources;
  }

  Vals loadRows(ArrayRef<Val> sources, int64_t step) {
    Vals words;
    for (Val source : sources)
      words.append(e.elements(e.load(e.vector(e.i32(), 4), e.offset(source, step * kLoadBytes),
                                     LoadHint::Plain, kLaneBytes)));
    return words;
  }

  Vals loadWeights(int64_t step) {
    Val row = warpAcross * (layout.fragments * kFragmentRows) + group;
    Val source = e.at(e.at(weights, row, layout.pitch()), quad, kLaneBytes);
    Vals words;
    for (int64_t below = 0; below < layout.fragments * kFragmentRows; below += kFragmentRows / 2)
      words.append(e.elements(e.load(e.vector(e.i32(), 4),
                                     e.offset(source, below * layout.pitch() + step * kLoadBytes),
                                     LoadHint::Plain, kLaneBytes)));
    return words;
  }

  /// Leaves the warp's sums where threads find whole rows.
  void keep(ArrayRef<Val> values) {
    const int64_t pitch = layout.sums().pitch();
    Val row = warpDown * (layout.tokens * kFragmentTokens) + quad * 2;
    Val corner =
        e.at(sums, row * pitch + warpAcross * (layout.fragments * kFragmentRows) + group, 4);
    for (auto [index, value] : llvm::enumerate(values)) {
      const auto reg = static_cast<int64_t>(index) % 4, of = static_cast<int64_t>(index) / 4;
      const int64_t inRow = of % layout.tokens * kFragmentTokens + reg % 2;
      const int64_t column = of / layout.tokens * kFragmentRows + reg / 2 * (kFragmentRows / 2);
      e.store(value, e.offset(corner, (inRow * pitch + column) * 4));
    }
  }

  /// Rows that do not exist are evaluated as the last, so that all lanes take part, and not stored.
  void storeQuantized() {
    const int64_t across = layout.columns / kQuantized, pieces = layout.rows() * across;
    for (int64_t first = 0; first < pieces; first += threads()) {
      Val piece = e.threadId() + first;
      e.ifThen(piece < pieces, [&] { quantizePiece(piece / across, piece % across * kQuantized); });
    }
  }

  void quantizePiece(Val inTile, Val column) {
    Val row = tile.row + inTile, exists = row < tile.rowEnd;
    Vals values = loadFloats(e, e.f32(), e.at(sums, inTile * layout.sums().pitch() + column, 4),
                             kQuantized, 16);
    const ResultPlace place{e.minimum(row, tile.rowEnd - 1), tile.matrix, tile.column + column,
                            kQuantized};
    const SmallVector<Vals> evaluated = epilogue.evaluate(frame, values, place);
    for (auto [yielded, of] : llvm::zip_equal(epilogue.yielded(), evaluated))
      if (yielded.result)
        e.ifThen(exists, [&] { epilogue.storeValues(frame, yielded, of, place); });
      else
        epilogue.storeQuantized(frame, of, place, exists);
  }

  KernelFrame &frame;
  Emitter &e;
  const LinearProblem &problem;
  const LinearEpilogue &epilogue;
  const HeadLayout &layout;
  Val weights, sums;
  Val warpAcross, warpDown;
  Val group, quad; ///< the lane's row in a fragment, and its place among the four of the row
  BlockTile tile;
};

bool isAligned(int64_t elements) { return elements * kElementBytes % kLaneBytes == 0; }

} // namespace

bool canBeOfHeads(const LinearProblem &problem, const LinearEpilogue &epilogue,
                  const CudaTarget &target) {
  return problem.kind == LinearKind::Heads && problem.xType().isBF16() &&
         problem.wType().isBF16() && problem.depth * kElementBytes % kLoadBytes == 0 &&
         isAligned(problem.w.offset) && isAligned(problem.x.offset) &&
         isAligned(problem.x.rowStride) && isAligned(problem.x.strides[0]) &&
         epilogue.parts() == 1 && chooseLayout(problem, epilogue, kRows[0], target);
}

void addHeadLinear(KernelAssembly &assembly, const LinearProblem &problem,
                   const LinearEpilogue &epilogue) {
  SmallVector<HeadLayout> layouts;
  for (int64_t rows : kRows) {
    const HeadLayout layout = *chooseLayout(problem, epilogue, rows, assembly.target);
    if (layouts.empty() || layout.rows() > layouts.back().rows())
      layouts.push_back(layout);
  }
  for (const HeadLayout &layout : layouts) {
    const bool isLast = &layout == &layouts.back();
    FunctionSpec spec;
    spec.suffix = "heads" + std::to_string(layout.rows());
    spec.threads = layout.threads();
    spec.sharedBytes = layout.sharedBytes();
    spec.rowTile = 0;
    spec.columnTiles = problem.matrices * (problem.outputs / layout.columns);
    assembly.beginVariant(isLast ? 0 : layout.rows());
    assembly.addFunction(
        spec, [&](KernelFrame &frame) { HeadBlock(frame, problem, epilogue, layout).emit(); });
  }
}

} // namespace epigraph::cuda
