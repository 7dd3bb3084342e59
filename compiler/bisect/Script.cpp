#include "compiler/bisect/Script.h"

#include <algorithm>

#include "runtime/artifact/KernelAbi.h"
#include "runtime/base/Status.h"

namespace epigraph::bisection {
namespace {

/// Tokens at the end of each sequence that are decoded one by one.
constexpr size_t kDecoded = 2;

absl::Status check(const std::vector<std::vector<int32_t>> &sequences, const ScriptLimits &limits) {
  if (sequences.empty() || static_cast<int64_t>(sequences.size()) > limits.sequences)
    return absl::InvalidArgumentError(absl::StrCat("got ", sequences.size(),
                                                   " sequences; expected 1 to ", limits.sequences,
                                                   ", the most of one step"));
  for (const std::vector<int32_t> &ids : sequences) {
    if (ids.empty() || static_cast<int64_t>(ids.size()) > limits.context)
      return absl::InvalidArgumentError(absl::StrCat("a sequence has ", ids.size(),
                                                     " tokens; expected 1 to ", limits.context,
                                                     ", the context"));
    for (int32_t id : ids)
      if (id < 0 || id >= limits.vocabulary)
        return absl::InvalidArgumentError(
            absl::StrCat("token id ", id, " is outside the vocabulary of ", limits.vocabulary));
  }
  return absl::OkStatus();
}

/// Appends tokens [begin, end) of sequence `row`.
void append(ScriptStep &step, const std::vector<int32_t> &ids, size_t row, size_t begin,
            size_t end) {
  for (size_t i = begin; i < end; ++i) {
    step.batch.ids.push_back(ids[i]);
    step.batch.positions.push_back(static_cast<int32_t>(i));
    step.batch.sequence.push_back(static_cast<int32_t>(row));
    step.nextIds.push_back(i + 1 < ids.size() ? ids[i + 1] : 0);
  }
  step.decodes = step.decodes && end - begin == 1;
  step.batch.outputRows.push_back(static_cast<int32_t>(step.batch.ids.size()) - 1);
}

} // namespace

std::vector<std::vector<int32_t>> defaultSequences(const ScriptLimits &limits) {
  // One token (no past at all), a few, and enough to route to many experts.
  constexpr int64_t kLengths[] = {12, 1, 7};
  std::vector<std::vector<int32_t>> sequences;
  uint32_t state = 1;
  for (int64_t length : kLengths) {
    if (static_cast<int64_t>(sequences.size()) == limits.sequences)
      break;
    std::vector<int32_t> &ids = sequences.emplace_back();
    for (int64_t i = 0; i < std::min(length, limits.context); ++i) {
      state = state * 1664525u + 1013904223u; // Numerical Recipes' generator
      ids.push_back(static_cast<int32_t>((state >> 8) % static_cast<uint64_t>(limits.vocabulary)));
    }
  }
  return sequences;
}

absl::StatusOr<std::vector<ScriptStep>>
makeScript(const std::vector<std::vector<int32_t>> &sequences, const ScriptLimits &limits) {
  EPIGRAPH_RETURN_IF_ERROR(check(sequences, limits));
  size_t longest = 0;
  for (const std::vector<int32_t> &ids : sequences)
    longest = std::max(longest, ids.size());
  const int32_t stride = static_cast<int32_t>((longest + kPageTokens - 1) / kPageTokens);
  std::vector<ScriptStep> script;
  std::vector<size_t> done(sequences.size(), 0);
  const auto unfinished = [&] {
    for (size_t row = 0; row < sequences.size(); ++row)
      if (done[row] < sequences[row].size())
        return true;
    return false;
  };
  while (unfinished()) {
    ScriptStep &step = script.emplace_back();
    step.batch.pageTableStride = stride;
    for (int32_t page = 0; page < stride * static_cast<int32_t>(sequences.size()); ++page)
      step.batch.pageTable.push_back(page);
    size_t room = static_cast<size_t>(limits.batchTokens);
    for (size_t row = 0; row < sequences.size() && room > 0; ++row) {
      const std::vector<int32_t> &ids = sequences[row];
      if (done[row] == ids.size())
        continue;
      const size_t prefill = ids.size() > kDecoded ? ids.size() - kDecoded : 1;
      const size_t count = done[row] < prefill ? std::min(room, prefill - done[row]) : 1;
      append(step, ids, row, done[row], done[row] + count);
      done[row] += count;
      room -= count;
    }
  }
  return script;
}

} // namespace epigraph::bisection
