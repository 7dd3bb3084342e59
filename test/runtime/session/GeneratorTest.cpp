#include "runtime/session/Generator.h"

#include <map>
#include <random>
#include <set>

#include "runtime/session/Session.h"
#include "test/runtime/base/TestFiles.h"
#include "test/runtime/session/ToyModel.h"

namespace epigraph {
namespace {

/// What a request is to give, by a plain loop; one that samples has a seed.
GenerationResult expected(const GenerationRequest &request, const ModelInfo &info) {
  GenerationResult result;
  std::vector<int32_t> history = request.ids;
  for (;;) {
    if (result.ids.size() == static_cast<size_t>(request.maxTokens)) {
      result.reason = StopReason::MaxTokens;
      return result;
    }
    if (history.size() == static_cast<size_t>(info.maxContext)) {
      result.reason = StopReason::Context;
      return result;
    }
    const std::vector<float> logits = toyLogits(history, info.vocab);
    const int32_t token =
        chooseToken(logits, samplingRow(request.sampling, request.sampling.seed.value_or(0),
                                        static_cast<int64_t>(history.size())));
    history.push_back(token);
    result.ids.push_back(token);
    if (std::count(request.eos.begin(), request.eos.end(), token)) {
      result.reason = StopReason::EndOfSequence;
      return result;
    }
  }
}

std::vector<int32_t> promptOf(size_t length, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<int32_t> ids;
  while (ids.size() < length)
    ids.push_back(static_cast<int32_t>(random() % 29));
  return ids;
}

void expectResults(ToyModel &model, const std::vector<GenerationRequest> &requests) {
  Session session(model);
  std::map<size_t, std::vector<int32_t>> streamed;
  const absl::StatusOr<GenerationReport> report = session.generate(
      requests, [&](size_t request, int32_t token) { streamed[request].push_back(token); });
  ASSERT_TRUE(report.ok()) << report.status();
  ASSERT_EQ(report->results.size(), requests.size());
  for (size_t i = 0; i < requests.size(); ++i) {
    const GenerationResult wanted = expected(requests[i], model.info());
    EXPECT_EQ(report->results[i].ids, wanted.ids) << "request " << i;
    EXPECT_EQ(report->results[i].reason, wanted.reason) << "request " << i;
    EXPECT_EQ(streamed[i], wanted.ids) << "request " << i;
  }
}

/// 32 prompts of 1 to 150 tokens, a few of them endless.
std::vector<GenerationRequest> mixedRequests() {
  std::vector<GenerationRequest> requests;
  for (unsigned i = 0; i < 32; ++i)
    requests.push_back({promptOf(1 + i * i % 150, i), static_cast<int32_t>(i * 7 % 40), {3}});
  requests[5].maxTokens = requests[20].maxTokens = 1000;
  return requests;
}

TEST(Generator, OneRequest) {
  ToyModel model(toyInfo());
  // Shorter than a batch, as long, longer, longer than two pages.
  for (const size_t length : {1, 7, 8, 9, 63, 64, 65, 150}) {
    SCOPED_TRACE(length);
    expectResults(model, {{promptOf(length, 1), 20, {}}});
  }
}

TEST(Generator, ManyRequestsGiveEachItsOwnText) {
  ToyModel model(toyInfo());
  expectResults(model, mixedRequests());
}

TEST(Generator, TakesTokensFromAModelThatGivesThem) {
  ModelInfo info = toyInfo();
  info.ranks = info.lanes = 2;
  info.dataParallelAttention = true;
  ToyModel model(info);
  model.givesChosen = true;
  expectResults(model, mixedRequests());
  model.breaksLogits = true;
  Session session(model);
  expectError(session.generate({GenerationRequest{promptOf(4, 1), 4, {}}}),
              absl::StatusCode::kDataLoss, "prompt 1, position 3: the logit of some token");
}

TEST(Generator, LanesHaveSequencesOfTheirOwn) {
  ModelInfo info = toyInfo();
  info.ranks = info.lanes = 4;
  info.dataParallelAttention = true;
  ToyModel model(info);
  expectResults(model, mixedRequests());
  std::set<size_t> used;
  for (const std::vector<StepBatch> &step : model.steps)
    for (size_t lane = 0; lane < step.size(); ++lane)
      if (!step[lane].ids.empty())
        used.insert(lane);
  EXPECT_EQ(used.size(), 4u);
}

TEST(Generator, StepsThatDecodeRunAFunctionOfTheirOwn) {
  ModelInfo info = toyInfo();
  info.hasDecode = true;
  ToyModel alone(info);
  expectResults(alone, {{promptOf(10, 1), 3, {}}});
  // 8 and 2 tokens of the prompt, then one by one.
  EXPECT_EQ(alone.functions, (std::vector<std::string>{"main", "main", "decode", "decode"}));

  ToyModel mixed(info); // the second prompt is read while the first is answered
  expectResults(mixed, {{promptOf(4, 1), 4, {}}, {promptOf(14, 2), 1, {}}});
  EXPECT_EQ(mixed.functions, (std::vector<std::string>{"main", "decode", "decode", "decode"}));

  info.hasDecode = false;
  ToyModel plain(info);
  expectResults(plain, {{promptOf(10, 1), 3, {}}});
  EXPECT_EQ(plain.functions, std::vector<std::string>(4, "main"));
}

TEST(Generator, LanesRunOneFunction) {
  ModelInfo info = toyInfo();
  info.ranks = info.lanes = 3;
  info.dataParallelAttention = true;
  info.hasDecode = true;
  ToyModel model(info); // the third lane has nothing to do
  expectResults(model, {{promptOf(4, 1), 2, {}}, {promptOf(14, 2), 1, {}}});
  EXPECT_EQ(model.functions, (std::vector<std::string>{"main", "decode"}));
}

TEST(Generator, FewPagesMakeRequestsWait) {
  ModelInfo info = toyInfo();
  info.pages = 4; // one full context, and nothing beside it
  ToyModel model(info);
  expectResults(model, mixedRequests());
}

TEST(Generator, ABatchOfOneToken) {
  ModelInfo info = toyInfo();
  info.maxBatchTokens = 1;
  ToyModel model(info);
  expectResults(model, {{promptOf(5, 1), 6, {}}, {promptOf(3, 2), 6, {}}});
}

TEST(Generator, StopsAtTheContext) {
  ToyModel model(toyInfo());
  expectResults(model, {{promptOf(195, 1), 64, {}}, {promptOf(200, 2), 64, {}}});
}

TEST(Generator, NothingToDo) {
  ToyModel model(toyInfo());
  expectResults(model, {});
  expectResults(model, {{promptOf(4, 1), 0, {}}});
  EXPECT_TRUE(model.steps.empty());
}

/// Some greedy, the others each in another way.
std::vector<GenerationRequest> sampledRequests() {
  std::vector<GenerationRequest> requests = mixedRequests();
  for (size_t i = 0; i < requests.size(); ++i)
    if (i % 4 != 0)
      requests[i].sampling = {
          .temperature = 0.3 * static_cast<double>(i % 4),
          .topK = static_cast<int32_t>(i % 3) * 8,
          .topP = i % 2 ? 0.9 : 1,
          .minP = i % 5 ? 0 : 0.05,
          .seed = i,
      };
  return requests;
}

TEST(Generator, SamplesEachTextInItsOwnWay) {
  ToyModel model(toyInfo());
  expectResults(model, sampledRequests());
  ModelInfo info = toyInfo();
  info.ranks = info.lanes = 2;
  info.dataParallelAttention = true;
  ToyModel lanes(info);
  lanes.givesChosen = true;
  expectResults(lanes, sampledRequests());
}

TEST(Generator, TellsTheSeedsThatItDraws) {
  ToyModel model(toyInfo());
  Session session(model);
  GenerationRequest request{promptOf(4, 1), 20, {}, {.temperature = 1}};
  GenerationRequest seeded = request;
  seeded.sampling.seed = 5;
  const GenerationRequest greedy{promptOf(4, 1), 20, {}};
  absl::StatusOr<GenerationReport> report = session.generate({request, request, seeded, greedy});
  ASSERT_TRUE(report.ok()) << report.status();
  const std::vector<GenerationResult> &results = report->results;
  EXPECT_NE(results[0].seed, results[1].seed);
  EXPECT_NE(results[0].ids, results[1].ids);
  EXPECT_LT(results[0].seed, uint64_t{1} << 53);
  EXPECT_EQ(results[2].seed, 5u);
  EXPECT_EQ(results[3].seed, 0u);
  request.sampling.seed = results[0].seed;
  EXPECT_EQ(session.generate({request})->results[0].ids, results[0].ids);

  // Processes that run the same requests must not draw seeds of their own.
  request.sampling.seed.reset();
  model.agreed = 77;
  const uint64_t seed = session.generate({request})->results[0].seed;
  EXPECT_EQ(session.generate({request})->results[0].seed, seed);
}

/// A sequence that has begun to generate has a token in every step until it ends.
TEST(Generator, GeneratingComesBeforePrompts) {
  ToyModel model(toyInfo());
  expectResults(model, {{promptOf(4, 1), 12, {}}, {promptOf(100, 2), 3, {}}});
  int64_t decodes = 0;
  for (size_t step = 1; step <= 11; ++step) {
    const StepBatch &batch = model.steps[step][0];
    EXPECT_EQ(batch.positions[0], static_cast<int32_t>(3 + step));
    EXPECT_EQ(batch.ids.size(), 8u) << "the rest is filled with the other prompt";
    ++decodes;
  }
  EXPECT_EQ(decodes, 11);
}

TEST(Generator, CountsItsWork) {
  ToyModel model(toyInfo());
  Session session(model);
  const absl::StatusOr<GenerationReport> report =
      session.generate({GenerationRequest{promptOf(10, 1), 5, {}}});
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->stats.prefillTokens, 10);
  EXPECT_EQ(report->stats.decodeTokens, 4); // the first token comes out of the prompt
  EXPECT_EQ(report->stats.steps, 6);
  EXPECT_GT(report->results[0].firstTokenSeconds, 0);
}

TEST(Generator, RefusesBeforeAnythingRuns) {
  ToyModel model(toyInfo());
  Session session(model);
  const GenerationRequest good{promptOf(4, 1), 4, {}};
  expectError(session.generate({good, GenerationRequest{promptOf(201, 1), 4, {}}}),
              absl::StatusCode::kOutOfRange,
              "prompt 2 has 201 tokens, and the artifact was compiled for a context of 200");
  expectError(session.generate({good, GenerationRequest{{}, 4, {}}}),
              absl::StatusCode::kInvalidArgument, "prompt 2 has no tokens");
  expectError(session.generate({good, GenerationRequest{{1, 29}, 4, {}}}),
              absl::StatusCode::kInvalidArgument, "token id 29 is outside the vocabulary of 29");
  expectError(session.generate({GenerationRequest{{1, -2}, 4, {}}}),
              absl::StatusCode::kInvalidArgument, "the prompt: token id -2");
  expectError(session.generate({GenerationRequest{{1}, -1, {}}}),
              absl::StatusCode::kInvalidArgument, "-1 tokens are asked for");
  const auto sampled = [&](const SamplingOptions &sampling) {
    return session.generate({good, GenerationRequest{{1}, 4, {}, sampling}});
  };
  expectError(sampled({.temperature = -0.5}), absl::StatusCode::kInvalidArgument,
              "prompt 2: temperature is -0.5; expected 0, or 0.001 to 1000");
  expectError(sampled({.temperature = NAN}), absl::StatusCode::kInvalidArgument,
              "temperature is nan");
  expectError(sampled({.temperature = 1, .topK = -1}), absl::StatusCode::kInvalidArgument,
              "top_k is -1; expected 0 or more");
  expectError(sampled({.temperature = 1, .topP = 0}), absl::StatusCode::kInvalidArgument,
              "top_p is 0; expected more than 0, and at most 1");
  expectError(sampled({.temperature = 1, .minP = 1.25}), absl::StatusCode::kInvalidArgument,
              "min_p is 1.25; expected 0 to 1");
  EXPECT_TRUE(model.steps.empty());
}

TEST(Generator, RefusesWhatTheCachesCannotHold) {
  ModelInfo info = toyInfo();
  info.pages = 2;
  ToyModel model(info);
  Session session(model);
  expectError(session.generate({GenerationRequest{promptOf(100, 1), 64, {}}}),
              absl::StatusCode::kResourceExhausted, "needs caches for 163 tokens");
  EXPECT_TRUE(session.generate({GenerationRequest{promptOf(100, 1), 29, {}}}).ok());
}

TEST(Generator, LogitsThatAreNotNumbers) {
  ToyModel model(toyInfo());
  model.breaksLogits = true;
  Session session(model);
  expectError(session.generate({GenerationRequest{promptOf(4, 1), 4, {}}}),
              absl::StatusCode::kDataLoss, "prompt 1, position 3: the logit of token 5");
}

TEST(Generator, AFailedStepEndsIt) {
  ToyModel model(toyInfo());
  Session session(model);
  int steps = 0;
  model.beforeStep = [&] {
    return ++steps == 3 ? absl::AbortedError("rank 1 is gone") : absl::OkStatus();
  };
  const std::vector<GenerationRequest> requests = {{promptOf(40, 1), 4, {}}};
  expectError(session.generate(requests), absl::StatusCode::kAborted, "rank 1 is gone");
  // Its pages came back: the same session can fill the whole context again.
  model.beforeStep = nullptr;
  for (int i = 0; i < 5; ++i)
    EXPECT_TRUE(session.generate({GenerationRequest{promptOf(150, 1), 50, {}}}).ok());
}

TEST(Generator, CanBeInterrupted) {
  ToyModel model(toyInfo());
  bool stop = false;
  Session session(model, [&] { return stop; });
  std::vector<int32_t> tokens;
  const absl::StatusOr<GenerationReport> report =
      session.generate({GenerationRequest{promptOf(4, 1), 100, {}}}, [&](size_t, int32_t token) {
        tokens.push_back(token);
        stop = tokens.size() == 7;
      });
  expectError(report, absl::StatusCode::kCancelled, "interrupted after 7 steps");
  EXPECT_EQ(tokens.size(), 7u);
}

} // namespace
} // namespace epigraph
