#include "runtime/artifact/SafetensorsWriter.h"

#include "runtime/artifact/Safetensors.h"
#include "test/runtime/base/TestFiles.h"

namespace epigraph {
namespace {

const std::vector<TensorDeclaration> kTensors = {
    {"z \"quoted\" é", DType::F32, {2, 3}}, {"empty", DType::U8, {0}}, {"a", DType::BF16, {}}};

std::vector<uint8_t> someBytes(size_t count) {
  std::vector<uint8_t> bytes(count);
  for (size_t i = 0; i < count; ++i)
    bytes[i] = static_cast<uint8_t>(3 * i + 1);
  return bytes;
}

absl::Status writeInPieces(const std::filesystem::path &path, size_t pieceBytes) {
  absl::StatusOr<SafetensorsWriter> writer =
      SafetensorsWriter::create(path, kTensors, {{"format", "pt"}});
  if (!writer.ok())
    return writer.status();
  std::vector<uint8_t> bytes = someBytes(26);
  for (size_t i = 0; i < bytes.size(); i += pieceBytes)
    if (absl::Status status = writer->append(absl::MakeConstSpan(bytes).subspan(i, pieceBytes));
        !status.ok())
      return status;
  return writer->finish();
}

TEST(SafetensorsWriterTest, WritesWhatIsReadBack) {
  TestFolder folder;
  std::filesystem::path path = folder.path() / "file.safetensors";
  ASSERT_TRUE(writeInPieces(path, 5).ok());
  absl::StatusOr<SafetensorsFile> file = SafetensorsFile::open(path);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->metadata().at("format"), "pt");
  std::vector<uint8_t> bytes = someBytes(26);
  const StoredTensor *first = file->find(kTensors[0].name);
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(first->dtype, DType::F32);
  EXPECT_EQ(first->shape, kTensors[0].shape);
  EXPECT_EQ(first->bytes, absl::MakeConstSpan(bytes).subspan(0, 24));
  EXPECT_EQ(file->find("a")->bytes, absl::MakeConstSpan(bytes).subspan(24));
  EXPECT_EQ(file->find("empty")->bytes.size(), 0u);
}

TEST(SafetensorsWriterTest, WritesTheSameBytesAligned) {
  TestFolder folder;
  ASSERT_TRUE(writeInPieces(folder.path() / "1", 1).ok());
  ASSERT_TRUE(writeInPieces(folder.path() / "2", 26).ok());
  std::string content = contentOf(folder.path() / "1");
  EXPECT_EQ(content, contentOf(folder.path() / "2"));
  EXPECT_EQ(content.size(), SafetensorsWriter::kDataAlignment + 26);
  // The header, written down: the format as other readers see it.
  std::string header = R"({"__metadata__":{"format":"pt"},)"
                       R"("z \"quoted\" é":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},)"
                       R"("empty":{"dtype":"U8","shape":[0],"data_offsets":[24,24]},)"
                       R"("a":{"dtype":"BF16","shape":[],"data_offsets":[24,26]}})";
  header.resize(4088, ' ');
  EXPECT_EQ(content.substr(0, 4096), std::string("\xf8\x0f\0\0\0\0\0\0", 8) + header);
}

TEST(SafetensorsWriterTest, LeavesNothingBehindWhenDataIsMissing) {
  TestFolder folder;
  std::filesystem::path path = folder.path() / "file";
  {
    absl::StatusOr<SafetensorsWriter> writer = SafetensorsWriter::create(path, kTensors);
    ASSERT_TRUE(writer.ok());
    ASSERT_TRUE(writer->append(someBytes(25)).ok());
    expectError(writer->finish(), absl::StatusCode::kFailedPrecondition, "1 declared bytes");
    expectError(writer->append(someBytes(2)), absl::StatusCode::kFailedPrecondition,
                "2 bytes appended where 1 are left");
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(SafetensorsWriterTest, RefusesBadDeclarations) {
  TestFolder folder;
  auto create = [&](std::vector<TensorDeclaration> tensors) {
    return SafetensorsWriter::create(folder.path() / "file", tensors);
  };
  constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;
  expectError(create({{"a", DType::U8, {1}}, {"a", DType::U8, {1}}}), kInvalid, "declared twice");
  expectError(create({{"__metadata__", DType::U8, {1}}}), kInvalid, "__metadata__");
  expectError(create({{"\xff", DType::U8, {1}}}), kInvalid, "not valid UTF-8");
  expectError(create({{"a", DType::F32, {uint64_t{1} << 62}}}), kInvalid, "overflows");
  expectError(create({{"a", DType::U8, {~uint64_t{0}}}, {"b", DType::U8, {1}}}), kInvalid,
              "overflows");
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

} // namespace
} // namespace epigraph
