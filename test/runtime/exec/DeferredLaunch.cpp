#include "test/runtime/exec/DeferredLaunch.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "runtime/artifact/AttentionItem.h"
#include "test/runtime/exec/TestModel.h"

namespace epigraph {
namespace {

template <typename... Parts> absl::Status wrong(const Parts &...parts) {
  return absl::InternalError(absl::StrCat(parts...));
}

/// Whether `items` attend, for every token of the step, to every page of its context once.
absl::Status checkCover(const DeviceStep &step, absl::Span<const AttentionItem> items) {
  std::vector<std::vector<int>> seen;
  for (int32_t token = 0; token < step.tokens; ++token)
    seen.emplace_back(step.positions[token] / kPageTokens + 1);
  for (const AttentionItem &item : items)
    for (int32_t i = 0; i < item.tokens; ++i) {
      const int32_t token = item.token + i;
      if (token >= step.tokens || step.sequence[token] != item.sequence ||
          step.positions[token] != item.position + i)
        return wrong("an item for token ", token, " is of another sequence or position");
      std::vector<int> &pages = seen[static_cast<size_t>(token)];
      for (int32_t page = item.firstPage; page < item.firstPage + item.pages; ++page)
        if (page < static_cast<int32_t>(pages.size()))
          ++pages[static_cast<size_t>(page)];
    }
  for (const std::vector<int> &pages : seen)
    if (std::any_of(pages.begin(), pages.end(), [](int times) { return times != 1; }))
      return wrong("items do not cover a context once");
  return absl::OkStatus();
}

} // namespace

absl::Status DeferredLaunch::run(int64_t mostRows, const StepBounds &bounds) const {
  const auto &device = *static_cast<const DeviceStep *>(binding.step);
  const int64_t rows = int64_t{*binding.count} * binding.factor;
  if (rows > mostRows || rows > binding.capacity)
    return wrong(kernel.name, ": ", rows, " rows, at most ", mostRows, " were launched and ",
                 binding.capacity, " have room");
  absl::Status status = checkItems(device, mostRows, bounds);
  if (!status.ok() || rows == 0)
    return status;
  const KernelStep step{device.tokens,          device.sequences, device.outputs,
                        device.positions,       device.sequence,  device.pageTable,
                        device.pageTableStride, device.outputRows};
  const bool tiled = kernel.name == "test_embed";
  function(binding.arguments.data(), &step, rows, 0,
           tiled ? (rows + testmodel::kRowTile - 1) / testmodel::kRowTile : 1);
  return absl::OkStatus();
}

/// The variant is chosen as a driver for a device does.
absl::Status DeferredLaunch::checkItems(const DeviceStep &step, int64_t mostRows,
                                        const StepBounds &bounds) const {
  const auto variant =
      std::find_if(kernel.variants.begin(), kernel.variants.end(), [&](const DeviceVariant &each) {
        return (each.mostRows == 0 || mostRows <= each.mostRows) &&
               (!each.oneTokenEach || bounds.oneTokenEach);
      });
  if (variant == kernel.variants.end())
    return wrong(kernel.name, ": no variant fits");
  for (const DeviceLaunch &launch : variant->launches) {
    if (launch.grid == DeviceGrid::Rows)
      continue;
    const bool single = launch.grid == DeviceGrid::TokenItems;
    const int32_t count = single ? step.tokenItemCount : step.tileItemCount;
    if (count > (single ? bounds.tokenItems : bounds.tileItems))
      return wrong(kernel.name, ": ", count, " items, and fewer were launched");
    const AttentionItem *items = single ? step.tokenItems : step.tileItems;
    absl::Status status = checkCover(step, {items, static_cast<size_t>(count)});
    if (!status.ok())
      return status;
  }
  return absl::OkStatus();
}

} // namespace epigraph
