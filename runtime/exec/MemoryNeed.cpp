#include "runtime/exec/MemoryNeed.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "runtime/artifact/KernelAbi.h"
#include "runtime/base/ErrorCode.h"
#include "runtime/base/ProductSum.h"
#include "runtime/device/MemoryPool.h"
#include "runtime/exec/PeerRegions.h"

namespace epigraph {
namespace {

/// What to do about a need that is over what there is.
std::string remedy(const MemoryNeed &need, const MemoryRoom &room) {
  const std::string more = room.ofDevice
                               ? "compile it for more ranks (--ep, --tp), so that each holds less"
                               : absl::StrCat("raise --memory-pool-size to at least ",
                                              formatBytes(need.total(need.fewestPages)));
  if (room.bytes < need.withoutCaches() + need.page)
    return more;
  const uint64_t pages = (room.bytes - need.withoutCaches()) / need.page;
  return absl::StrCat("a context of ", pages * kPageTokens,
                      " tokens would fit: compile the model again with that --max-context, or ",
                      more);
}

} // namespace

std::string MemoryNeed::describe() const {
  return absl::StrCat(formatBytes(weights), " of weights, ", formatBytes(arenas),
                      " of activations, ", formatBytes(stepArrays), " for batches and results, ",
                      workspaces == 0 ? "" : formatBytes(workspaces) + " of scratch memory, ",
                      formatBytes(page), " for each cache page of ", kPageTokens, " tokens");
}

absl::StatusOr<MemoryNeed> memoryNeed(const plan::Plan &plan, uint64_t ranks, uint64_t stepArrays) {
  ProductSum weights, arenas, workspaces, arrays, page, all;
  for (const plan::Weight *weight : *plan.weights())
    weights.add(weight->shared() ? 1 : ranks, weightBytes(*weight));
  arenas.add(ranks, plan.arena_bytes());
  workspaces.add(ranks, plan.workspace_bytes());
  workspaces.add(ranks, PeerRegions::bytesFor(plan.region_bytes()));
  arrays.add(ranks, stepArrays);
  for (const plan::Cache *cache : *plan.caches())
    page.add(ranks * kPageTokens, cache->entry_elements() * elementBytes(cache->dtype()));

  const uint64_t fewest = (plan.limits()->context() + kPageTokens - 1) / kPageTokens;
  const uint64_t most = fewest * plan.limits()->sequences();
  for (const ProductSum *part : {&weights, &arenas, &workspaces, &arrays})
    all.add(1, part->value());
  all.add(fewest, page.value());
  const bool overflow = weights.overflowed() || arenas.overflowed() || workspaces.overflowed() ||
                        arrays.overflowed() || page.overflowed() || all.overflowed();
  if (overflow)
    return withCode(
        ErrorCode::DoesNotFit,
        absl::ResourceExhaustedError("the plan needs more memory than any machine has; compile "
                                     "the model again with smaller limits"));
  MemoryNeed need;
  need.weights = weights.value();
  need.arenas = arenas.value();
  need.workspaces = workspaces.value();
  need.stepArrays = arrays.value();
  need.page = page.value();
  need.fewestPages = static_cast<int32_t>(fewest);
  // Page tables number pages with 32 bits.
  need.mostPages = static_cast<int32_t>(std::min<uint64_t>(most, INT32_MAX));
  return need;
}

absl::StatusOr<int32_t> choosePages(const MemoryNeed &need, const MemoryRoom &room,
                                    int32_t wanted) {
  const int32_t fewest = wanted > 0 ? wanted : need.fewestPages;
  const bool fitsAtAll = room.bytes >= need.withoutCaches();
  const uint64_t forCaches = fitsAtAll ? room.bytes - need.withoutCaches() : 0;
  const uint64_t fitting = need.page == 0 ? need.mostPages : forCaches / need.page;
  if (!fitsAtAll || fitting < static_cast<uint64_t>(fewest))
    return withCode(ErrorCode::DoesNotFit,
                    absl::ResourceExhaustedError(absl::StrCat(
                        "the model does not fit: ", room.ofDevice ? "a rank" : "it", " needs ",
                        formatBytes(need.total(fewest)), " (", need.describe(), ", at least ",
                        fewest, " pages), and ", formatBytes(room.bytes), " are ",
                        room.ofDevice ? "free on its device; " : "allowed; ", remedy(need, room))));
  if (wanted > 0)
    return wanted;
  return static_cast<int32_t>(std::min<uint64_t>(fitting, static_cast<uint64_t>(need.mostPages)));
}

} // namespace epigraph
