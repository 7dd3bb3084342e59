#include "runtime/exec/LaneResults.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "runtime/base/Status.h"

namespace epigraph {

size_t LaneResults::numbersOf(const StepBatch &batch, bool hasChosen, bool wantHidden) const {
  return batch.outputRows.size() * numbersOfOutput(hasChosen) +
         (wantHidden ? batch.ids.size() * static_cast<size_t>(info.hidden) : 0);
}

absl::StatusOr<std::vector<StepResult>>
LaneResults::gather(absl::Span<const StepBatch> batches, const StepResult &own, bool wantHidden) {
  // Of all ranks or of none: they run the same function.
  const bool hasChosen = own.chosen.has_value();
  std::vector<float> numbers(own.logits.begin(), own.logits.end());
  if (hasChosen)
    for (const int32_t token : *own.chosen)
      numbers.push_back(std::bit_cast<float>(token));
  numbers.insert(numbers.end(), own.hidden.begin(), own.hidden.end());
  size_t most = 0;
  for (const StepBatch &batch : batches)
    most = std::max(most, numbersOf(batch, hasChosen, wantHidden));
  EPIGRAPH_RETURN_IF_ERROR(exchange(numbers, most));

  chosen.assign(lanes.size(), {});
  std::vector<StepResult> results;
  for (size_t lane = 0; lane < lanes.size(); ++lane) {
    const std::vector<float> &all = lanes[lane];
    if (all.size() != numbersOf(batches[lane], hasChosen, wantHidden))
      return absl::InternalError("the results of another rank do not fit its batch; report this");
    const size_t outputs = batches[lane].outputRows.size() * numbersOfOutput(hasChosen);
    const absl::Span<const float> ofOutputs(all.data(), outputs);
    StepResult &result = results.emplace_back();
    if (hasChosen) {
      for (const float bits : ofOutputs)
        chosen[lane].push_back(std::bit_cast<int32_t>(bits));
      result.chosen = chosen[lane];
    } else {
      result.logits = ofOutputs;
    }
    result.hidden.assign(all.begin() + static_cast<std::ptrdiff_t>(outputs), all.end());
  }
  return results;
}

/// Messages are short, so what is long goes in pieces: as many as the longest lane has.
absl::Status LaneResults::exchange(std::vector<float> &own, size_t mostNumbers) {
  constexpr size_t kPiece = ProcessGroup::kMostBytes / sizeof(float);
  const size_t lane = static_cast<size_t>(group.rank()) * static_cast<size_t>(info.lanes) /
                      static_cast<size_t>(info.ranks);
  if (group.rank() != speakerOf(lane))
    own.clear();
  lanes.assign(static_cast<size_t>(info.lanes), {});
  for (size_t begin = 0; begin < mostNumbers; begin += kPiece) {
    const size_t from = std::min(begin, own.size()), count = std::min(kPiece, own.size() - from);
    EPIGRAPH_ASSIGN_OR_RETURN(const std::vector<std::vector<uint8_t>> pieces,
                              group.allGather({reinterpret_cast<const uint8_t *>(own.data() + from),
                                               count * sizeof(float)},
                                              "results of a step"));
    for (size_t i = 0; i < lanes.size(); ++i) {
      const std::vector<uint8_t> &piece = pieces[static_cast<size_t>(speakerOf(i))];
      const size_t held = lanes[i].size();
      lanes[i].resize(held + piece.size() / sizeof(float));
      std::memcpy(lanes[i].data() + held, piece.data(),
                  piece.size() / sizeof(float) * sizeof(float));
    }
  }
  return absl::OkStatus();
}

} // namespace epigraph
