// Files are built by hand here, byte by byte, so that the reader is not tested against the writer
// alone.
#include "runtime/artifact/Safetensors.h"

#include "test/runtime/base/TestFiles.h"

namespace epigraph {
namespace {

constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;

std::string withSize(uint64_t size, const std::string &rest) {
  std::string file;
  for (int i = 0; i < 8; ++i)
    file.push_back(static_cast<char>(size >> (8 * i)));
  return file + rest;
}

/// A file of `header` and `dataBytes` bytes 0, 1, 2, ...
std::string makeFile(const std::string &header, size_t dataBytes) {
  std::string file = withSize(header.size(), header);
  for (size_t i = 0; i < dataBytes; ++i)
    file.push_back(static_cast<char>(i));
  return file;
}

absl::StatusOr<SafetensorsFile> parseBytes(const std::string &file) {
  return SafetensorsFile::parse(
      absl::MakeConstSpan(reinterpret_cast<const uint8_t *>(file.data()), file.size()), "f");
}

TEST(SafetensorsTest, ReadsViewsInOrderOfData) {
  std::string file = makeFile(
      R"({"b":{"dtype":"F32","shape":[2,1],"data_offsets":[2,10]},"__metadata__":{"format":"pt"},)"
      R"("é\u0000/a":{"shape":[],"data_offsets":[0,2],"dtype":"BF16"},)"
      R"("empty":{"dtype":"I64","shape":[0,5],"data_offsets":[10,10]}}   )",
      10);
  absl::StatusOr<SafetensorsFile> parsed = parseBytes(file);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  SafetensorsFile moved = std::move(*parsed);
  ASSERT_EQ(moved.tensors().size(), 3u);
  EXPECT_EQ(moved.metadata().at("format"), "pt");
  EXPECT_EQ(moved.tensors()[0].name, std::string("é\0/a", 5));

  const StoredTensor *scalar = moved.find(std::string_view("é\0/a", 5));
  ASSERT_NE(scalar, nullptr);
  EXPECT_TRUE(scalar->shape.empty());
  EXPECT_EQ(scalar->elements(), 1u);
  EXPECT_EQ(scalar->dtype, DType::BF16);
  const StoredTensor *matrix = moved.find("b");
  ASSERT_NE(matrix, nullptr);
  EXPECT_EQ(matrix->shape, (std::vector<uint64_t>{2, 1}));
  EXPECT_EQ(matrix->elements(), 2u);
  EXPECT_EQ(matrix->bytes[0], 2);
  EXPECT_EQ(matrix->bytes.size(), 8u);
  EXPECT_EQ(moved.find("empty")->bytes.size(), 0u);
  EXPECT_EQ(moved.find("none"), nullptr);
}

TEST(SafetensorsTest, KnowsEveryDType) {
  const std::pair<const char *, uint64_t> types[] = {
      {"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E5M2", 1}, {"F8_E4M3", 1}, {"F8_E8M0", 1},
      {"I16", 2},  {"U16", 2}, {"F16", 2}, {"BF16", 2},    {"I32", 4},     {"U32", 4},
      {"F32", 4},  {"F64", 8}, {"I64", 8}, {"U64", 8},
  };
  for (const auto &[name, bytes] : types) {
    std::string size = std::to_string(3 * bytes);
    absl::StatusOr<SafetensorsFile> file =
        parseBytes(makeFile(std::string(R"({"t":{"dtype":")") + name +
                                R"(","shape":[3],"data_offsets":[0,)" + size + "]}}",
                            3 * bytes));
    ASSERT_TRUE(file.ok()) << name << ": " << file.status();
    EXPECT_EQ(dtypeName(file->find("t")->dtype), name);
    EXPECT_EQ(dtypeBytes(file->find("t")->dtype), bytes) << name;
  }
}

TEST(SafetensorsTest, ReadsAnEmptyFile) { EXPECT_TRUE(parseBytes(makeFile("{}", 0)).ok()); }

TEST(SafetensorsTest, RefusesBadHeaderSizes) {
  expectError(parseBytes(""), kInvalid, "f: the file has 0 bytes");
  expectError(parseBytes("1234567"), kInvalid, "the file has 7 bytes");
  expectError(parseBytes(withSize(3, "{}")), kInvalid, "claims 3 bytes; the file has 2");
  expectError(parseBytes(withSize(0, "{}")), kInvalid, "does not start with '{'");
  expectError(parseBytes(withSize(100'000'001, "{}")), kInvalid, "at most 100000000");
  expectError(parseBytes(withSize(~uint64_t{0}, "{}")), kInvalid, "at most 100000000");
  expectError(parseBytes(makeFile(" {}", 0)), kInvalid, "does not start with '{'");
}

struct Refusal {
  const char *header;
  size_t dataBytes;
  const char *message;
};

class SafetensorsRefusalTest : public testing::TestWithParam<Refusal> {};

TEST_P(SafetensorsRefusalTest, NamesTheRule) {
  const Refusal &refusal = GetParam();
  expectError(parseBytes(makeFile(refusal.header, refusal.dataBytes)), kInvalid, refusal.message);
}

#define ENTRY(fields) "{\"t\":{" fields "}}"
#define OFFSETS(begin, end) "\"data_offsets\":[" #begin "," #end "]"
#define F32(shape) "\"dtype\":\"F32\",\"shape\":" shape ","

INSTANTIATE_TEST_SUITE_P(
    Json, SafetensorsRefusalTest,
    testing::Values(
        Refusal{"{", 0, "not valid JSON"}, Refusal{"{}x", 0, "not valid JSON"},
        Refusal{"{}{}", 0, "not valid JSON"},
        Refusal{"{\"\xff\":{}}", 0, "not valid JSON in UTF-8"},
        Refusal{"{\"t\":[]}", 0, "tensor \"t\": expected an object, found an array"},
        Refusal{"{\"t\":null}", 0, "tensor \"t\": expected an object, found null"},
        Refusal{"{\"__metadata__\":1}", 0, "__metadata__: expected an object"},
        Refusal{"{\"__metadata__\":{\"a\":1}}", 0, "__metadata__ \"a\": expected a string"},
        Refusal{"{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"}}", 0, "duplicate key \"a\""},
        Refusal{"{\"__metadata__\":{},\"__metadata__\":{}}", 0, "duplicate key \"__metadata__\""}));

INSTANTIATE_TEST_SUITE_P(
    Entry, SafetensorsRefusalTest,
    testing::Values(
        Refusal{ENTRY(F32("[1]")), 4, "not valid JSON"},
        Refusal{ENTRY("\"dtype\":\"F32\",\"shape\":[1]"), 4, "data_offsets is missing"},
        Refusal{ENTRY("\"dtype\":\"F32\"," OFFSETS(0, 4)), 4, "shape is missing"},
        Refusal{ENTRY("\"shape\":[1]," OFFSETS(0, 4)), 4, "dtype is missing"},
        Refusal{ENTRY(F32("[1]") OFFSETS(0, 4) ",\"x\":1"), 4, "unknown key \"x\""},
        Refusal{ENTRY(F32("[1]") F32("[1]") OFFSETS(0, 4)), 4, "duplicate key \"dtype\""},
        Refusal{ENTRY("\"dtype\":\"F33\",\"shape\":[1]," OFFSETS(0, 4)), 4,
                "unknown dtype \"F33\""},
        Refusal{ENTRY("\"dtype\":3,\"shape\":[1]," OFFSETS(0, 4)), 4, "dtype: expected a string"},
        Refusal{ENTRY(F32("4") OFFSETS(0, 4)), 4, "shape: expected an array"},
        Refusal{ENTRY(F32("[[1]]") OFFSETS(0, 4)), 4, "shape: expected an array"},
        Refusal{ENTRY(F32("[-1]") OFFSETS(0, 4)), 4, "found a negative number"},
        Refusal{ENTRY(F32("[1.0]") OFFSETS(0, 4)), 4, "found the number 1.0"},
        Refusal{ENTRY(F32("[18446744073709551616]") OFFSETS(0, 4)), 4, "18446744073709551616"},
        Refusal{ENTRY(F32("[\"1\"]") OFFSETS(0, 4)), 4, "found a string"},
        Refusal{ENTRY(F32("[1]") "\"data_offsets\":[0]"), 4, "has 1 elements"},
        Refusal{ENTRY(F32("[1]") "\"data_offsets\":[0,4,4]"), 4, "has 3 elements"},
        Refusal{ENTRY(F32("[1]") "\"data_offsets\":[0,true]"), 4, "found a boolean"},
        Refusal{ENTRY(F32("[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]")
                          OFFSETS(0, 4)),
                4, "more than 32 dimensions"}));

INSTANTIATE_TEST_SUITE_P(
    Extent, SafetensorsRefusalTest,
    testing::Values(
        Refusal{ENTRY(F32("[1]") OFFSETS(4, 0)), 4, "end before they begin"},
        Refusal{ENTRY(F32("[2]") OFFSETS(0, 4)), 4, "span 4 bytes; shape [2] of F32 needs 8"},
        Refusal{ENTRY(F32("[4611686018427387905]") OFFSETS(0, 4)), 4, "overflows"},
        Refusal{ENTRY(F32("[4294967296,4294967296]") OFFSETS(0, 0)), 0, "overflows"},
        Refusal{ENTRY(F32("[0,4294967296,4294967296]") OFFSETS(0, 0)), 0, "overflows"},
        Refusal{ENTRY(F32("[2]") OFFSETS(0, 8)), 4, "ends at byte 8 of the data, which has 4"},
        Refusal{ENTRY(F32("[1]") OFFSETS(4, 8)), 8, "there is a hole"},
        Refusal{ENTRY(F32("[1]") OFFSETS(0, 4)), 5, "1 bytes follow the last tensor"},
        Refusal{"{}", 1, "1 bytes follow the last tensor"},
        Refusal{"{\"a\":{" F32("[1]") OFFSETS(0, 4) "},\"b\":{" F32("[1]") OFFSETS(2, 6) "}}", 6,
                "it overlaps another tensor"},
        Refusal{"{\"a\":{" F32("[1]") OFFSETS(0, 4) "},\"b\":{" F32("[1]") OFFSETS(0, 4) "}}", 4,
                "it overlaps another tensor"},
        Refusal{"{\"a\":{" F32("[1]") OFFSETS(0, 4) "},\"b\":{" F32("[1]") OFFSETS(8, 12) "}}", 12,
                "there is a hole"},
        Refusal{"{\"a\":{" F32("[1]") OFFSETS(0, 4) "},\"a\":{" F32("[1]") OFFSETS(4, 8) "}}", 8,
                "duplicate key \"a\""}));

TEST(SafetensorsTest, EscapesNamesInErrors) {
  expectError(parseBytes(makeFile("{\"a\\u001b[2J\":1}", 0)), kInvalid, "tensor \"a\\033[2J\"");
}

TEST(SafetensorsTest, NamesTheFile) {
  TestFolder folder;
  std::string missing = (folder.path() / "missing.safetensors").string();
  expectError(SafetensorsFile::open(missing), absl::StatusCode::kNotFound, missing);
  std::filesystem::path broken = folder.write("broken.safetensors", "12345678");
  expectError(SafetensorsFile::open(broken), kInvalid, broken.string());
}

} // namespace
} // namespace epigraph
