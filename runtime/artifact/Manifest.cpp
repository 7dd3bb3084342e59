#include "runtime/artifact/Manifest.h"

#include <algorithm>

#include "runtime/base/FileSystem.h"
#include "runtime/base/Json.h"
#include "runtime/base/Status.h"

namespace epigraph {
namespace {

using nlohmann::json;

bool isSha256(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == text.npos;
}

void readModel(JsonObject object, Manifest::Model &model) {
  object.read("architecture", model.architecture);
  object.read("vocab", model.vocab);
  object.read("hidden", model.hidden);
  object.read("layers", model.layers);
  object.read("context", model.context);
  object.read("has_mtp", model.hasMtp);
  object.refuseUnknownKeys();
}

void readTarget(JsonObject object, Manifest::Target &target) {
  object.read("name", target.name);
  object.read("features", target.features);
  object.refuseUnknownKeys();
}

void readLimits(JsonObject object, Manifest::Limits &limits) {
  object.read("batch_tokens", limits.batchTokens);
  object.read("sequences", limits.sequences);
  object.read("context", limits.context);
  object.read("page_tokens", limits.pageTokens);
  object.refuseUnknownKeys();
}

void readMemory(JsonObject object, uint32_t ranks, Manifest::Memory &memory) {
  object.read("arena_bytes", memory.arenaBytes);
  object.read("arena_naive_bytes", memory.arenaNaiveBytes);
  object.read("weight_bytes", memory.weightBytes);
  if (object.ok() && memory.weightBytes.size() != ranks)
    object.fail("weight_bytes", absl::StrCat("expected one size for each of ", ranks,
                                             " ranks, found ", memory.weightBytes.size()));
  object.read("shared_weight_bytes", memory.sharedWeightBytes);
  object.read("cache_bytes_per_token", memory.cacheBytesPerToken);
  object.refuseUnknownKeys();
}

void readTokens(JsonObject object, Manifest::Tokens &tokens) {
  if (object.has("bos"))
    object.read("bos", tokens.bos.emplace());
  object.readOptional("eos", tokens.eos);
  object.refuseUnknownKeys();
}

void readFiles(JsonObject object, std::map<std::string, Manifest::File> &files) {
  for (const auto &[path, unused] : object.value().items()) {
    if (!isContainedPath(path))
      object.fail(path, "expected a relative path without '.' and '..'");
    JsonObject entry = object.object(path);
    Manifest::File file;
    entry.read("bytes", file.bytes);
    entry.read("sha256", file.sha256);
    if (entry.ok() && !isSha256(file.sha256))
      entry.fail("sha256", "expected 64 lower-case hexadecimal digits");
    entry.refuseUnknownKeys();
    files.emplace(path, std::move(file));
  }
}

void readSummary(JsonObject object, Manifest::Summary &summary) {
  object.read("ops", summary.ops);
  object.read("fused_ops", summary.fusedOps);
  object.read("kernels", summary.kernels);
  object.refuseUnknownKeys();
}

/// Reads a string that must be one of two words.
void readChoice(JsonObject &object, std::string_view key, std::string_view first,
                std::string_view second, std::string &out) {
  object.read(key, out);
  if (object.ok() && out != first && out != second)
    object.fail(key, absl::StrCat("expected \"", abslView(first), "\" or \"", abslView(second),
                                  "\", found \"", out, "\""));
}

/// The version comes first: nothing else of another version's manifest can be relied on.
absl::Status checkFormatVersion(JsonObject &root) {
  uint32_t version = 0;
  root.read("format_version", version);
  if (!root.ok() || version == Manifest::kFormatVersion)
    return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      root.where(), ".format_version: this build reads version ", Manifest::kFormatVersion,
      ", found ", version, "; compile the model again with this version of Epigraph"));
}

json toJson(const Manifest::Tokens &tokens) {
  json object = {{"eos", tokens.eos}};
  if (tokens.bos)
    object["bos"] = *tokens.bos;
  return object;
}

json toJson(const Manifest::Memory &memory) {
  return {{"arena_bytes", memory.arenaBytes},
          {"arena_naive_bytes", memory.arenaNaiveBytes},
          {"weight_bytes", memory.weightBytes},
          {"shared_weight_bytes", memory.sharedWeightBytes},
          {"cache_bytes_per_token", memory.cacheBytesPerToken}};
}

json toJson(const Manifest &manifest) {
  json files = json::object();
  for (const auto &[path, file] : manifest.files)
    files[path] = {{"bytes", file.bytes}, {"sha256", file.sha256}};
  const Manifest::Model &model = manifest.model;
  const Manifest::Limits &limits = manifest.limits;
  const Manifest::Summary &summary = manifest.summary;
  return {{"format_version", Manifest::kFormatVersion},
          {"generator", manifest.generator},
          {"model",
           {{"architecture", model.architecture},
            {"vocab", model.vocab},
            {"hidden", model.hidden},
            {"layers", model.layers},
            {"context", model.context},
            {"has_mtp", model.hasMtp}}},
          {"target", {{"name", manifest.target.name}, {"features", manifest.target.features}}},
          {"compute", manifest.compute},
          {"ranks", manifest.ranks},
          {"attention", manifest.attention},
          {"limits",
           {{"batch_tokens", limits.batchTokens},
            {"sequences", limits.sequences},
            {"context", limits.context},
            {"page_tokens", limits.pageTokens}}},
          {"memory", toJson(manifest.memory)},
          {"tokens", toJson(manifest.tokens)},
          {"files", files},
          {"summary",
           {{"ops", summary.ops}, {"fused_ops", summary.fusedOps}, {"kernels", summary.kernels}}}};
}

} // namespace

absl::StatusOr<Manifest> parseManifest(std::string_view text, std::string_view source) {
  EPIGRAPH_ASSIGN_OR_RETURN(json value, parseJson(text, source));
  absl::Status status;
  JsonObject root(value, std::string(source), &status);
  EPIGRAPH_RETURN_IF_ERROR(checkFormatVersion(root));
  Manifest manifest;
  root.read("generator", manifest.generator);
  readModel(root.object("model"), manifest.model);
  readTarget(root.object("target"), manifest.target);
  readChoice(root, "compute", "bf16", "float32", manifest.compute);
  root.read("ranks", manifest.ranks);
  if (root.ok() && (manifest.ranks == 0 || manifest.ranks > 65535))
    root.fail("ranks", absl::StrCat("expected 1 to 65535, found ", manifest.ranks));
  readChoice(root, "attention", "replicated", "data", manifest.attention);
  readLimits(root.object("limits"), manifest.limits);
  readMemory(root.object("memory"), manifest.ranks, manifest.memory);
  if (root.has("tokens"))
    readTokens(root.object("tokens"), manifest.tokens);
  readFiles(root.object("files"), manifest.files);
  readSummary(root.object("summary"), manifest.summary);
  root.refuseUnknownKeys();
  EPIGRAPH_RETURN_IF_ERROR(status);
  return manifest;
}

absl::StatusOr<std::string> printManifest(const Manifest &manifest) {
  // nlohmann throws on invalid UTF-8 unless told to replace it; the way back shows whether it had
  // to.
  json value = toJson(manifest);
  std::string text = value.dump(2, ' ', /*ensure_ascii=*/false, json::error_handler_t::replace);
  if (json::parse(text, nullptr, /*allow_exceptions=*/false) != value)
    return absl::InvalidArgumentError("manifest: a string is not valid UTF-8");
  return text + "\n";
}

} // namespace epigraph
