// A model small enough to know by heart, whose every logit depends on the whole history of its
// sequence as it stands in the caches: a wrong page, position or order gives another number.
#ifndef EPIGRAPH_TEST_RUNTIME_SESSION_TOYMODEL_H
#define EPIGRAPH_TEST_RUNTIME_SESSION_TOYMODEL_H

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "runtime/exec/BatchCheck.h"
#include "runtime/exec/StepExecutor.h"

namespace epigraph {

/// The logits after `history`, by definition.
std::vector<float> toyLogits(const std::vector<int32_t> &history, int32_t vocab);

/// The hidden state after `history`.
std::vector<float> toyHidden(const std::vector<int32_t> &history, int32_t hidden);

/// The logits of the MTP layer for the last of `history`; `nexts[i]` is the token after history[i].
std::vector<float> toyMtpLogits(const std::vector<int32_t> &history,
                                const std::vector<int32_t> &nexts, int32_t vocab, int32_t hidden);

class ToyModel : public StepExecutor {
public:
  explicit ToyModel(ModelInfo info);

  const ModelInfo &info() const override { return modelInfo; }
  absl::StatusOr<std::vector<StepResult>>
  step(std::string_view function, absl::Span<const StepBatch> batches, bool wantHidden) override;

  absl::StatusOr<uint64_t> agreeOn(uint64_t number) override { return agreed.value_or(number); }

  /// Batches of all steps so far: [step][lane].
  std::vector<std::vector<StepBatch>> steps;
  /// Their functions.
  std::vector<std::string> functions;
  /// Called before each step; an error ends it.
  std::function<absl::Status()> beforeStep;
  /// Makes one logit of every row NaN.
  bool breaksLogits = false;
  /// What the first of several processes wants all to agree on.
  std::optional<uint64_t> agreed;
  /// Gives tokens in place of logits, where a batch asks for no more.
  bool givesChosen = false;

private:
  struct Slot {
    int32_t id = -1;
    int32_t position = -1;
    float hidden = 0; ///< of the MTP layer's cache: the first number of the hidden state
  };
  using Caches = std::vector<Slot>;

  std::vector<Slot> history(const Caches &cache, const StepBatch &batch, size_t token) const;
  void runLane(size_t lane, bool isMtp, const StepBatch &batch, bool wantHidden,
               StepResult &result);

  ModelInfo modelInfo;
  BatchCheck check;
  std::vector<Caches> mainCaches, mtpCaches; ///< by lane
  std::vector<std::vector<float>> logits;    ///< by lane
  std::vector<std::vector<int32_t>> chosen;  ///< by lane
};

/// A toy with small limits: 8 tokens and 3 sequences a step, a context of 200, vocabulary 29.
ModelInfo toyInfo();

} // namespace epigraph

#endif // EPIGRAPH_TEST_RUNTIME_SESSION_TOYMODEL_H
