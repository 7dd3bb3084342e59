#include "codegen/cuda/TokenBlock.h"

#include "codegen/cuda/Hopper.h"
#include "codegen/cuda/WarpProducts.h"

#include <algorithm>

using namespace mlir;

namespace epigraph::cuda {
namespace {

constexpr int64_t kFloatBytes = sizeof(float);

} // namespace

TokenLayout::TokenLayout(const GroupedQueries &problem, const TokenForm &form)
    : TokenForm(form), rows(std::min(problem.headsOfKey(), kRows)),
      hasHeadColumns(HeadColumns::fit(rows, problem.key)),
      queryBytes(kRows * paddedRowBytes(problem.key * 2)),
      stepBytes(tokens() * (paddedRowBytes(problem.key * 2) + paddedRowBytes(problem.value * 2))),
      // A few floats apart, so that rows do not meet in the same banks.
      sumStride(problem.value * kFloatBytes + (hasHeadColumns ? 16 : 32)) {}

int64_t TokenLayout::maxima() const { return sums() + warps * kRows * sumStride; }
int64_t TokenLayout::totals() const { return maxima() + warps * kRows * kFloatBytes; }
int64_t TokenLayout::bytes() const {
  return std::max(ring() + warps * ringBytes(), totals() + warps * kRows * kFloatBytes);
}

RowSums RowSums::of(ArrayRef<RowSums> parts) {
  Emitter &e = parts[0].total.owner();
  RowSums all{parts[0].maximum, e.f32(0.0), Vals(parts[0].sums.size(), e.f32(0.0))};
  for (const RowSums &part : parts)
    all.maximum = e.maximum(all.maximum, part.maximum);
  for (const RowSums &part : parts) {
    Val weight = e.exp2(part.maximum - all.maximum);
    all.total = e.fma(weight, part.total, all.total);
    for (auto [sum, value] : llvm::zip_equal(all.sums, part.sums))
      sum = e.fma(weight, value, sum);
  }
  return all;
}

Vals RowSums::means() const {
  Emitter &e = total.owner();
  // A window may leave nothing to see.
  Val inverse = e.select(total > e.f32(0.0), e.reciprocal(total), e.f32(0.0));
  Vals means;
  for (Val sum : sums)
    means.push_back(sum * inverse);
  return means;
}

TokenBlock::TokenBlock(KernelFrame &frame, const GroupedQueries &problem, const TokenLayout &layout)
    : frame(frame), e(frame.e), problem(problem), layout(layout),
      warp{e, problem.key, problem.value, layout.tokens(), problem.scale}, columns{warp},
      shared(e.sharedMemory()) {}

void TokenBlock::attend(const TokenPages &thePages, Val theKeyHead, Val firstHead,
                        llvm::function_ref<void()> beforeWait) {
  pages = thePages;
  keyHead = theKeyHead;
  heads = e.minimum((keyHead + 1) * problem.headsOfKey() - firstHead, e.i32(TokenLayout::kRows));
  findPages();
  // The step's arrays were there before its first kernel, and so was the cache but for the last
  // tokens.
  firstCopies(/*ofOld=*/true);
  commitAsync(e);
  beforeWait();
  e.waitForPrevious();
  const CopyThreads all{e.threadId(), layout.threads()};
  problem.copyQueries(frame, all, pages.token, firstHead, heads, shared, warp.keyStride());
  firstCopies(/*ofOld=*/false);
  meetWithQueries();
  problem.rotateQueries(frame, all, pages.position, shared, warp.keyStride());
  if (layout.hasHeadColumns)
    queries = columns.load(shared);
  shareResult(attendPages());
}

void TokenBlock::findPages() {
  table = pageTableOf(frame, pages.sequence);
  steps = e.ceilDiv(e.maximum(pages.end - pages.first, e.i32(0)), pages.step);
  for (int64_t step = 0; step < layout.stages - 1; ++step)
    firstPhysical.push_back(physicalAt(e.i32(step)));
}

/// Starts the copies of all steps of the ring but one: of pages that the step does not write, or of
/// the others, which it commits. Those are on their way to the second-level cache by then.
void TokenBlock::firstCopies(bool ofOld) {
  Val old = e.minimum(oldPages(frame, pages.position), pages.end);
  for (int64_t step = 0; step < layout.stages - 1; ++step) {
    Val page = pages.first + step * pages.step, physical = firstPhysical[step];
    Val isOld = page < old, isNew = e.logicalAnd(page >= old, page < pages.end);
    e.ifThen(ofOld ? isOld : isNew, [&] { copyStep(page, e.i32(step), physical); });
    if (ofOld)
      e.ifThen(isNew, [&] { prefetchStep(physical); });
    else
      commitAsync(e);
  }
}

/// The warp's attention to its part of the pages.
WarpState TokenBlock::attendPages() {
  const int64_t ahead = layout.stages - 1;
  Vals carried = (layout.hasHeadColumns ? columns.initial() : warp.initial()).pack();
  carried.push_back(physicalAt(e.i32(ahead)));
  Vals state =
      e.forLoop(e.i32(0), steps, e.i32(1), carried, [&](Val step, ArrayRef<Val> values) -> Vals {
        // The page after that is looked up now, to be there when its copy is to start.
        Val next = physicalAt(step + (ahead + 1));
        startStep(step + ahead, (step + ahead) % layout.stages, values.back());
        waitForAsync(e, ahead);
        e.syncWarp();
        Vals yielded =
            addStep(pages.first + step * pages.step, step % layout.stages, values.drop_back())
                .pack();
        e.syncWarp(); // The next copy goes where this step was.
        yielded.push_back(next);
        return yielded;
      });
  return WarpState::unpack(ArrayRef(state).drop_back());
}

/// The queries' copies are in the group of the first step; all warps read all of them.
void TokenBlock::meetWithQueries() {
  waitForAsync(e, layout.stages - 2);
  e.syncThreads();
}

/// The physical page of step `step`, or that of the last page beyond it.
Val TokenBlock::physicalAt(Val step) {
  Val page = e.minimum(pages.first + step * pages.step, pages.end - 1);
  return physicalPage(e, table, e.maximum(page, e.i32(0)));
}

Val TokenBlock::stageAddress(Val stage) {
  return e.offset(shared, e.warp() * layout.ringBytes() + stage * layout.stepBytes + layout.ring());
}

/// Starts the copies of the warp's tokens of step `step`, if there is one, and commits.
void TokenBlock::startStep(Val step, Val stage, Val physical) {
  e.ifThen(step < steps, [&] { copyStep(pages.first + step * pages.step, stage, physical); });
  commitAsync(e);
}

/// The first token of a page that the warp takes.
Val TokenBlock::firstOfWarp() { return e.warp() % layout.team * layout.tokens(); }

GlobalRows TokenBlock::keysOf(Val physical) {
  return problem.keys(frame, physical, firstOfWarp(), keyHead, layout.tokens());
}

GlobalRows TokenBlock::valuesOf(Val physical) {
  return problem.values(frame, physical, firstOfWarp(), keyHead, layout.tokens());
}

void TokenBlock::copyStep(Val page, Val stage, Val physical) {
  const CopyThreads threads{e.lane(), 32};
  Val tokens = pages.position + 1 - page * kPageTokens - firstOfWarp();
  Val keys = stageAddress(stage), values = e.offset(keys, layout.tokens() * warp.keyStride());
  copyRows(e, threads, keysOf(physical), keys, warp.keyStride(), tokens);
  copyRows(e, threads, valuesOf(physical), values, warp.valueStride(), tokens);
}

void TokenBlock::prefetchStep(Val physical) {
  const CopyThreads threads{e.lane(), 32};
  prefetchRows(e, threads, keysOf(physical));
  if (!problem.valuesInKeys)
    prefetchRows(e, threads, valuesOf(physical));
}

WarpState TokenBlock::addStep(Val page, Val stage, ArrayRef<Val> carried) {
  Val keys = stageAddress(stage), values = e.offset(keys, layout.tokens() * warp.keyStride());
  WarpState state = WarpState::unpack(carried);
  // The last of these that the token sees.
  Val last = pages.position - page * kPageTokens - firstOfWarp();
  if (layout.hasHeadColumns) {
    Vals scores = columns.score(queries, keys);
    columns.mask(scores, last, problem.window);
    return columns.add(state, scores, values);
  }
  Vals scores = warp.score(shared, keys);
  maskScores(scores, {last, last}, problem.window);
  return warp.add(state, scores, values);
}

/// Writes the warp's maxima, totals and sums to shared memory, where all threads see them.
void TokenBlock::shareResult(const WarpState &state) {
  waitForAsync(e, 0);
  e.syncThreads(); // No warp reads its ring any more.
  layout.hasHeadColumns ? shareColumns(state) : shareRows(state);
  e.syncThreads();
}

void TokenBlock::shareRows(const WarpState &state) {
  for (size_t half = 0; half < 2; ++half) {
    Val row = e.lane() / 4 + static_cast<int64_t>(half * 8);
    Val total = e.warpSum(state.softmax.total[half], 4);
    Val ofWarp = e.warp() * TokenLayout::kRows + row;
    e.ifThen(e.lane() % 4 == 0, [&] {
      e.store(state.softmax.maximum[half], placeOfRow(layout.maxima(), ofWarp));
      e.store(total, placeOfRow(layout.totals(), ofWarp));
    });
    Val sums = e.at(e.offset(shared, layout.sums()), ofWarp, layout.sumStride);
    for (size_t i = half * 2; i < state.sums.size(); i += 4)
      e.store(e.pack({state.sums[i], state.sums[i + 1]}),
              e.at(sums, columnOfSum(e, static_cast<int64_t>(i)), kFloatBytes));
  }
}

void TokenBlock::shareColumns(const WarpState &state) {
  const RowPair &maxima = state.softmax.maximum, &totals = state.softmax.total;
  const Vals sumsOfHeads{columns.sumOverRows(totals[0]), columns.sumOverRows(totals[1])};
  Val first = e.warp() * TokenLayout::kRows, head = first + e.lane() % 4 * 2;
  e.ifThen(e.lane() < 4, [&] {
    e.store(e.pack({maxima[0], maxima[1]}), placeOfRow(layout.maxima(), head));
    e.store(e.pack(sumsOfHeads), placeOfRow(layout.totals(), head));
  });
  columns.store(state.sums, e.at(e.offset(shared, layout.sums()), first, layout.sumStride),
                layout.sumStride);
}

/// Where the maximum or the total of row `row`, counted over all warps, is, as `from` says where
/// they lie.
Val TokenBlock::placeOfRow(int64_t from, Val row) {
  return e.at(e.offset(shared, from), row, kFloatBytes);
}

RowSums TokenBlock::sumsOf(Val row, Val column, int64_t count) {
  SmallVector<RowSums> ofWarps;
  for (int64_t of = 0; of < layout.warps; ++of) {
    Val ofWarp = row + of * TokenLayout::kRows;
    RowSums sums{e.load(e.f32(), placeOfRow(layout.maxima(), ofWarp)),
                 e.load(e.f32(), placeOfRow(layout.totals(), ofWarp)),
                 {}};
    Val first = e.offset(shared, layout.sums() + of * TokenLayout::kRows * layout.sumStride);
    Val at = e.at(e.at(first, row, layout.sumStride), column, kFloatBytes);
    if (count > 0)
      sums.sums = e.elements(e.load(e.vector(e.f32(), count), at));
    ofWarps.push_back(sums);
  }
  return RowSums::of(ofWarps);
}

} // namespace epigraph::cuda
