#include "tools/epigraph/RunReport.h"

#include <unistd.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/str_join.h"

namespace epigraph::tool {
namespace {

using Json = nlohmann::ordered_json;

void print(const std::string &text) { std::fwrite(text.data(), 1, text.size(), stdout); }

std::string textOf(const LoadedModel &model, const std::vector<int32_t> &ids) {
  return model.tokenizer() ? model.tokenizer()->decode(ids) : absl::StrJoin(ids, " ");
}

const char *nameOf(StopReason reason) {
  switch (reason) {
  case StopReason::EndOfSequence:
    return "end_of_sequence";
  case StopReason::MaxTokens:
    return "max_tokens";
  case StopReason::Context:
    return "context";
  }
  return "";
}

double rate(int64_t tokens, double seconds) {
  return seconds > 0 ? static_cast<double>(tokens) / seconds : 0;
}

/// null for the most likely tokens.
Json samplingJson(const SamplingOptions &sampling, uint64_t seed) {
  if (sampling.isGreedy())
    return {};
  return {{"temperature", sampling.temperature},
          {"top_k", sampling.topK},
          {"top_p", sampling.topP},
          {"min_p", sampling.minP},
          {"seed", seed}};
}

Json resultJson(const LoadedModel &model, const GenerationRequest &request,
                const GenerationResult &result) {
  return {{"token_ids", result.ids},
          {"text", model.tokenizer() ? Json(model.tokenizer()->decode(result.ids)) : Json()},
          {"prompt_tokens", request.ids.size()},
          {"stopped_by", nameOf(result.reason)},
          {"sampling", samplingJson(request.sampling, result.seed)},
          {"first_token_seconds", result.firstTokenSeconds}};
}

Json timingsJson(const GenerationStats &stats, double loadSeconds) {
  return {{"load_seconds", loadSeconds},
          {"steps", stats.steps},
          {"prefill_tokens", stats.prefillTokens},
          {"prefill_seconds", stats.prefillSeconds},
          {"prefill_tokens_per_second", rate(stats.prefillTokens, stats.prefillSeconds)},
          {"decode_tokens", stats.decodeTokens},
          {"decode_seconds", stats.decodeSeconds},
          {"decode_tokens_per_second", rate(stats.decodeTokens, stats.decodeSeconds)}};
}

} // namespace

TextStream::TextStream(const Tokenizer *tokenizer) {
  if (tokenizer)
    decoder.emplace(*tokenizer);
}

void TextStream::push(int32_t token) {
  print(decoder ? decoder->push(token) : std::to_string(token) + " ");
  std::fflush(stdout);
  begun = true;
}

void TextStream::finish() {
  print((decoder ? decoder->finish() : std::string()) + "\n");
  std::fflush(stdout);
}

void printTexts(const LoadedModel &model, const GenerationReport &report) {
  for (const GenerationResult &result : report.results)
    print(textOf(model, result.ids) + "\n");
}

void printTimings(absl::Span<const GenerationRequest> requests, const GenerationReport &report,
                  double loadSeconds) {
  if (!isatty(STDERR_FILENO))
    return;
  const GenerationStats &stats = report.stats;
  std::fprintf(stderr,
               "loaded in %.3f s; %lld prompt tokens at %.1f tokens/s, %lld generated at %.1f "
               "tokens/s, %lld steps\n",
               loadSeconds, static_cast<long long>(stats.prefillTokens),
               rate(stats.prefillTokens, stats.prefillSeconds),
               static_cast<long long>(stats.decodeTokens),
               rate(stats.decodeTokens, stats.decodeSeconds), static_cast<long long>(stats.steps));
  if (requests.size() == 1 && !requests.front().sampling.isGreedy())
    std::fprintf(stderr, "seed %llu\n",
                 static_cast<unsigned long long>(report.results.front().seed));
}

void printJson(const LoadedModel &model, absl::Span<const GenerationRequest> requests,
               const GenerationReport &report, double loadSeconds, bool many) {
  std::vector<Json> results;
  for (size_t i = 0; i < requests.size(); ++i)
    results.push_back(resultJson(model, requests[i], report.results[i]));
  Json json = many ? Json{{"results", results}} : results.front();
  json["timings"] = timingsJson(report.stats, loadSeconds);
  print(json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
}

} // namespace epigraph::tool
