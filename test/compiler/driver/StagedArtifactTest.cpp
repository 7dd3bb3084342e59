#include "compiler/driver/StagedArtifact.h"

#include "test/runtime/base/TestFiles.h"

namespace epigraph {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> namesIn(const fs::path &folder) {
  std::vector<std::string> names;
  for (const fs::directory_entry &entry : fs::directory_iterator(folder))
    names.push_back(entry.path().filename().string());
  return names;
}

/// Writes an artifact of one file.
absl::Status writeArtifact(const fs::path &path, std::string_view content) {
  absl::StatusOr<StagedArtifact> staged = StagedArtifact::create(path);
  if (!staged.ok())
    return staged.status();
  if (absl::Status status = staged->addFile("plan.fb", content); !status.ok())
    return status;
  Manifest manifest;
  return staged->commit(manifest);
}

TEST(StagedArtifactTest, AppearsWhenCommitted) {
  TestFolder folder;
  fs::path path = folder.path() / "x.epi";
  absl::StatusOr<StagedArtifact> staged = StagedArtifact::create(path);
  ASSERT_TRUE(staged.ok()) << staged.status();
  ASSERT_TRUE(staged->addFile("plan.fb", "plan").ok());
  EXPECT_FALSE(fs::exists(path));
  Manifest manifest;
  absl::Status status = staged->commit(manifest);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(namesIn(folder.path()), std::vector<std::string>{"x.epi"});
  ASSERT_EQ(manifest.files.size(), 1u);
  EXPECT_EQ(manifest.files["plan.fb"].bytes, 4u);
  // sha256sum of "plan".
  EXPECT_EQ(manifest.files["plan.fb"].sha256,
            "64879f7d6b960a01909762d911a32d4582c20010c5641ee90278b644a9e3b525");
  EXPECT_THAT(contentOf(path / "manifest.json"), testing::HasSubstr("\"format_version\": 1"));
}

TEST(StagedArtifactTest, GoesWithoutCommit) {
  TestFolder folder;
  {
    absl::StatusOr<StagedArtifact> staged = StagedArtifact::create(folder.path() / "x.epi");
    ASSERT_TRUE(staged.ok()) << staged.status();
    EXPECT_EQ(namesIn(folder.path()).size(), 1u);
    StagedArtifact moved = std::move(*staged);
  }
  EXPECT_TRUE(namesIn(folder.path()).empty());
}

TEST(StagedArtifactTest, ReplacesAnArtifact) {
  TestFolder folder;
  fs::path path = folder.path() / "x.epi";
  ASSERT_TRUE(writeArtifact(path, "old").ok());
  absl::Status status = writeArtifact(path.string() + "/", "new"); // A slash changes nothing.
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(contentOf(path / "plan.fb"), "new");
  EXPECT_EQ(namesIn(folder.path()), std::vector<std::string>{"x.epi"});
}

TEST(StagedArtifactTest, KeepsWhatIsNoArtifact) {
  TestFolder folder;
  fs::path file = folder.write("file", "text");
  fs::path other = folder.write("other/manifest.json", "{\"name\": \"a web app\"}");
  expectError(writeArtifact(file, ""), absl::StatusCode::kAlreadyExists,
              "not an Epigraph artifact");
  expectError(writeArtifact(other.parent_path(), ""), absl::StatusCode::kAlreadyExists, "other");
  EXPECT_EQ(contentOf(file), "text");
  EXPECT_EQ(namesIn(folder.path()).size(), 2u);
}

TEST(StagedArtifactTest, WantsTheFolderAbove) {
  TestFolder folder;
  expectError(writeArtifact(folder.path() / "absent" / "x.epi", ""), absl::StatusCode::kNotFound,
              "absent' does not exist");
}

} // namespace
} // namespace epigraph
