// Attention of one token of each sequence, whose time is that of reading the cache. A block takes
// the query heads of one key-value head, up to 16 of them as the rows of one product, for the pages
// of one item. Its warps share each page by tokens: every warp streams its own quarter through its
// own ring in shared memory, with a softmax of its own, so that none waits for another until the
// item's end, when their results are put together.
#include "codegen/cuda/AttentionOperands.h"
#include "codegen/cuda/GroupedQueries.h"
#include "codegen/cuda/Hopper.h"
#include "codegen/cuda/PagedCache.h"
#include "codegen/cuda/WarpProducts.h"

#include <algorithm>
#include <numbers>

using namespace mlir;

namespace epigraph::cuda {
namespace {

constexpr int64_t kWarps = 4;
constexpr int64_t kThreads = kWarps * 32;
/// Tokens of a page that a warp takes.
constexpr int64_t kTokens = kPageTokens / kWarps;
/// Steps of a warp's ring: all but one are on their way while one is computed.
constexpr int64_t kStages = 3;
constexpr int64_t kRows = WarpAttention::kQueries;
constexpr int64_t kFloatBytes = sizeof(float);

/// Where things lie in a block's shared memory. The results of the warps take the place of their
/// rings in the end.
struct SharedLayout {
  explicit SharedLayout(const GroupedQueries &problem)
      : queryBytes(kRows * paddedRowBytes(problem.key * 2)),
        stepBytes(kTokens * (paddedRowBytes(problem.key * 2) + paddedRowBytes(problem.value * 2))),
        // A few floats apart, so that rows do not meet in the same banks.
        sumStride(problem.value * kFloatBytes + 32) {}

  int64_t ring() const { return queryBytes; }
  int64_t ringBytes() const { return kStages * stepBytes; } ///< of a warp
  int64_t sums() const { return queryBytes; }
  int64_t maxima() const { return sums() + kWarps * kRows * sumStride; }
  int64_t totals() const { return maxima() + kWarps * kRows * kFloatBytes; }
  int64_t bytes() const {
    return std::max(ring() + kWarps * ringBytes(), totals() + kWarps * kRows * kFloatBytes);
  }

  int64_t queryBytes, stepBytes, sumStride;
};

/// One item and the query heads [firstHead, firstHead + kRows) of one key-value head.
class TokenBlock {
public:
  TokenBlock(KernelFrame &frame, const GroupedQueries &problem)
      : frame(frame), e(frame.e), problem(problem), layout(problem),
        warp{e, problem.key, problem.value, kTokens, problem.scale}, shared(e.sharedMemory()) {}

  void emit(const ItemValues &theItem, Val theKeyHead, Val theFirstHead) {
    item = theItem;
    keyHead = theKeyHead;
    firstHead = theFirstHead;
    findPages();
    // The step's arrays were there before its first kernel, and so was the cache but for the last
    // tokens.
    firstCopies(/*ofOld=*/true);
    commitAsync(e);
    e.waitForPrevious();
    Val heads = (keyHead + 1) * problem.headsOfKey() - firstHead;
    copyQueries(heads);
    firstCopies(/*ofOld=*/false);
    meetWithQueries();
    if (problem.rotation)
      rotateQueries(*problem.rotation);
    shareResult(attendPages());
    forResult(heads);
  }

private:
  void findPages() {
    table = pageTableOf(frame, item.sequence);
    lastPage = item.firstPage + item.pages;
    firstPage = item.firstPage;
    if (problem.window) {
      Val start = e.maximum(item.position - (*problem.window - 1), e.i32(0));
      firstPage = e.minimum(e.maximum(firstPage, start / kPageTokens), lastPage);
    }
    for (int64_t step = 0; step < kStages - 1; ++step)
      firstPhysical.push_back(physicalAt(firstPage + step));
  }

  void copyQueries(Val heads) {
    const CopyThreads threads{e.threadId(), kThreads};
    copyRows(e, threads, headsOfRow(frame, problem.q, item.token, firstHead, kRows), shared,
             warp.keyStride(), heads);
    if (problem.qEnd)
      copyRows(e, threads, headsOfRow(frame, *problem.qEnd, item.token, firstHead, kRows),
               e.offset(shared, problem.q.shape.back() * 2), warp.keyStride(), heads);
  }

  void rotateQueries(const QueryRotation &rotation) {
    const int64_t shares = rotation.shares(), start = problem.q.shape.back() * 2;
    e.forEach(e.threadId(), e.i32(kRows * shares), e.i32(kThreads), [&](Val unit) {
      Val share = unit % shares;
      Val end = e.offset(e.at(shared, unit / shares, warp.keyStride()), start);
      rotation.turn(rotation.load(frame, item.position, share), share,
                    [&](Val number) { return e.at(end, number, 16); });
    });
    e.syncThreads();
  }

  /// Starts the copies of all steps of the ring but one: of pages that the step does not write, or
  /// of the others, which it commits.
  void firstCopies(bool ofOld) {
    Val old = e.minimum(oldPages(frame, item.position), lastPage);
    for (int64_t step = 0; step < kStages - 1; ++step) {
      Val page = firstPage + step;
      Val isHere = ofOld ? page < old : e.logicalAnd(page >= old, page < lastPage);
      e.ifThen(isHere, [&] { copyStep(page, e.i32(step), firstPhysical[step]); });
      if (!ofOld)
        commitAsync(e);
    }
  }

  /// The warp's attention to its part of the item's pages.
  WarpState attendPages() {
    Vals carried = warp.initial().pack();
    carried.push_back(physicalAt(firstPage + (kStages - 1)));
    Vals state = e.forLoop(
        firstPage, lastPage, e.i32(1), carried, [&](Val page, ArrayRef<Val> values) -> Vals {
          Val step = page - firstPage, ahead = page + (kStages - 1);
          // The page after that is looked up now, to be there when its copy is to start.
          Val next = physicalAt(ahead + 1);
          startStep(ahead, (step + (kStages - 1)) % kStages, values.back());
          waitForAsync(e, kStages - 1);
          e.syncWarp();
          Vals yielded = addStep(page, step % kStages, values.drop_back()).pack();
          e.syncWarp(); // The next copy goes where this step was.
          yielded.push_back(next);
          return yielded;
        });
    return WarpState::unpack(ArrayRef(state).drop_back());
  }

  /// The queries' copies are in the group of the first step; all warps read all of them.
  void meetWithQueries() {
    waitForAsync(e, kStages - 2);
    e.syncThreads();
  }

  /// The physical page of `page`, or that of the last one beyond it.
  Val physicalAt(Val page) {
    return physicalPage(e, table, e.minimum(page, e.maximum(lastPage - 1, e.i32(0))));
  }

  Val stageAddress(Val stage) {
    return e.offset(shared,
                    e.warp() * layout.ringBytes() + stage * layout.stepBytes + layout.ring());
  }

  /// Starts the copies of the warp's tokens of `page`, if the item has it, and commits.
  void startStep(Val page, Val stage, Val physical) {
    e.ifThen(page < lastPage, [&] { copyStep(page, stage, physical); });
    commitAsync(e);
  }

  void copyStep(Val page, Val stage, Val physical) {
    const CopyThreads threads{e.lane(), 32};
    Val first = e.warp() * kTokens;
    Val tokens = item.position + 1 - page * kPageTokens - first;
    Val keys = stageAddress(stage), values = e.offset(keys, kTokens * warp.keyStride());
    copyRows(e, threads, problem.keys(frame, physical, first, keyHead, kTokens), keys,
             warp.keyStride(), tokens);
    copyRows(e, threads, problem.values(frame, physical, first, keyHead, kTokens), values,
             warp.valueStride(), tokens);
  }

  WarpState addStep(Val page, Val stage, ArrayRef<Val> carried) {
    Val keys = stageAddress(stage);
    Vals scores = warp.score(shared, keys);
    // The last column that the token sees.
    Val last = item.position - page * kPageTokens - e.warp() * kTokens;
    maskScores(scores, {last, last}, problem.window);
    return warp.add(WarpState::unpack(carried), scores, e.offset(keys, kTokens * warp.keyStride()));
  }

  /// Writes the warp's maxima, totals and sums to shared memory, where all threads see them.
  void shareResult(const WarpState &state) {
    waitForAsync(e, 0);
    e.syncThreads(); // No warp reads its ring any more.
    for (size_t half = 0; half < 2; ++half) {
      Val row = e.warp() * kRows + e.lane() / 4 + static_cast<int64_t>(half * 8);
      Val total = e.warpSum(state.softmax.total[half], 4);
      e.ifThen(e.lane() % 4 == 0, [&] {
        e.store(state.softmax.maximum[half],
                e.at(e.offset(shared, layout.maxima()), row, kFloatBytes));
        e.store(total, e.at(e.offset(shared, layout.totals()), row, kFloatBytes));
      });
      Val sums = e.at(e.offset(shared, layout.sums()), row, layout.sumStride);
      for (size_t i = half * 2; i < state.sums.size(); i += 4)
        e.store(e.pack({state.sums[i], state.sums[i + 1]}),
                e.at(sums, columnOfSum(e, static_cast<int64_t>(i)), kFloatBytes));
    }
    e.syncThreads();
  }

  /// Puts the warps' results together, pairs of columns of the first `heads` rows.
  void forResult(Val heads) {
    const int64_t pairs = problem.value / 2;
    Val units = e.minimum(heads, e.i32(kRows)) * pairs;
    e.forEach(e.threadId(), units, e.i32(kThreads),
              [&](Val unit) { storePair(unit / pairs, (unit % pairs) * 2); });
  }

  void storePair(Val row, Val column) {
    auto read = [&](int64_t from, int64_t of) {
      Val at = e.offset(shared, from + of * kRows * kFloatBytes);
      return e.load(e.f32(), e.at(at, row, kFloatBytes));
    };
    Val highest = read(layout.maxima(), 0);
    for (int64_t of = 1; of < kWarps; ++of)
      highest = e.maximum(highest, read(layout.maxima(), of));
    Val total = sinkWeight(firstHead + row, highest), first = e.f32(0.0), second = e.f32(0.0);
    for (int64_t of = 0; of < kWarps; ++of) {
      Val weight = e.exp2(read(layout.maxima(), of) - highest);
      Val sums = e.at(e.offset(shared, layout.sums() + of * kRows * layout.sumStride), row,
                      layout.sumStride);
      Val pair = e.load(e.vector(e.f32(), 2), e.at(sums, column, kFloatBytes));
      total = e.fma(weight, read(layout.totals(), of), total);
      first = e.fma(weight, e.element(pair, 0), first);
      second = e.fma(weight, e.element(pair, 1), second);
    }
    // A window may leave nothing of the item's pages.
    Val inverse = e.select(total > e.f32(0.0), e.reciprocal(total), e.f32(0.0));
    storeMean(row, column, {first * inverse, second * inverse}, highest + e.log2(total));
  }

  /// The weight of the sink, which is in the item that has the token's last page, or 0.
  Val sinkWeight(Val head, Val highest) {
    Val sink = problem.sink(frame, head);
    if (!sink)
      return e.f32(0.0);
    Val hasLast = (item.firstPage + item.pages) * kPageTokens > item.position;
    return e.select(hasLast, e.exp2(sink * e.f32(std::numbers::log2e) - highest), e.f32(0.0));
  }

  void storeMean(Val row, Val column, ArrayRef<Val> mean, Val logarithm) {
    Val head = firstHead + row;
    e.ifElse(
        item.partials == 1,
        [&] { problem.store(frame, item.token, head, column, mean[0], mean[1]); },
        [&] {
          const AttentionPartials partials{problem.heads, problem.value, e.f32()};
          e.store(e.pack(mean),
                  e.at(partials.means(frame, item.partial, head), column, kFloatBytes));
          e.ifThen(column == 0,
                   [&] { e.store(logarithm, partials.logarithm(frame, item.partial, head)); });
        });
  }

  KernelFrame &frame;
  Emitter &e;
  const GroupedQueries &problem;
  SharedLayout layout;
  WarpAttention warp;
  Val shared;
  ItemValues item;
  Val keyHead, firstHead;
  Val table, firstPage, lastPage;
  Vals firstPhysical; ///< the pages of the ring's first steps
};

} // namespace

void addTokenAttention(KernelAssembly &assembly, const GroupedQueries &problem) {
  const int64_t blocksOfKey = llvm::divideCeil(problem.headsOfKey(), kRows);
  const int64_t columns = problem.keyHeads * blocksOfKey;
  FunctionSpec spec;
  spec.suffix = "tokens";
  spec.threads = kThreads;
  spec.grid = DeviceGrid::TokenItems;
  spec.columnTiles = columns;
  spec.sharedBytes = SharedLayout(problem).bytes();
  assembly.addFunction(spec, [&](KernelFrame &frame) {
    Emitter &e = frame.e;
    e.allowNext();
    Val index = e.blockId() / columns, column = e.blockId() % columns;
    Val keyHead = column / blocksOfKey;
    Val firstHead = keyHead * problem.headsOfKey() + (column % blocksOfKey) * kRows;
    Val exists = index < itemCount(frame, kTokenItems);
    // As waitIfHasWork; blocks with an item wait later.
    e.ifElse(
        exists,
        [&] {
          ItemValues item = loadItem(frame, kTokenItems, index);
          TokenBlock(frame, problem).emit(item, keyHead, firstHead);
        },
        [&] { e.ifThen(e.blockId() == 0, [&] { e.waitForPrevious(); }); });
  });
  const AttentionPartials partials{problem.heads, problem.value,
                                   Float32Type::get(assembly.kernel.getContext())};
  // Two blocks for each multiprocessor: one is about its item's start or end while the other reads.
  const int64_t cores = assembly.target.multiprocessors;
  const int64_t items = std::clamp<int64_t>(2 * cores / columns, 1, cores);
  needPartials(assembly, partials, items);
  addAttentionMerge(assembly, partials, problem.result);
}

} // namespace epigraph::cuda
