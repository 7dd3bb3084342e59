#include <sys/stat.h>

#include "runtime/base/FileSystem.h"
#include "runtime/base/MappedFile.h"
#include "test/runtime/base/TestFiles.h"

namespace epigraph {
namespace {

size_t fileCount(const std::filesystem::path &folder) {
  return std::distance(std::filesystem::directory_iterator(folder), {});
}

TEST(FileSystemTest, ReadsWholeFiles) {
  TestFolder folder;
  std::string content("a\0b\n", 4);
  EXPECT_EQ(readFile(folder.write("file", content), 4).value(), content);
  EXPECT_EQ(readFile(folder.write("empty", ""), 0).value(), "");
  EXPECT_EQ(fileSize(folder.path() / "file").value(), 4u);
}

TEST(FileSystemTest, RefusesWhatItCannotRead) {
  TestFolder folder;
  std::string missing = (folder.path() / "missing").string();
  expectError(readFile(missing, 10), absl::StatusCode::kNotFound, missing);
  expectError(fileSize(missing), absl::StatusCode::kNotFound, missing);
  expectError(readFile(folder.path(), 10), absl::StatusCode::kInvalidArgument, "regular file");
  expectError(readFile(folder.write("long", "12345"), 4), absl::StatusCode::kInvalidArgument,
              "has 5 bytes; at most 4");
  std::filesystem::path fifo = folder.path() / "fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  expectError(readFile(fifo, 10), absl::StatusCode::kInvalidArgument, "regular file");
}

TEST(FileSystemTest, WritesUnderTheFinalNameOnlyWhenDone) {
  TestFolder folder;
  std::filesystem::path path = folder.write("file", "old");
  {
    absl::StatusOr<AtomicFile> file = AtomicFile::create(path);
    ASSERT_TRUE(file.ok());
    ASSERT_TRUE(file->append("new").ok());
    EXPECT_EQ(contentOf(path), "old");
  }
  EXPECT_EQ(contentOf(path), "old"); // Not committed.
  EXPECT_EQ(fileCount(folder.path()), 1u);
  ASSERT_TRUE(writeFileAtomically(path, "new").ok());
  EXPECT_EQ(contentOf(path), "new");
  EXPECT_EQ(fileCount(folder.path()), 1u);
}

TEST(FileSystemTest, NamesTheFileItCannotWrite) {
  TestFolder folder;
  std::filesystem::path path = folder.path() / "missing" / "file";
  expectError(writeFileAtomically(path, ""), absl::StatusCode::kNotFound, path.string());
  // A folder cannot be replaced by a file.
  std::filesystem::create_directories(folder.path() / "taken" / "inner");
  EXPECT_FALSE(writeFileAtomically(folder.path() / "taken", "").ok());
  EXPECT_EQ(fileCount(folder.path()), 1u);
}

TEST(FileSystemTest, KeepsWhatIsNoRegularFile) {
  TestFolder folder;
  std::filesystem::path pipe = folder.path() / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  expectError(writeFileAtomically(pipe, "x"), absl::StatusCode::kInvalidArgument,
              "pipe: it is not a regular file");
  EXPECT_TRUE(std::filesystem::is_fifo(pipe));
}

TEST(FileSystemTest, KnowsPathsThatStayInside) {
  for (const char *path : {"a", "weights/rank-0.safetensors", "a..b", ".hidden", "..."})
    EXPECT_TRUE(isContainedPath(path)) << path;
  for (const char *path :
       {"", "/a", "..", "../a", "a/..", "a/../b", "./a", "a/./b", "a//b", "a/", "a\\b"})
    EXPECT_FALSE(isContainedPath(path)) << path;
  EXPECT_FALSE(isContainedPath(std::string_view("a\0b", 3)));
}

TEST(MappedFileTest, MapsAndMoves) {
  TestFolder folder;
  absl::StatusOr<MappedFile> file = MappedFile::open(folder.write("file", "abc"));
  ASSERT_TRUE(file.ok());
  const uint8_t *address = file->bytes().data();
  MappedFile moved = std::move(*file);
  EXPECT_EQ(moved.bytes().data(), address);
  EXPECT_EQ(moved.bytes(), absl::MakeConstSpan({uint8_t{'a'}, uint8_t{'b'}, uint8_t{'c'}}));
  EXPECT_TRUE(MappedFile::open(folder.write("empty", ""))->bytes().empty());
}

TEST(MappedFileTest, NamesTheFileItCannotMap) {
  TestFolder folder;
  std::string missing = (folder.path() / "missing").string();
  expectError(MappedFile::open(missing), absl::StatusCode::kNotFound, missing);
  expectError(MappedFile::open(folder.path()), absl::StatusCode::kInvalidArgument, "regular file");
}

} // namespace
} // namespace epigraph
