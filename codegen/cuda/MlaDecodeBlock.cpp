// The parts of a block: barriers, the warpgroup that fetches, and which warpgroup does what.
#include "codegen/cuda/MlaDecodeBlock.h"

using namespace mlir;

namespace epigraph::cuda {

ArrayRef<int64_t> MlaDecodeBlock::chunksOf(Group group) {
  static constexpr int64_t left[] = {0, 1, 2, 3, 8}, middle[] = {4, 5}, right[] = {6, 7};
  return group == kLeft ? ArrayRef(left) : group == kMiddle ? ArrayRef(middle) : ArrayRef(right);
}

MlaDecodeBlock::MlaDecodeBlock(KernelFrame &frame, const MlaDecodeProblem &problem,
                               const AttentionPartials &partials)
    : frame(frame), e(frame.e), problem(problem), partials(partials) {}

void MlaDecodeBlock::emit() {
  const int64_t headGroups = llvm::divideCeil(problem.heads, kHeads);
  shared = e.sharedMemory();
  base = e.sharedAddress(shared);
  thread = e.threadId() % kWarpgroup;
  lane = e.lane();
  row = thread / 32 * 16 + lane / 4;
  column = lane % 4;
  headGroup = e.blockId() % headGroups;
  Val warpgroup = e.threadId() / kWarpgroup;
  Val isFetcher = e.threadId() == 2 * kWarpgroup;
  e.ifThen(isFetcher, [&] { prepareBarriers(); });
  e.allowNext();

  // The step's arrays were there before its first kernel: only what other kernels make is waited
  // for.
  Val index = e.blockId() / headGroups;
  Val exists = index < itemCount(frame, kTokenItems);
  item = loadItem(frame, kTokenItems, index);
  table = e.at(pageTableOf(frame, item.sequence), item.firstPage, sizeof(int32_t));
  // The cache was, too, but for the last tokens.
  Val old = e.maximum(oldPages(frame, item.position) - item.firstPage, e.i32(0));
  early = e.minimum(old, e.minimum(item.pages, e.i32(kStages)));
  e.ifThen(e.logicalAnd(isFetcher, exists), [&] { fetchOldPages(); });
  waitIfHasWork(e, exists);
  e.ifThen(exists, [&] {
    e.ifThen(isFetcher, [&] { fetchQueries(); });
    e.syncThreads();
    e.ifElse(
        warpgroup == 2,
        [&] {
          lowerRegisters(e, 40);
          e.ifThen(thread == 0, [&] { fetchPages(); });
        },
        [&] {
          raiseRegisters(e, 232);
          e.ifElse(warpgroup == 0, [&] { runScores(); }, [&] { runValues(); });
        });
  });
}

void MlaDecodeBlock::prepareBarriers() {
  initBarrier(ropeBarrier(), 1);
  for (Group group : {kLeft, kMiddle, kRight}) {
    initBarrier(queriesBarrier(group), 1);
    for (int64_t stage = 0; stage < kStages; ++stage) {
      initBarrier(fullBarrier(group, e.i32(stage)), 1);
      initBarrier(emptyBarrier(group, e.i32(stage)), kWarpgroup / 32);
    }
  }
  fenceBarrierInit(e);
  fenceAsyncShared(e); // This thread fetches before the block meets.
  for (Map map : {kQueryMap, kRopeMap, kCacheMap})
    prefetchMap(frame.map(map));
}

Val MlaDecodeBlock::queriesBarrier(Group group) { return e.offset(shared, kBarriers + 8 * group); }
Val MlaDecodeBlock::ropeBarrier() { return e.offset(shared, kBarriers + 8 * kGroups); }

Val MlaDecodeBlock::fullBarrier(Group group, Val stage) {
  return e.at(e.offset(shared, kBarriers + 8 * (4 + group * kStages)), stage, 8);
}

Val MlaDecodeBlock::emptyBarrier(Group group, Val stage) {
  return e.at(e.offset(shared, kBarriers + 8 * (4 + (kGroups + group) * kStages)), stage, 8);
}

void MlaDecodeBlock::release(Group group, Val page) {
  e.ifThen(lane == 0, [&] { arrive(emptyBarrier(group, stageOf(page))); });
}

Val MlaDecodeBlock::pageAddress(Val page) { return base + stageOf(page) * kPage + kPages; }

/// What there is no room for, or may not be read yet, may be on its way to the second-level cache.
void MlaDecodeBlock::fetchOldPages() {
  e.forEach(e.i32(0), early, e.i32(1),
            [&](Val page) { fetchPage(page, physicalPage(e, table, page)); });
  e.forEach(early, e.minimum(early + kStages, item.pages), e.i32(1),
            [&](Val page) { prefetchPage(physicalPage(e, table, page)); });
}

/// The rope chunk first: it may have to be rotated.
void MlaDecodeBlock::fetchQueries() {
  auto fetch = [&](int64_t chunk, Map map, int64_t column, Val barrier) {
    copyBoxIn(e.offset(shared, kQueries + chunk * kChunk), frame.map(map),
              {e.i32(column), headGroup * kHeads, item.token}, barrier);
  };
  expectBytes(ropeBarrier(), e.i32(kChunk));
  fetch(kRopeChunk, kRopeMap, problem.qRope.offset, ropeBarrier());
  for (Group group : {kLeft, kMiddle, kRight}) {
    SmallVector<int64_t> chunks(chunksOf(group));
    llvm::erase(chunks, kRopeChunk);
    expectBytes(queriesBarrier(group), e.i32(static_cast<int64_t>(chunks.size()) * kChunk));
    for (int64_t chunk : chunks)
      fetch(chunk, kQueryMap, problem.q.offset + chunk * kChunkColumns, queriesBarrier(group));
  }
}

void MlaDecodeBlock::fetchPages() {
  auto physical = [&](Val page) { return physicalPage(e, table, e.minimum(page, item.pages - 1)); };
  e.forLoop(early, item.pages, e.i32(1), {physical(early), physical(early + 1)},
            [&](Val page, ArrayRef<Val> carried) {
              Val ahead = physical(page + kStages);
              fetchPage(page, carried[0]);
              e.ifThen(page + kStages < item.pages, [&] { prefetchPage(ahead); });
              return Vals{carried[1], ahead};
            });
}

void MlaDecodeBlock::fetchPage(Val page, Val physical) {
  Val stage = stageOf(page), parity = parityOf(page);
  Val target = e.at(e.offset(shared, kPages), stage, kPage);
  for (Group group : {kLeft, kMiddle, kRight}) {
    Val barrier = fullBarrier(group, stage);
    wait(emptyBarrier(group, stage), parity ^ 1);
    expectBytes(barrier, e.i32(static_cast<int64_t>(chunksOf(group).size()) * kChunk));
    for (int64_t chunk : chunksOf(group))
      copyBoxIn(e.offset(target, chunk * kChunk), frame.map(kCacheMap),
                {e.i32(chunk * kChunkColumns), physical * kPageTokens}, barrier);
  }
}

/// The blocks of an item share the page, and the work to prefetch it.
void MlaDecodeBlock::prefetchPage(Val physical) {
  const int64_t headGroups = llvm::divideCeil(problem.heads, kHeads);
  for (int64_t part = 0; part < std::min(headGroups, kChunks); ++part)
    e.ifThen(headGroup == part, [&] {
      for (int64_t chunk = part; chunk < kChunks; chunk += headGroups)
        prefetchBox(frame.map(kCacheMap), {e.i32(chunk * kChunkColumns), physical * kPageTokens});
    });
}

} // namespace epigraph::cuda
