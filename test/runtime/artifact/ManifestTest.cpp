#include "runtime/artifact/Manifest.h"

#include "nlohmann/json.hpp"

#include "runtime/artifact/Sha256.h"
#include "test/runtime/artifact/SampleManifest.h"
#include "test/runtime/base/TestFiles.h"

namespace epigraph {
namespace {

using nlohmann::json;

constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;

Manifest sampleWithFile() {
  Manifest manifest = sampleManifest();
  manifest.files["weights/shared.safetensors"] = {12, sha256Hex("abc")};
  return manifest;
}

/// The file, written down: what other programs may rely on.
constexpr const char *kText = R"({
  "attention": "replicated",
  "compute": "bf16",
  "files": {
    "weights/shared.safetensors": {
      "bytes": 12,
      "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    }
  },
  "format_version": 1,
  "generator": "epigraph 0.1.0",
  "limits": {
    "batch_tokens": 7,
    "context": 128,
    "page_tokens": 64,
    "sequences": 3
  },
  "memory": {
    "arena_bytes": 4096,
    "arena_naive_bytes": 9000,
    "cache_bytes_per_token": 32,
    "shared_weight_bytes": 1024,
    "weight_bytes": [
      10,
      20
    ]
  },
  "model": {
    "architecture": "DeepseekV3ForCausalLM",
    "context": 128,
    "has_mtp": false,
    "hidden": 16,
    "layers": 1,
    "vocab": 32
  },
  "ranks": 2,
  "summary": {
    "fused_ops": 30,
    "kernels": 1,
    "ops": 40
  },
  "target": {
    "features": [
      "avx2",
      "avx512f"
    ],
    "name": "cpu:x86-64-v4"
  },
  "tokens": {
    "bos": 0,
    "eos": [
      1
    ]
  }
}
)";

TEST(ManifestTest, PrintsTheSameTextAlways) {
  EXPECT_EQ(printManifest(sampleWithFile()).value(), kText);
}

TEST(ManifestTest, ReadsEveryField) {
  absl::StatusOr<Manifest> manifest = parseManifest(kText, "f");
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_EQ(manifest->model.architecture, "DeepseekV3ForCausalLM");
  EXPECT_EQ(manifest->memory.weightBytes, (std::vector<uint64_t>{10, 20}));
  EXPECT_EQ(manifest->tokens.bos, 0u);
  EXPECT_EQ(printManifest(*manifest).value(), kText);
}

TEST(ManifestTest, TokensAreOptional) {
  json value = json::parse(kText);
  value["tokens"].erase("bos");
  EXPECT_EQ(parseManifest(value.dump(), "f")->tokens.bos, std::nullopt);
  value.erase("tokens");
  absl::StatusOr<Manifest> manifest = parseManifest(value.dump(), "f");
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_TRUE(manifest->tokens.eos.empty());
}

TEST(ManifestTest, RefusesInvalidText) {
  Manifest manifest = sampleManifest();
  manifest.generator = "\xff";
  expectError(printManifest(manifest), kInvalid, "UTF-8");
  expectError(parseManifest("{", "f"), kInvalid, "f: parse error");
  expectError(parseManifest("[]", "f"), kInvalid, "f: expected an object");
}

TEST(ManifestTest, RefusesAnotherVersionBeforeAllElse) {
  expectError(parseManifest(R"({"format_version": 2, "new": 1})", "f"),
              absl::StatusCode::kFailedPrecondition, "reads version 1, found 2");
}

TEST(ManifestTest, RefusesEveryMissingKey) {
  json flat = json::parse(kText).flatten();
  for (const auto &[pointer, unused] : flat.items()) {
    if (pointer.starts_with("/tokens/") || pointer.starts_with("/target/features/") ||
        pointer.starts_with("/memory/weight_bytes/"))
      continue;
    json value = json::parse(kText);
    json::json_pointer path(pointer);
    value[path.parent_pointer()].erase(path.back());
    expectError(parseManifest(value.dump(), "f"), kInvalid, "missing");
    expectError(parseManifest(value.dump(), "f"), kInvalid, path.back());
  }
}

TEST(ManifestTest, RefusesUnknownKeysEverywhere) {
  for (const char *object : {"", "/model", "/target", "/limits", "/memory", "/tokens", "/summary",
                             "/files/weights~1shared.safetensors"}) {
    json value = json::parse(kText);
    value[json::json_pointer(object)]["extra"] = 1;
    expectError(parseManifest(value.dump(), "f"), kInvalid, "extra: unknown key");
  }
}

TEST(ManifestTest, RefusesWrongValues) {
  const std::tuple<const char *, json, const char *> changes[] = {
      {"/compute", "fp8", "f.compute: expected \"bf16\" or \"float32\", found \"fp8\""},
      {"/attention", "none", "f.attention: expected \"replicated\" or \"data\""},
      {"/ranks", 0, "f.ranks: expected 1 to 65535"},
      {"/ranks", 65536, "f.ranks: expected 1 to 65535"},
      {"/ranks", 3, "f.memory.weight_bytes: expected one size for each of 3 ranks, found 2"},
      {"/model/vocab", "32", "f.model.vocab: expected an integer"},
      {"/model/has_mtp", 0, "f.model.has_mtp: expected a boolean"},
      {"/target/features", "avx2", "f.target.features: expected an array"},
      {"/limits/batch_tokens", -1, "f.limits.batch_tokens"},
      {"/memory/arena_bytes", 1.5, "f.memory.arena_bytes"},
      {"/tokens/eos", 1, "f.tokens.eos: expected an array"},
      {"/files/..~1x", json{{"bytes", 1}, {"sha256", sha256Hex("")}},
       "f.files.../x: expected a relative"},
      {"/files/~1x", json{{"bytes", 1}, {"sha256", sha256Hex("")}},
       "f.files./x: expected a relative"},
      {"/files/x", json{{"bytes", 1}, {"sha256", "00"}}, "f.files.x.sha256: expected 64"},
      {"/files/x", 3, "f.files.x: expected an object"},
  };
  for (const auto &[pointer, replacement, message] : changes) {
    json value = json::parse(kText);
    value[json::json_pointer(pointer)] = replacement;
    expectError(parseManifest(value.dump(), "f"), kInvalid, message);
  }
}

TEST(Sha256Test, KnowsTheStandardsVectors) {
  EXPECT_EQ(sha256Hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256Hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  TestFolder folder;
  EXPECT_EQ(sha256HexOfFile(folder.write("a", std::string(1'000'000, 'a'))).value(),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  expectError(sha256HexOfFile(folder.path() / "b"), absl::StatusCode::kNotFound, "b");
}

} // namespace
} // namespace epigraph
