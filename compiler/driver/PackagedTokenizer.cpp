#include "compiler/driver/PackagedTokenizer.h"

#include <optional>

#include "absl/strings/str_cat.h"

#include "runtime/base/Json.h"
#include "runtime/base/Status.h"

namespace epigraph {
namespace {

using nlohmann::json;

/// The member `key` of an object, or null.
const json &memberOf(const json &object, const char *key) {
  static const json null;
  auto found = object.find(key);
  return object.is_object() && found != object.end() ? *found : null;
}

/// The text of the token that `add_bos_token` puts first, if it asks for one.
absl::StatusOr<std::optional<std::string>> wantedBos(std::string_view configJson) {
  if (configJson.empty())
    return std::nullopt;
  EPIGRAPH_ASSIGN_OR_RETURN(const json config, parseJson(configJson, "tokenizer_config.json"));
  if (memberOf(config, "add_bos_token") != json(true))
    return std::nullopt;
  const json &token = memberOf(config, "bos_token");
  const json &text = token.is_object() ? memberOf(token, "content") : token;
  if (!text.is_string())
    return absl::InvalidArgumentError("tokenizer_config.json: add_bos_token is true, but bos_token "
                                      "names no token; expected its text");
  return text.get<std::string>();
}

/// Whether a template in `processor` puts a special token before the text.
bool startsWithSpecialToken(const json &processor) {
  if (const json &parts = memberOf(processor, "processors"); parts.is_array()) {
    for (const json &part : parts)
      if (startsWithSpecialToken(part))
        return true;
    return false;
  }
  const json &single = memberOf(processor, "single");
  return single.is_array() && !single.empty() && single.front().is_object() &&
         single.front().contains("SpecialToken");
}

std::optional<int64_t> idOf(const json &tokenizer, const std::string &token) {
  const json &added = memberOf(tokenizer, "added_tokens");
  if (added.is_array())
    for (const json &entry : added)
      if (memberOf(entry, "content") == json(token) && memberOf(entry, "id").is_number_integer())
        return entry["id"].get<int64_t>();
  const json &id = memberOf(memberOf(memberOf(tokenizer, "model"), "vocab"), token.c_str());
  if (id.is_number_integer())
    return id.get<int64_t>();
  return std::nullopt;
}

json bosTemplate(const std::string &bos, int64_t id) {
  auto piece = [](const char *kind, const std::string &name, int type) {
    return json{{kind, {{"id", name}, {"type_id", type}}}};
  };
  const json first = piece("SpecialToken", bos, 0);
  return {{"type", "TemplateProcessing"},
          {"single", json::array({first, piece("Sequence", "A", 0)})},
          {"pair", json::array({first, piece("Sequence", "A", 0), piece("Sequence", "B", 1)})},
          {"special_tokens",
           {{bos, {{"id", bos}, {"ids", json::array({id})}, {"tokens", json::array({bos})}}}}}};
}

} // namespace

absl::StatusOr<std::string> packagedTokenizer(std::string_view tokenizerJson,
                                              std::string_view configJson) {
  EPIGRAPH_ASSIGN_OR_RETURN(const std::optional<std::string> bos, wantedBos(configJson));
  if (!bos)
    return std::string(tokenizerJson);
  EPIGRAPH_ASSIGN_OR_RETURN(json tokenizer, parseJson(tokenizerJson, "tokenizer.json"));
  const json processor = memberOf(tokenizer, "post_processor");
  if (startsWithSpecialToken(processor))
    return std::string(tokenizerJson);
  const std::optional<int64_t> id = idOf(tokenizer, *bos);
  if (!tokenizer.is_object() || !id)
    return absl::InvalidArgumentError(
        absl::StrCat("tokenizer_config.json: bos_token \"", *bos,
                     "\" is not a token of tokenizer.json; correct one of the two files"));
  json added = bosTemplate(*bos, *id);
  tokenizer["post_processor"] =
      processor.is_null()
          ? std::move(added)
          : json{{"type", "Sequence"}, {"processors", json::array({processor, std::move(added)})}};
  return tokenizer.dump(1) + "\n";
}

} // namespace epigraph
