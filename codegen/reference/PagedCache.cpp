#include "codegen/reference/PagedCache.h"

#include "runtime/artifact/KernelAbi.h"
#include "runtime/base/Status.h"

namespace epigraph::reference {

float *PagedCache::write(int64_t slot) {
  size_t needed = static_cast<size_t>((slot / kPageTokens + 1) * kPageTokens);
  if (written.size() < needed) {
    written.resize(needed);
    entries.resize(needed * static_cast<size_t>(size));
  }
  written[static_cast<size_t>(slot)] = true;
  return entries.data() + slot * size;
}

const float *PagedCache::read(int64_t slot) const {
  if (static_cast<size_t>(slot) >= written.size() || !written[static_cast<size_t>(slot)])
    return nullptr;
  return entries.data() + slot * size;
}

namespace {

absl::Status refuse(int64_t token, const std::string &problem) {
  return absl::InvalidArgumentError(absl::StrCat("token ", token, " of the batch ", problem));
}

/// The slots of positions 0 to `last` of page table row `sequence`.
absl::Status fillSlots(const StepBatch &step, int64_t token, int32_t sequence, int32_t last,
                       std::vector<int64_t> &slots) {
  int64_t pages = last / kPageTokens + 1, stride = step.pageTableStride;
  int64_t begin = sequence * stride;
  if (sequence < 0 || pages > stride || begin + pages > static_cast<int64_t>(step.pageTable.size()))
    return refuse(token, absl::StrCat("is at position ", last, " of sequence ", sequence,
                                      ", for which the page table has no room"));
  for (int64_t position = 0; position <= last; ++position) {
    int64_t page = step.pageTable[static_cast<size_t>(begin + position / kPageTokens)];
    if (page < 0)
      return refuse(token, absl::StrCat("needs page ", position / kPageTokens, " of sequence ",
                                        sequence, ", which is ", page));
    slots.push_back(page * kPageTokens + position % kPageTokens);
  }
  return absl::OkStatus();
}

} // namespace

absl::StatusOr<std::vector<SequenceRows>> sequencesOf(const StepBatch &step) {
  int64_t tokens = static_cast<int64_t>(step.positions.size());
  if (step.sequence.size() != step.positions.size())
    return absl::InvalidArgumentError(absl::StrCat("the batch has ", tokens, " positions but ",
                                                   step.sequence.size(), " sequence rows"));
  std::vector<SequenceRows> result;
  for (int64_t first = 0, end; first < tokens; first = end) {
    size_t row = static_cast<size_t>(first);
    int32_t sequence = step.sequence[row], position = step.positions[row];
    if (position < 0)
      return refuse(first, absl::StrCat("has position ", position));
    for (end = first + 1; end < tokens && step.sequence[static_cast<size_t>(end)] == sequence;
         ++end)
      if (step.positions[static_cast<size_t>(end)] != position + (end - first))
        return refuse(end, absl::StrCat("has position ", step.positions[static_cast<size_t>(end)],
                                        ", expected ", position + (end - first)));
    SequenceRows &rows = result.emplace_back(SequenceRows{first, end - first, position, {}});
    EPIGRAPH_RETURN_IF_ERROR(fillSlots(
        step, end - 1, sequence, static_cast<int32_t>(position + (end - first) - 1), rows.slots));
  }
  return result;
}

} // namespace epigraph::reference
