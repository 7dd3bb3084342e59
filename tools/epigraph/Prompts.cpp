#include "tools/epigraph/Prompts.h"

#include <algorithm>
#include <iterator>

#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "runtime/base/FileSystem.h"
#include "runtime/base/Status.h"

namespace epigraph::tool {
namespace {

using Json = nlohmann::json;

constexpr uint64_t kMaxPromptBytes = uint64_t{1} << 30;

/// An integer of `json` that fits a token id or a count.
absl::StatusOr<int32_t> integerOf(const Json &json, const std::string &key) {
  if (!json.is_number_integer())
    return absl::InvalidArgumentError(
        absl::StrCat("\"", key, "\": expected an integer, found ", json.dump()));
  const bool fits =
      json.is_number_unsigned() ? json.get<uint64_t>() <= INT32_MAX : json.get<int64_t>() >= 0;
  if (!fits)
    return absl::InvalidArgumentError(absl::StrCat("\"", key, "\": ", json.dump(),
                                                   " is out of range; expected 0 to ", INT32_MAX));
  return static_cast<int32_t>(json.get<int64_t>());
}

absl::StatusOr<std::vector<int32_t>> idsOf(const Json &json) {
  if (!json.is_array())
    return absl::InvalidArgumentError("\"ids\": expected a list of token ids");
  std::vector<int32_t> ids;
  for (const Json &entry : json) {
    EPIGRAPH_ASSIGN_OR_RETURN(const int32_t id, integerOf(entry, "ids"));
    ids.push_back(id);
  }
  return ids;
}

constexpr const char *kKeys[] = {"prompt", "ids",   "max_tokens", "temperature",
                                 "top_k",  "top_p", "min_p",      "seed"};

/// Sets `number` to the number that `object` has at `key`, if any.
absl::Status readNumber(const Json &object, const char *key, double &number) {
  if (!object.contains(key))
    return absl::OkStatus();
  const Json &value = object[key];
  if (!value.is_number())
    return absl::InvalidArgumentError(
        absl::StrCat("\"", key, "\": expected a number, found ", value.dump()));
  number = value.get<double>();
  return absl::OkStatus();
}

/// Sets what `object` says of the choice of tokens.
absl::Status readSampling(const Json &object, SamplingOptions &sampling) {
  EPIGRAPH_RETURN_IF_ERROR(readNumber(object, "temperature", sampling.temperature));
  EPIGRAPH_RETURN_IF_ERROR(readNumber(object, "top_p", sampling.topP));
  EPIGRAPH_RETURN_IF_ERROR(readNumber(object, "min_p", sampling.minP));
  if (object.contains("top_k")) {
    EPIGRAPH_ASSIGN_OR_RETURN(sampling.topK, integerOf(object["top_k"], "top_k"));
  }
  if (!object.contains("seed"))
    return absl::OkStatus();
  const Json &seed = object["seed"];
  if (!seed.is_number_unsigned())
    return absl::InvalidArgumentError(
        absl::StrCat("\"seed\": expected an integer from 0 on, found ", seed.dump()));
  sampling.seed = seed.get<uint64_t>();
  return absl::OkStatus();
}

absl::StatusOr<GenerationRequest> parseLine(absl::string_view line, const LoadedModel &model,
                                            int32_t maxTokens, const SamplingOptions &sampling) {
  const Json object = Json::parse(line.begin(), line.end(), nullptr, /*allow_exceptions=*/false);
  if (!object.is_object())
    return absl::InvalidArgumentError(
        "not a JSON object; expected {\"prompt\": \"...\"} or {\"ids\": [...]}");
  for (const auto &[key, value] : object.items())
    if (std::find(std::begin(kKeys), std::end(kKeys), key) == std::end(kKeys))
      return absl::InvalidArgumentError(
          absl::StrCat("\"", key, "\" is not known; expected ", absl::StrJoin(kKeys, ", ")));
  if (object.contains("prompt") == object.contains("ids"))
    return absl::InvalidArgumentError("expected either \"prompt\" or \"ids\"");

  GenerationRequest request;
  request.maxTokens = maxTokens;
  request.eos = model.endTokens();
  request.sampling = sampling;
  EPIGRAPH_RETURN_IF_ERROR(readSampling(object, request.sampling));
  if (object.contains("max_tokens")) {
    EPIGRAPH_ASSIGN_OR_RETURN(request.maxTokens, integerOf(object["max_tokens"], "max_tokens"));
  }
  if (object.contains("ids")) {
    EPIGRAPH_ASSIGN_OR_RETURN(request.ids, idsOf(object["ids"]));
    return request;
  }
  const auto *prompt = object["prompt"].get_ptr<const std::string *>();
  if (!prompt)
    return absl::InvalidArgumentError("\"prompt\": expected a string");
  EPIGRAPH_ASSIGN_OR_RETURN(request.ids, model.encode(*prompt));
  return request;
}

} // namespace

absl::StatusOr<std::vector<int32_t>> parseIds(const std::string &text) {
  std::vector<int32_t> ids;
  for (const absl::string_view entry : absl::StrSplit(text, ',')) {
    int32_t id = 0;
    if (!absl::SimpleAtoi(entry, &id) || id < 0)
      return absl::InvalidArgumentError(
          absl::StrCat("--ids: '", entry, "' is not a token id; expected a list such as 0,5,7"));
    ids.push_back(id);
  }
  return ids;
}

absl::StatusOr<std::vector<GenerationRequest>> readPrompts(const std::string &path,
                                                           const LoadedModel &model,
                                                           int32_t maxTokens,
                                                           const SamplingOptions &sampling) {
  EPIGRAPH_ASSIGN_OR_RETURN(const std::string content, readFile(path, kMaxPromptBytes));
  std::vector<GenerationRequest> requests;
  size_t number = 0;
  for (const absl::string_view line : absl::StrSplit(content, '\n')) {
    ++number;
    if (absl::StripAsciiWhitespace(line).empty())
      continue;
    absl::StatusOr<GenerationRequest> request = parseLine(line, model, maxTokens, sampling);
    if (!request.ok())
      return withContext(request.status(), absl::StrCat(path, ", line ", number));
    requests.push_back(*std::move(request));
  }
  if (requests.empty())
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": no prompts; expected one JSON object a line: {\"prompt\": \"...\"}"));
  return requests;
}

} // namespace epigraph::tool
