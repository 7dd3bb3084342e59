#include "runtime/session/Generator.h"

#include <algorithm>
#include <chrono>
#include <random>
#include <string>

#include "absl/strings/str_cat.h"
#include "runtime/base/Status.h"
#include "runtime/session/Likelihood.h"

namespace epigraph {
namespace {

using Clock = std::chrono::steady_clock;

double secondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Seeds that are drawn fit the integers that every reader of JSON knows exactly.
constexpr int kUnusedSeedBits = 11;

/// A request that has its pages.
struct Sequence {
  size_t request;
  PageLease pages;
  size_t fed = 0; ///< positions in the caches
  bool finished = false;
};

/// Tokens of a sequence in the batch being built, and where its logits will be.
struct Turn {
  Sequence *sequence;
  int32_t outputRow; ///< -1 for none
};

class Generator {
public:
  Generator(StepDriver &driver, absl::Span<const GenerationRequest> requests,
            const TokenCallback &onToken)
      : driver(driver), requests(requests), onToken(onToken), running(driver.lanes().size()),
        turns(driver.lanes().size()) {
    report.results.resize(requests.size());
  }

  absl::StatusOr<GenerationReport> run();

private:
  absl::Status check() const;
  absl::Status seed();
  int64_t positionsOf(const GenerationRequest &request) const;
  void admit();
  void buildBatch(size_t lane);
  void feed(size_t lane, Sequence &sequence, size_t count);
  SamplingRow samplingOf(const Sequence &sequence, size_t position) const;
  absl::StatusOr<int32_t> tokenOf(const Turn &turn, const StepResult &result) const;
  absl::Status takeTokens(size_t lane, const StepResult &result);
  void append(Sequence &sequence, int32_t token);
  void account(double seconds);
  bool isDecoding(const Sequence &sequence) const {
    return sequence.fed >= requests[sequence.request].ids.size();
  }

  StepDriver &driver;
  const absl::Span<const GenerationRequest> requests;
  const TokenCallback &onToken;
  const Clock::time_point start = Clock::now();

  size_t nextRequest = 0;
  std::vector<std::deque<Sequence>> running; ///< by lane, in order of arrival
  std::vector<std::vector<Turn>> turns;      ///< by lane: the step being built
  int64_t stepPrefillTokens = 0;
  int64_t stepDecodeTokens = 0;
  GenerationReport report;
};

absl::StatusOr<GenerationReport> Generator::run() {
  EPIGRAPH_RETURN_IF_ERROR(check());
  EPIGRAPH_RETURN_IF_ERROR(seed());
  for (;;) {
    admit();
    stepPrefillTokens = stepDecodeTokens = 0;
    for (size_t lane = 0; lane < running.size(); ++lane)
      buildBatch(lane);
    if (stepPrefillTokens + stepDecodeTokens == 0)
      break;
    const Clock::time_point stepStart = Clock::now();
    EPIGRAPH_ASSIGN_OR_RETURN(const std::vector<StepResult> results,
                              driver.step("main", /*wantHidden=*/false, /*onlyChosen=*/true));
    account(secondsSince(stepStart));
    for (size_t lane = 0; lane < running.size(); ++lane)
      EPIGRAPH_RETURN_IF_ERROR(takeTokens(lane, results[lane]));
  }
  if (nextRequest < requests.size())
    return withCode(
        ErrorCode::NoFreePages,
        absl::ResourceExhaustedError(absl::StrCat(
            "prompt ", nextRequest + 1,
            " finds no free cache pages: sequences left open hold them; close some of them")));
  return std::move(report);
}

/// Positions that a request can come to fill: its last token is never fed back.
int64_t Generator::positionsOf(const GenerationRequest &request) const {
  const int64_t wanted =
      static_cast<int64_t>(request.ids.size()) + std::max(request.maxTokens, 1) - 1;
  return std::min<int64_t>(wanted, driver.info().maxContext);
}

absl::Status Generator::check() const {
  for (size_t i = 0; i < requests.size(); ++i) {
    const std::string what =
        requests.size() == 1 ? std::string("the prompt") : absl::StrCat("prompt ", i + 1);
    if (requests[i].maxTokens < 0)
      return absl::InvalidArgumentError(absl::StrCat(what, ": ", requests[i].maxTokens,
                                                     " tokens are asked for; expected 0 or more"));
    EPIGRAPH_RETURN_IF_ERROR(checkSampling(requests[i].sampling, what));
    EPIGRAPH_RETURN_IF_ERROR(driver.checkSequence(requests[i].ids, positionsOf(requests[i]), what));
  }
  return absl::OkStatus();
}

/// Gives every request that samples its seed: its own, or one that has not been seen before.
absl::Status Generator::seed() {
  const auto needsSeed = [](const GenerationRequest &request) {
    return !request.sampling.isGreedy() && !request.sampling.seed;
  };
  uint64_t drawn = 0;
  if (std::any_of(requests.begin(), requests.end(), needsSeed)) {
    std::random_device device;
    drawn = uint64_t{device()} << 32 | device();
    EPIGRAPH_ASSIGN_OR_RETURN(drawn, driver.agreeOn(drawn));
  }
  for (size_t i = 0; i < requests.size(); ++i)
    report.results[i].seed = requests[i].sampling.seed.value_or(
        needsSeed(requests[i]) ? randomBits(drawn, i) >> kUnusedSeedBits : 0);
  return absl::OkStatus();
}

/// Starts requests, in order, on the least loaded lane, until one does not fit.
void Generator::admit() {
  const ModelInfo &info = driver.info();
  // One token for each must fit a step, or some would never have their turn.
  const size_t most = static_cast<size_t>(std::min(info.maxSequences, info.maxBatchTokens));
  for (; nextRequest < requests.size(); ++nextRequest) {
    const GenerationRequest &request = requests[nextRequest];
    GenerationResult &result = report.results[nextRequest];
    const bool full = request.ids.size() >= static_cast<size_t>(info.maxContext);
    if (request.maxTokens == 0 || full) {
      result.reason = request.maxTokens == 0 ? StopReason::MaxTokens : StopReason::Context;
      continue;
    }
    const int32_t pages = PagePool::pagesFor(positionsOf(request));
    size_t best = running.size();
    for (size_t lane = 0; lane < running.size(); ++lane)
      if (running[lane].size() < most && driver.lanes()[lane].pool.available() >= pages &&
          (best == running.size() || running[lane].size() < running[best].size()))
        best = lane;
    if (best == running.size())
      return;
    running[best].push_back({nextRequest, *driver.lanes()[best].pool.take(pages)});
  }
}

/// One token of each sequence that is generating, then prompts as long as there is room.
void Generator::buildBatch(size_t lane) {
  BatchBuilder &builder = driver.lanes()[lane].builder;
  builder.clear();
  turns[lane].clear();
  for (Sequence &sequence : running[lane])
    if (isDecoding(sequence)) {
      feed(lane, sequence, 1);
      ++stepDecodeTokens;
    }
  for (Sequence &sequence : running[lane]) {
    const size_t room = static_cast<size_t>(driver.info().maxBatchTokens - builder.tokens());
    if (isDecoding(sequence) || room == 0)
      continue;
    const size_t rest = requests[sequence.request].ids.size() - sequence.fed;
    const size_t count = std::min(room, rest);
    feed(lane, sequence, count);
    stepPrefillTokens += static_cast<int64_t>(count);
  }
}

/// Puts the next `count` tokens of a sequence into the batch: of its prompt, or its last one.
void Generator::feed(size_t lane, Sequence &sequence, size_t count) {
  const std::vector<int32_t> &prompt = requests[sequence.request].ids;
  const bool decoding = isDecoding(sequence);
  const absl::Span<const int32_t> ids =
      decoding ? absl::MakeConstSpan(&report.results[sequence.request].ids.back(), 1)
               : absl::MakeConstSpan(prompt).subspan(sequence.fed, count);
  const bool wantsLogits = sequence.fed + count >= prompt.size();
  BatchBuilder &builder = driver.lanes()[lane].builder;
  turns[lane].push_back({&sequence, wantsLogits ? builder.outputs() : -1});
  Chunk chunk{ids, static_cast<int32_t>(sequence.fed), sequence.pages.get(), ChunkOutputs::None};
  if (wantsLogits) {
    chunk.outputs = ChunkOutputs::Last;
    chunk.sampling = samplingOf(sequence, sequence.fed + count);
  }
  builder.add(chunk);
  // Known to be fed only once the step succeeds; after a failure nothing of this call is used
  // again.
  sequence.fed += count;
}

/// How the token at `position` of a sequence is chosen.
SamplingRow Generator::samplingOf(const Sequence &sequence, size_t position) const {
  return samplingRow(requests[sequence.request].sampling, report.results[sequence.request].seed,
                     static_cast<int64_t>(position));
}

/// The token after what `turn` has fed.
absl::StatusOr<int32_t> Generator::tokenOf(const Turn &turn, const StepResult &result) const {
  const size_t row = static_cast<size_t>(turn.outputRow);
  if (result.chosen) {
    const int32_t token = (*result.chosen)[row];
    if (token < 0)
      return logitIsNotANumber("some token");
    return token;
  }
  const size_t vocab = static_cast<size_t>(driver.info().vocab);
  const absl::Span<const float> logits = result.logits.subspan(row * vocab, vocab);
  const int32_t token = chooseToken(logits, samplingOf(*turn.sequence, turn.sequence->fed));
  if (token < 0)
    return greedyToken(logits); // names the logit
  return token;
}

absl::Status Generator::takeTokens(size_t lane, const StepResult &result) {
  for (const Turn &turn : turns[lane]) {
    if (turn.outputRow < 0)
      continue;
    const absl::StatusOr<int32_t> token = tokenOf(turn, result);
    if (!token.ok())
      return withContext(token.status(), absl::StrCat("prompt ", turn.sequence->request + 1,
                                                      ", position ", turn.sequence->fed - 1));
    append(*turn.sequence, *token);
  }
  std::erase_if(running[lane], [](const Sequence &sequence) { return sequence.finished; });
  return absl::OkStatus();
}

void Generator::append(Sequence &sequence, int32_t token) {
  const GenerationRequest &request = requests[sequence.request];
  GenerationResult &result = report.results[sequence.request];
  if (result.ids.empty())
    result.firstTokenSeconds = secondsSince(start);
  result.ids.push_back(token);
  if (onToken)
    onToken(sequence.request, token);

  const auto stop = [&](StopReason reason) {
    result.reason = reason;
    sequence.finished = true;
  };
  const size_t length = request.ids.size() + result.ids.size();
  if (std::find(request.eos.begin(), request.eos.end(), token) != request.eos.end())
    stop(StopReason::EndOfSequence);
  else if (result.ids.size() >= static_cast<size_t>(request.maxTokens))
    stop(StopReason::MaxTokens);
  else if (length >= static_cast<size_t>(driver.info().maxContext))
    stop(StopReason::Context);
}

void Generator::account(double seconds) {
  GenerationStats &stats = report.stats;
  const double share = static_cast<double>(stepPrefillTokens) /
                       static_cast<double>(stepPrefillTokens + stepDecodeTokens);
  ++stats.steps;
  stats.prefillTokens += stepPrefillTokens;
  stats.decodeTokens += stepDecodeTokens;
  stats.prefillSeconds += seconds * share;
  stats.decodeSeconds += seconds * (1 - share);
}

} // namespace

absl::StatusOr<GenerationReport> generateTexts(StepDriver &driver,
                                               absl::Span<const GenerationRequest> requests,
                                               const TokenCallback &onToken) {
  return Generator(driver, requests, onToken).run();
}

} // namespace epigraph
