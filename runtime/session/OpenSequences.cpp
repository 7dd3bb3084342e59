// A call may bring more tokens, or want more rows of logits, than one step of the model takes. Each
// step then gives every input, in order, what room is left on its lane; lengths are written back
// only when all of it has run, so a failure in between leaves entries in the caches that nothing
// refers to.
#include "runtime/session/OpenSequences.h"

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "runtime/base/Status.h"

namespace epigraph {

int64_t OpenSequences::add() {
  const size_t lane = std::min_element(load.begin(), load.end()) - load.begin();
  ++load[lane];
  open.emplace(nextId, Sequence{lane, 0, {}, {}});
  return nextId++;
}

absl::Status OpenSequences::notOpen(int64_t sequence) const {
  return absl::NotFoundError(absl::StrCat("sequence ", sequence, " is not open; there are ",
                                          open.size(), " open sequences"));
}

absl::Status OpenSequences::close(int64_t sequence) {
  const auto found = open.find(sequence);
  if (found == open.end())
    return notOpen(sequence);
  --load[found->second.lane];
  open.erase(found);
  return absl::OkStatus();
}

absl::StatusOr<int64_t> OpenSequences::length(int64_t sequence) const {
  const auto found = open.find(sequence);
  if (found == open.end())
    return notOpen(sequence);
  return found->second.length;
}

absl::Status OpenSequences::check(absl::Span<const SequenceInput> inputs) const {
  std::set<int64_t> seen;
  for (const SequenceInput &input : inputs) {
    const auto found = open.find(input.sequence);
    if (found == open.end())
      return notOpen(input.sequence);
    const std::string what = absl::StrCat("sequence ", input.sequence);
    if (!seen.insert(input.sequence).second)
      return absl::InvalidArgumentError(
          absl::StrCat(what, " is named twice in one step; put its tokens together"));
    const int64_t length = found->second.length + static_cast<int64_t>(input.ids.size());
    EPIGRAPH_RETURN_IF_ERROR(driver.checkSequence(input.ids, length, what));
    if (length > driver.info().maxContext)
      return withCode(
          ErrorCode::PromptTooLong,
          absl::OutOfRangeError(absl::StrCat(
              what, " would have ", length,
              " tokens, and the artifact was compiled for a context of ", driver.info().maxContext,
              "; close it, or compile the model again with a ", "larger --max-context")));
  }
  return absl::OkStatus();
}

absl::Status OpenSequences::reservePages(absl::Span<const SequenceInput> inputs) {
  for (const SequenceInput &input : inputs) {
    Sequence &sequence = open.at(input.sequence);
    PagePool &pool = driver.lanes()[sequence.lane].pool;
    const int32_t needed =
        PagePool::pagesFor(sequence.length + static_cast<int64_t>(input.ids.size())) -
        static_cast<int32_t>(sequence.pages.size());
    if (needed <= 0)
      continue;
    std::optional<PageLease> lease = pool.take(needed);
    if (!lease)
      return withCode(ErrorCode::NoFreePages,
                      absl::ResourceExhaustedError(absl::StrCat(
                          "sequence ", input.sequence, " needs ", needed, " more cache pages of ",
                          kPageTokens, " tokens, and ", pool.available(), " of ", pool.capacity(),
                          " are free; close sequences, or raise the memory limit")));
    sequence.pages.insert(sequence.pages.end(), lease->get().begin(), lease->get().end());
    sequence.leases.push_back(*std::move(lease));
  }
  return absl::OkStatus();
}

std::vector<OpenSequences::Turn> OpenSequences::buildBatch(size_t lane,
                                                           absl::Span<const SequenceInput> inputs,
                                                           const Cursor &done,
                                                           ChunkOutputs outputs) {
  int64_t tokens = driver.info().maxBatchTokens, sequences = driver.info().maxSequences;
  int64_t rows = driver.info().maxSequences;
  std::vector<Turn> turns;
  BatchBuilder &builder = driver.lanes()[lane].builder;
  builder.clear();
  for (size_t i = 0; i < inputs.size() && tokens > 0 && sequences > 0 && rows > 0; ++i) {
    const Sequence &sequence = open.at(inputs[i].sequence);
    const int64_t left = static_cast<int64_t>(inputs[i].ids.size()) - done[i];
    if (sequence.lane != lane || left == 0)
      continue;
    const bool all = outputs == ChunkOutputs::All;
    const int64_t count = std::min({left, tokens, all ? rows : left});
    const int64_t wanted = all ? count : (outputs == ChunkOutputs::Last && count == left);
    builder.add({absl::MakeConstSpan(inputs[i].ids).subspan(done[i], count),
                 static_cast<int32_t>(sequence.length + done[i]), sequence.pages,
                 wanted > 0 ? outputs : ChunkOutputs::None});
    turns.push_back({i, count, wanted});
    tokens -= count;
    rows -= wanted;
    --sequences;
  }
  return turns;
}

/// One step of the model. False when no input has tokens left.
absl::StatusOr<bool> OpenSequences::advance(absl::Span<const SequenceInput> inputs,
                                            ChunkOutputs outputs, Cursor &done,
                                            std::vector<std::vector<float>> &logits) {
  std::vector<std::vector<Turn>> turns;
  bool busy = false;
  for (size_t lane = 0; lane < driver.lanes().size(); ++lane) {
    turns.push_back(buildBatch(lane, inputs, done, outputs));
    busy |= !turns.back().empty();
  }
  if (!busy)
    return false;
  EPIGRAPH_ASSIGN_OR_RETURN(const std::vector<StepResult> results,
                            driver.step("main", /*wantHidden=*/false));
  for (size_t lane = 0; lane < turns.size(); ++lane) {
    const float *row = results[lane].logits.data();
    for (const Turn &turn : turns[lane]) {
      const float *end = row + turn.rows * driver.info().vocab;
      logits[turn.input].insert(logits[turn.input].end(), row, end);
      row = end;
      done[turn.input] += turn.count;
    }
  }
  return true;
}

absl::StatusOr<std::vector<std::vector<float>>>
OpenSequences::step(absl::Span<const SequenceInput> inputs, ChunkOutputs outputs) {
  EPIGRAPH_RETURN_IF_ERROR(check(inputs));
  EPIGRAPH_RETURN_IF_ERROR(reservePages(inputs));
  std::vector<std::vector<float>> logits(inputs.size());
  Cursor done(inputs.size());
  bool busy = true;
  while (busy) {
    EPIGRAPH_ASSIGN_OR_RETURN(busy, advance(inputs, outputs, done, logits));
  }
  for (const SequenceInput &input : inputs)
    open.at(input.sequence).length += static_cast<int64_t>(input.ids.size());
  return logits;
}

} // namespace epigraph
