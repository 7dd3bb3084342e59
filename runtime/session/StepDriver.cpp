#include "runtime/session/StepDriver.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "runtime/base/Status.h"

namespace epigraph {
namespace {

/// Whether some sequence of `batch` has exactly one token. Such a token in a function made for
/// prefill costs more than many in one made for decoding.
bool decodes(const StepBatch &batch) {
  const std::vector<int32_t> &sequence = batch.sequence;
  for (size_t i = 0; i < sequence.size(); ++i) {
    const bool continues = i > 0 && sequence[i - 1] == sequence[i];
    const bool goesOn = i + 1 < sequence.size() && sequence[i + 1] == sequence[i];
    if (!continues && !goesOn)
      return true;
  }
  return false;
}

} // namespace

StepDriver::StepDriver(StepExecutor &executor, Interrupted interrupted)
    : executor(executor), interrupted(std::move(interrupted)) {
  const int32_t count = info().lanes;
  for (int32_t i = 0; i < count; ++i)
    allLanes.emplace_back(info().pages);
  batches.resize(allLanes.size());
}

absl::StatusOr<std::vector<StepResult>> StepDriver::step(std::string_view function, bool wantHidden,
                                                         bool onlyChosen) {
  if (interrupted && interrupted())
    return absl::CancelledError(absl::StrCat("interrupted after ", steps, " steps"));
  for (size_t i = 0; i < allLanes.size(); ++i) {
    batches[i] = allLanes[i].builder.finish();
    batches[i].onlyChosen = onlyChosen;
  }
  if (function == "main" && info().hasDecode &&
      std::any_of(batches.begin(), batches.end(), decodes))
    function = "decode";
  EPIGRAPH_ASSIGN_OR_RETURN(std::vector<StepResult> results,
                            executor.step(function, batches, wantHidden));
  ++steps;
  EPIGRAPH_RETURN_IF_ERROR(checkResults(results, wantHidden));
  return results;
}

absl::Status StepDriver::checkResults(const std::vector<StepResult> &results,
                                      bool wantHidden) const {
  bool fits = results.size() == batches.size();
  for (size_t i = 0; fits && i < results.size(); ++i) {
    const size_t vocab = static_cast<size_t>(info().vocab);
    const size_t hidden = static_cast<size_t>(info().hidden);
    const size_t outputs = batches[i].outputRows.size();
    const bool hasAll = results[i].chosen
                            ? batches[i].onlyChosen && results[i].chosen->size() == outputs
                            : results[i].logits.size() == outputs * vocab;
    fits = hasAll && (!wantHidden || results[i].hidden.size() == batches[i].ids.size() * hidden);
  }
  return fits ? absl::OkStatus()
              : absl::InternalError("the results of a step do not fit its batch; report this");
}

absl::Status StepDriver::checkSequence(absl::Span<const int32_t> ids, int64_t positions,
                                       std::string_view what) const {
  if (ids.empty())
    return withCode(ErrorCode::EmptyPrompt,
                    absl::InvalidArgumentError(
                        absl::StrCat(abslView(what), " has no tokens; expected at least one")));
  const auto unknown = std::find_if(ids.begin(), ids.end(),
                                    [this](int32_t id) { return id < 0 || id >= info().vocab; });
  if (unknown != ids.end())
    return withCode(
        ErrorCode::OutsideVocabulary,
        absl::InvalidArgumentError(absl::StrCat(abslView(what), ": token id ", *unknown,
                                                " is outside the vocabulary of ", info().vocab)));
  if (ids.size() > static_cast<size_t>(info().maxContext))
    return withCode(
        ErrorCode::PromptTooLong,
        absl::OutOfRangeError(absl::StrCat(
            abslView(what), " has ", ids.size(),
            " tokens, and the artifact was compiled for a context of ", info().maxContext,
            "; shorten it, or compile the model again with a larger --max-context")));
  if (PagePool::pagesFor(positions) > info().pages)
    return withCode(
        ErrorCode::CachesTooSmall,
        absl::ResourceExhaustedError(absl::StrCat(
            abslView(what), " needs caches for ", positions, " tokens, and there is room for ",
            int64_t{info().pages} * kPageTokens, "; shorten it, or raise --memory-pool-size")));
  return absl::OkStatus();
}

} // namespace epigraph
