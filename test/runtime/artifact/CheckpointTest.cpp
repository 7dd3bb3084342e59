#include "runtime/artifact/Checkpoint.h"

#include "runtime/artifact/SafetensorsWriter.h"
#include "test/runtime/base/TestFiles.h"

namespace epigraph {
namespace {

constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;
constexpr const char *kIndex = "model.safetensors.index.json";

/// Writes a file with one-byte tensors of these names.
void writeShard(const TestFolder &folder, const std::string &name,
                const std::vector<std::string> &tensors) {
  std::vector<TensorDeclaration> declarations;
  for (const std::string &tensor : tensors)
    declarations.push_back({tensor, DType::U8, {1}});
  absl::StatusOr<SafetensorsWriter> writer =
      SafetensorsWriter::create(folder.path() / name, declarations);
  ASSERT_TRUE(writer.ok());
  ASSERT_TRUE(writer->append(std::vector<uint8_t>(tensors.size())).ok());
  ASSERT_TRUE(writer->finish().ok());
}

std::vector<std::string> names(const Checkpoint &checkpoint) {
  std::vector<std::string> result;
  for (const StoredTensor *tensor : checkpoint.tensors())
    result.push_back(tensor->name);
  return result;
}

TEST(CheckpointTest, ReadsOneFile) {
  TestFolder folder;
  writeShard(folder, "model.safetensors", {"b", "a"});
  absl::StatusOr<Checkpoint> checkpoint = Checkpoint::open(folder.path());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  EXPECT_EQ(names(*checkpoint), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(checkpoint->totalBytes(), 2u);
}

TEST(CheckpointTest, ReadsShardsAsOneSet) {
  TestFolder folder;
  writeShard(folder, "1.safetensors", {"a", "c"});
  writeShard(folder, "2.safetensors", {"b"});
  folder.write(kIndex, R"({"metadata": {}, "weight_map":
      {"a": "1.safetensors", "b": "2.safetensors", "c": "1.safetensors"}})");
  absl::StatusOr<Checkpoint> opened = Checkpoint::open(folder.path());
  ASSERT_TRUE(opened.ok()) << opened.status();
  Checkpoint checkpoint = std::move(*opened);
  EXPECT_EQ(names(checkpoint), (std::vector<std::string>{"a", "b", "c"}));
  ASSERT_NE(checkpoint.find("b"), nullptr);
  EXPECT_EQ(checkpoint.find("b")->name, "b");
  EXPECT_EQ(checkpoint.find("d"), nullptr);
}

TEST(CheckpointTest, ReadsTheSmallModel) {
  absl::StatusOr<Checkpoint> checkpoint =
      Checkpoint::open(EPIGRAPH_SOURCE_DIR "/models/tiny-deepseek-v3");
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  EXPECT_EQ(checkpoint->totalBytes(), 17592832u); // As its index says.
  const StoredTensor *embedding = checkpoint->find("model.embed_tokens.weight");
  ASSERT_NE(embedding, nullptr);
  EXPECT_EQ(embedding->dtype, DType::BF16);
  EXPECT_EQ(embedding->shape, (std::vector<uint64_t>{2048, 192}));
}

TEST(CheckpointTest, RefusesFoldersWithoutACheckpoint) {
  TestFolder folder;
  expectError(Checkpoint::open(folder.path() / "missing"), absl::StatusCode::kNotFound,
              "is not a folder");
  expectError(Checkpoint::open(folder.path()), absl::StatusCode::kNotFound,
              "holds neither model.safetensors nor model.safetensors.index.json");
}

class CheckpointIndexTest : public testing::Test {
protected:
  CheckpointIndexTest() {
    writeShard(folder, "1.safetensors", {"a"});
    writeShard(folder, "2.safetensors", {"b"});
  }
  void expectRefused(const std::string &index, absl::StatusCode code, const char *message) {
    folder.write(kIndex, index);
    absl::StatusOr<Checkpoint> checkpoint = Checkpoint::open(folder.path());
    expectError(checkpoint, code, message);
    expectError(checkpoint, code, kIndex);
  }
  TestFolder folder;
};

TEST_F(CheckpointIndexTest, RefusesBadIndexes) {
  expectRefused("[]", kInvalid, "expected an object");
  expectRefused("{}", kInvalid, "weight_map: missing");
  expectRefused(R"({"weight_map": {}})", kInvalid, "weight_map is empty");
  expectRefused(R"({"weight_map": {"a": 1}})", kInvalid, "weight_map.a: expected a string");
  expectRefused(R"({"weight_map": {"a": "1.safetensors", "a": "1.safetensors"}})", kInvalid,
                "duplicate key");
}

TEST_F(CheckpointIndexTest, RefusesFilesElsewhere) {
  for (std::string file : {"../1.safetensors", "/etc/passwd", "x/1.safetensors", "..", ""})
    expectRefused(R"({"weight_map": {"a": ")" + file + "\"}}", kInvalid,
                  "is not the name of a file beside the index");
}

TEST_F(CheckpointIndexTest, RefusesDisagreement) {
  expectRefused(R"({"weight_map": {"a": "3.safetensors"}})", absl::StatusCode::kNotFound,
                "3.safetensors");
  expectRefused(R"({"weight_map": {"a": "1.safetensors", "c": "1.safetensors"}})", kInvalid,
                "tensor \"c\" should be in 1.safetensors but is not");
  expectRefused(R"({"weight_map": {"c": "1.safetensors"}})", kInvalid,
                "tensor \"a\" is in 1.safetensors but not in the index");
  expectRefused(R"({"weight_map": {"a": "2.safetensors", "b": "1.safetensors"}})", kInvalid,
                "the index says 2.safetensors");
  writeShard(folder, "2.safetensors", {"a", "b"});
  expectRefused(R"({"weight_map": {"a": "1.safetensors", "b": "2.safetensors"}})", kInvalid,
                "tensor \"a\" is in both 1.safetensors and 2.safetensors");
}

} // namespace
} // namespace epigraph
