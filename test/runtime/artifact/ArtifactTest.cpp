#include "runtime/artifact/Artifact.h"

#include "runtime/artifact/Sha256.h"
#include "test/runtime/artifact/SampleManifest.h"
#include "test/runtime/artifact/SamplePlan.h"
#include "test/runtime/base/TestFiles.h"

namespace epigraph {
namespace {

constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;

/// A folder with a valid artifact, whose manifest tests change.
class ArtifactTest : public testing::Test {
protected:
  ArtifactTest() : manifest(sampleManifest()) {
    std::vector<uint8_t> plan = packPlan(samplePlan());
    add("plan.fb", std::string(plan.begin(), plan.end()));
    add("kernels.so", "kernels");
    add("weights/shared.safetensors", "shared");
    add("weights/rank-0.safetensors", "zero");
    add("weights/rank-1.safetensors", "one");
  }

  void add(const std::string &name, const std::string &content) {
    folder.write(name, content);
    manifest.files[name] = {content.size(), sha256Hex(content)};
  }

  absl::StatusOr<Artifact> open(VerifyMode mode = VerifyMode::Quick) {
    folder.write("manifest.json", printManifest(manifest).value());
    return Artifact::open(folder.path(), mode);
  }

  TestFolder folder;
  Manifest manifest;
};

TEST_F(ArtifactTest, Opens) {
  absl::StatusOr<Artifact> artifact = open(VerifyMode::Full);
  ASSERT_TRUE(artifact.ok()) << artifact.status();
  EXPECT_EQ(artifact->manifest().ranks, 2u);
  EXPECT_NE(artifact->plan().function("main"), nullptr);
  EXPECT_EQ(artifact->file(rankWeightsFile(1)).value(),
            folder.path() / "weights/rank-1.safetensors");
  expectError(artifact->file("other"), absl::StatusCode::kNotFound, "has no file other");
}

TEST_F(ArtifactTest, RefusesFoldersWithoutManifest) {
  expectError(Artifact::open(folder.path() / "x", VerifyMode::Quick), absl::StatusCode::kNotFound,
              "is not a folder");
  expectError(Artifact::open(folder.path(), VerifyMode::Quick), absl::StatusCode::kNotFound,
              "manifest.json");
}

TEST_F(ArtifactTest, RefusesMissingFiles) {
  std::filesystem::remove(folder.path() / "kernels.so");
  expectError(open(), absl::StatusCode::kNotFound, "kernels.so");
}

TEST_F(ArtifactTest, RefusesAManifestWithoutRequiredFiles) {
  for (const char *file : {"plan.fb", "weights/shared.safetensors", "weights/rank-1.safetensors"}) {
    Manifest::File entry = manifest.files.at(file);
    manifest.files.erase(file);
    expectError(open(), kInvalid, std::string("files.") + file + ": missing");
    manifest.files[file] = entry;
  }
}

TEST_F(ArtifactTest, SaysWhichSizeDiffers) {
  folder.write("weights/rank-1.safetensors", "ones");
  absl::StatusOr<Artifact> artifact = open();
  expectError(artifact, absl::StatusCode::kDataLoss, "rank-1.safetensors' has 4 bytes");
  expectError(artifact, absl::StatusCode::kDataLoss, "the manifest says 3");
}

TEST_F(ArtifactTest, SaysWhichDigestDiffers) {
  folder.write("weights/rank-1.safetensors", "two");
  absl::StatusOr<Artifact> artifact = open();
  expectError(artifact, absl::StatusCode::kDataLoss,
              "rank-1.safetensors' has sha256 " + sha256Hex("two"));
  expectError(artifact, absl::StatusCode::kDataLoss, "the manifest says " + sha256Hex("one"));
}

TEST_F(ArtifactTest, HashesLargeFilesOnRequest) {
  std::string large(Artifact::kQuickHashBytes, 'x');
  add("weights/shared.safetensors", large);
  large[5] = 'y';
  folder.write("weights/shared.safetensors", large);
  EXPECT_TRUE(open(VerifyMode::Quick).ok());
  expectError(open(VerifyMode::Full), absl::StatusCode::kDataLoss, "shared.safetensors");
}

TEST_F(ArtifactTest, RefusesABrokenPlan) {
  add("plan.fb", "broken");
  expectError(open(), kInvalid, "plan.fb: not a plan");
}

TEST_F(ArtifactTest, RefusesAPlanThatContradictsTheManifest) {
  const std::pair<std::function<void(Manifest &)>, const char *> changes[] = {
      {[](Manifest &m) { m.limits.batchTokens = 8; }, "limits.batch_tokens 8, the plan 7"},
      {[](Manifest &m) { m.limits.sequences = 8; }, "limits.sequences"},
      {[](Manifest &m) { m.limits.context = 8; }, "limits.context"},
      {[](Manifest &m) { m.limits.pageTokens = 8; }, "limits.page_tokens"},
      {[](Manifest &m) { m.memory.arenaBytes = 8; }, "memory.arena_bytes"},
      {[](Manifest &m) {
         m.ranks = 1;
         m.memory.weightBytes = {1};
       },
       "ranks 1, the plan 2"},
      {[](Manifest &m) { m.attention = "data"; }, "attention data"},
      {[](Manifest &m) { m.model.hasMtp = true; }, "model.has_mtp"},
  };
  for (const auto &[change, message] : changes) {
    Manifest original = manifest;
    change(manifest);
    expectError(open(), kInvalid, message);
    manifest = original;
  }
}

} // namespace
} // namespace epigraph
