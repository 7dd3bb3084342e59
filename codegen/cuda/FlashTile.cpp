#include "codegen/cuda/FlashTile.h"

#include "codegen/cuda/Hopper.h"
#include "codegen/cuda/WarpProducts.h"

using namespace mlir;

namespace epigraph::cuda {

void FlashTile::attend(const ItemValues &item, Val sink, LoadPage loadPage) {
  Val last = item.firstPage + item.pages, first = item.firstPage;
  if (window) {
    // The window of the first token begins first.
    Val start = e.maximum(item.position - (*window - 1), e.i32(0));
    first = e.minimum(e.maximum(first, start / kPageTokens), last);
  }
  e.ifThen(first < last, [&] { startPage(item, first, loadPage, e.i32(0)); });
  commitAsync(e);
  Val queriesOfWarp = e.offset(shared, e.warp() * (WarpAttention::kQueries * warp.keyStride()));
  Vals state = e.forLoop(
      first, last, e.i32(1), warp.initial().pack(), [&](Val page, ArrayRef<Val> carried) -> Vals {
        Val stage = (page - first) % 2;
        e.ifThen(page + 1 < last, [&] { startPage(item, page + 1, loadPage, stage ^ 1); });
        commitAsync(e);
        waitForAsync(e, 1);
        e.syncThreads();
        Val keys = stageAddress(stage);
        Vals scores = mask(item, page, warp.score(queriesOfWarp, keys));
        WarpState next = warp.add(WarpState::unpack(carried), scores,
                                  e.offset(keys, kPageTokens * warp.keyStride()));
        e.syncThreads(); // The next page but one is copied over this one.
        return next.pack();
      });
  result = WarpState::unpack(state);
  totals = result.softmax.finalTotals(sink);
}

void FlashTile::forResult(const ItemValues &item,
                          llvm::function_ref<void(Val, Val, Val, Val)> store) {
  for (size_t half = 0; half < 2; ++half) {
    Val query = row + static_cast<int64_t>(half * 8);
    e.ifThen(query < item.tokens, [&] {
      Val inverse = e.reciprocal(totals[half]);
      for (size_t i = half * 2; i < result.sums.size(); i += 4)
        store(query, columnOfSum(e, static_cast<int64_t>(i)), result.sums[i] * inverse,
              result.sums[i + 1] * inverse);
    });
  }
}

Val FlashTile::stageAddress(Val stage) {
  return e.offset(shared, stage * warp.stepBytes() + kAttentionTile * warp.keyStride());
}

void FlashTile::startPage(const ItemValues &item, Val page, LoadPage loadPage, Val stage) {
  Val keys = stageAddress(stage);
  Val values = e.offset(keys, kPageTokens * warp.keyStride());
  loadPage(page, item.position + item.tokens - page * kPageTokens, keys, values);
}

/// Puts positions that a query does not see below all others. Most pages are seen as a whole.
Vals FlashTile::mask(const ItemValues &item, Val page, const Vals &scores) {
  Val start = page * kPageTokens;
  Val firstPosition = item.position + e.warp() * WarpAttention::kQueries; // Of the warp's queries.
  Val isPartial = start + (kPageTokens - 1) > firstPosition;
  if (window)
    isPartial = e.logicalOr(isPartial, start + *window < firstPosition + WarpAttention::kQueries);
  Val last = item.position + row - start; // The last that the thread's first row sees.
  return e.ifValues(
      isPartial,
      [&] {
        Vals masked = scores;
        maskScores(masked, {last, last + 8}, window);
        return masked;
      },
      [&] { return scores; });
}

} // namespace epigraph::cuda
