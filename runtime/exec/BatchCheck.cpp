#include "runtime/exec/BatchCheck.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "runtime/artifact/KernelAbi.h"
#include "runtime/base/Status.h"

namespace epigraph {
namespace {

template <typename... Parts> absl::Status refuse(const Parts &...parts) {
  return absl::InvalidArgumentError(absl::StrCat("batch: ", parts...));
}

} // namespace

BatchCheck::BatchCheck(const ModelInfo &info)
    : info(info), seen(static_cast<size_t>(info.maxSequences)) {}

absl::Status BatchCheck::check(const StepBatch &batch, bool takesHidden) {
  EPIGRAPH_RETURN_IF_ERROR(checkSizes(batch, takesHidden));
  EPIGRAPH_RETURN_IF_ERROR(checkTokens(batch));
  const int32_t tokens = static_cast<int32_t>(batch.ids.size());
  for (size_t i = 0; i < batch.outputRows.size(); ++i)
    if (batch.outputRows[i] < 0 || batch.outputRows[i] >= tokens)
      return refuse("outputRows[", i, "] is ", batch.outputRows[i], "; there are ", tokens,
                    " tokens");
  return absl::OkStatus();
}

absl::Status BatchCheck::checkSizes(const StepBatch &batch, bool takesHidden) const {
  const size_t tokens = batch.ids.size();
  if (tokens > static_cast<size_t>(info.maxBatchTokens))
    return refuse(tokens, " tokens; the limit of this artifact is ", info.maxBatchTokens,
                  " (--max-batch-tokens)");
  if (batch.positions.size() != tokens || batch.sequence.size() != tokens)
    return refuse(tokens, " ids, ", batch.positions.size(), " positions and ",
                  batch.sequence.size(), " sequence rows; expected as many of each");
  if (batch.outputRows.size() > static_cast<size_t>(info.maxSequences))
    return refuse(batch.outputRows.size(), " output rows; the limit of this artifact is ",
                  info.maxSequences, " (--max-seqs)");
  if (!batch.sampling.empty() && batch.sampling.size() != batch.outputRows.size())
    return refuse(batch.sampling.size(), " choices of tokens; expected one for each of ",
                  batch.outputRows.size(), " output rows, or none");
  const int32_t widest = static_cast<int32_t>((info.maxContext + kPageTokens - 1) / kPageTokens);
  const int32_t stride = batch.pageTableStride;
  if (stride < 0 || stride > widest)
    return refuse("a page table ", stride, " pages wide; expected 0 to ", widest,
                  ", which hold the context");
  const size_t entries = batch.pageTable.size();
  const size_t width = static_cast<size_t>(stride);
  if (stride == 0 ? entries != 0 : entries % width != 0)
    return refuse("a page table of ", entries, " entries; expected rows of ", stride);
  if (stride != 0 && entries / width > static_cast<size_t>(info.maxSequences))
    return refuse(entries / width, " sequences; the limit of this artifact is ", info.maxSequences,
                  " (--max-seqs)");
  const size_t hidden = takesHidden ? tokens * static_cast<size_t>(info.hidden) : 0;
  if (batch.hidden.size() != hidden)
    return refuse(batch.hidden.size(), " hidden values; expected ", hidden);
  return absl::OkStatus();
}

absl::Status BatchCheck::checkTokens(const StepBatch &batch) {
  std::fill(seen.begin(), seen.end(), false);
  const size_t sequences =
      batch.pageTableStride == 0
          ? 0
          : batch.pageTable.size() / static_cast<size_t>(batch.pageTableStride);
  for (size_t i = 0; i < batch.ids.size(); ++i) {
    const int32_t id = batch.ids[i], position = batch.positions[i], row = batch.sequence[i];
    if (id < 0 || id >= info.vocab)
      return refuse("token ", i, ": id ", id, " is outside the vocabulary of ", info.vocab);
    if (position < 0 || position >= info.maxContext)
      return refuse("token ", i, ": position ", position, " is outside the context of ",
                    info.maxContext, " (--max-context)");
    if (row < 0 || static_cast<size_t>(row) >= sequences)
      return refuse("token ", i, ": page table row ", row, "; there are ", sequences);
    const bool continues = i > 0 && batch.sequence[i - 1] == row;
    if (!continues && seen[static_cast<size_t>(row)])
      return refuse("token ", i, ": the tokens of page table row ", row,
                    " are not next to each other");
    if (continues && position != batch.positions[i - 1] + 1)
      return refuse("token ", i, ": position ", position, " after ", batch.positions[i - 1],
                    "; expected positions of a sequence one after the other");
    seen[static_cast<size_t>(row)] = true;
    if (i + 1 == batch.ids.size() || batch.sequence[i + 1] != row)
      EPIGRAPH_RETURN_IF_ERROR(checkPages(batch, static_cast<size_t>(row), position));
  }
  return absl::OkStatus();
}

/// The pages of all positions of a sequence up to its last token: attention reads them, appending
/// writes them.
absl::Status BatchCheck::checkPages(const StepBatch &batch, size_t row,
                                    int32_t lastPosition) const {
  const size_t count = static_cast<size_t>(lastPosition / kPageTokens) + 1;
  const size_t stride = static_cast<size_t>(batch.pageTableStride);
  if (count > stride)
    return refuse("page table row ", row, " has ", stride, " pages; position ", lastPosition,
                  " needs ", count);
  for (size_t i = 0; i < count; ++i) {
    const int32_t page = batch.pageTable[row * stride + i];
    if (page < 0 || page >= info.pages)
      return refuse("page table row ", row, ", entry ", i, " is page ", page, "; there are ",
                    info.pages);
  }
  return absl::OkStatus();
}

} // namespace epigraph
