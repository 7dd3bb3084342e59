#include "test/runtime/session/ToyModel.h"

#include <algorithm>
#include <cmath>

#include "gtest/gtest.h"

#include "runtime/artifact/KernelAbi.h"
#include "runtime/base/Status.h"

namespace epigraph {
namespace {

uint32_t mix(uint32_t state, uint32_t value) {
  state = (state ^ value) * 2654435761u;
  return state ^ state >> 15;
}

uint32_t digest(const std::vector<int32_t> &history) {
  uint32_t state = 17;
  for (size_t position = 0; position < history.size(); ++position)
    state =
        mix(mix(state, static_cast<uint32_t>(history[position])), static_cast<uint32_t>(position));
  return state;
}

/// Numbers in [-2, 2) that follow from `state`.
std::vector<float> numbers(uint32_t state, int32_t count) {
  std::vector<float> result;
  for (int32_t i = 0; i < count; ++i) {
    state = mix(state, static_cast<uint32_t>(i));
    result.push_back(static_cast<float>(state % 4096) / 1024 - 2);
  }
  return result;
}

std::vector<float> mtpNumbers(const std::vector<float> &hiddens, const std::vector<int32_t> &nexts,
                              int32_t vocab) {
  uint32_t state = digest(nexts);
  for (const float hidden : hiddens)
    state = mix(state, static_cast<uint32_t>(static_cast<int32_t>(hidden * 1024)));
  return numbers(state, vocab);
}

} // namespace

std::vector<float> toyLogits(const std::vector<int32_t> &history, int32_t vocab) {
  return numbers(digest(history), vocab);
}

std::vector<float> toyHidden(const std::vector<int32_t> &history, int32_t hidden) {
  return numbers(digest(history) + 1, hidden);
}

std::vector<float> toyMtpLogits(const std::vector<int32_t> &history,
                                const std::vector<int32_t> &nexts, int32_t vocab, int32_t hidden) {
  std::vector<float> hiddens;
  for (size_t length = 1; length <= history.size(); ++length)
    hiddens.push_back(
        toyHidden({history.begin(), history.begin() + static_cast<ptrdiff_t>(length)}, hidden)[0]);
  return mtpNumbers(hiddens, nexts, vocab);
}

ModelInfo toyInfo() {
  ModelInfo info;
  info.architecture = "toy";
  info.vocab = 29;
  info.hidden = 3;
  info.maxBatchTokens = 8;
  info.maxSequences = 3;
  info.maxContext = 200;
  info.pages = 12;
  info.hasMtp = true;
  return info;
}

ToyModel::ToyModel(ModelInfo info) : modelInfo(info), check(info) {
  const size_t lanes = info.dataParallelAttention ? static_cast<size_t>(info.ranks) : 1;
  const Caches empty(static_cast<size_t>(info.pages) * kPageTokens);
  mainCaches.assign(lanes, empty);
  mtpCaches.assign(lanes, empty);
  logits.resize(lanes);
  chosen.resize(lanes);
}

absl::StatusOr<std::vector<StepResult>>
ToyModel::step(std::string_view function, absl::Span<const StepBatch> batches, bool wantHidden) {
  if (beforeStep)
    EPIGRAPH_RETURN_IF_ERROR(beforeStep());
  EXPECT_EQ(batches.size(), mainCaches.size());
  steps.emplace_back(batches.begin(), batches.end());
  functions.emplace_back(function);
  const bool isMtp = function == "mtp";
  std::vector<StepResult> results(batches.size());
  for (size_t lane = 0; lane < batches.size(); ++lane) {
    EPIGRAPH_RETURN_IF_ERROR(check.check(batches[lane], isMtp));
    runLane(lane, isMtp, batches[lane], wantHidden, results[lane]);
  }
  return results;
}

std::vector<ToyModel::Slot> ToyModel::history(const Caches &cache, const StepBatch &batch,
                                              size_t token) const {
  std::vector<Slot> slots;
  for (int32_t position = 0; position <= batch.positions[token]; ++position) {
    const size_t entry = static_cast<size_t>(batch.sequence[token] * batch.pageTableStride) +
                         static_cast<size_t>(position / kPageTokens);
    const Slot &slot =
        cache[static_cast<size_t>(batch.pageTable[entry] * kPageTokens + position % kPageTokens)];
    EXPECT_EQ(slot.position, position) << "a slot that this sequence did not fill";
    slots.push_back(slot);
  }
  return slots;
}

void ToyModel::runLane(size_t lane, bool isMtp, const StepBatch &batch, bool wantHidden,
                       StepResult &result) {
  Caches &cache = (isMtp ? mtpCaches : mainCaches)[lane];
  const size_t width = static_cast<size_t>(modelInfo.hidden);
  for (size_t token = 0; token < batch.ids.size(); ++token) {
    const int32_t position = batch.positions[token];
    const size_t entry = static_cast<size_t>(batch.sequence[token] * batch.pageTableStride) +
                         static_cast<size_t>(position / kPageTokens);
    const size_t slot =
        static_cast<size_t>(batch.pageTable[entry] * kPageTokens + position % kPageTokens);
    cache[slot] = {batch.ids[token], position, isMtp ? batch.hidden[token * width] : 0};
  }
  const auto idsOf = [&](size_t token) {
    std::vector<int32_t> ids;
    for (const Slot &slot : history(cache, batch, token))
      ids.push_back(slot.id);
    return ids;
  };
  logits[lane].clear();
  chosen[lane].clear();
  for (const int32_t row : batch.outputRows) {
    const size_t token = static_cast<size_t>(row);
    std::vector<float> hiddens;
    for (const Slot &slot : history(cache, batch, token))
      hiddens.push_back(slot.hidden);
    std::vector<float> numbers = isMtp ? mtpNumbers(hiddens, idsOf(token), modelInfo.vocab)
                                       : toyLogits(idsOf(token), modelInfo.vocab);
    if (breaksLogits)
      numbers[5] = NAN;
    logits[lane].insert(logits[lane].end(), numbers.begin(), numbers.end());
    const size_t output = chosen[lane].size();
    chosen[lane].push_back(
        chooseToken(numbers, batch.sampling.empty() ? SamplingRow() : batch.sampling[output]));
  }
  if (givesChosen && batch.onlyChosen)
    result.chosen = chosen[lane];
  else
    result.logits = logits[lane];
  for (size_t token = 0; wantHidden && token < batch.ids.size(); ++token) {
    const std::vector<float> hidden = toyHidden(idsOf(token), modelInfo.hidden);
    result.hidden.insert(result.hidden.end(), hidden.begin(), hidden.end());
  }
}

} // namespace epigraph
