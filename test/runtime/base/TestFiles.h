// A folder of its own for a test, and expectations on errors: their code and what their message
// names.
#ifndef EPIGRAPH_TEST_RUNTIME_BASE_TESTFILES_H
#define EPIGRAPH_TEST_RUNTIME_BASE_TESTFILES_H

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace epigraph {

/// An empty folder that goes away with the object.
class TestFolder {
public:
  TestFolder() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "epigraph-test-XXXXXX").string();
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
    path_ = pattern;
  }
  TestFolder(const TestFolder &) = delete;
  TestFolder &operator=(const TestFolder &) = delete;
  ~TestFolder() { std::filesystem::remove_all(path_); }

  const std::filesystem::path &path() const { return path_; }

  /// Writes a file, with the folders above it.
  std::filesystem::path write(const std::string &name, std::string_view content) const {
    std::filesystem::path file = path_ / name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << content;
    return file;
  }

private:
  std::filesystem::path path_;
};

inline std::string contentOf(const std::filesystem::path &path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.good()) << path;
  return std::string(std::istreambuf_iterator<char>(file), {});
}

inline void expectError(const absl::Status &status, absl::StatusCode code,
                        std::string_view message) {
  EXPECT_EQ(absl::StatusCodeToString(status.code()), absl::StatusCodeToString(code)) << status;
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr(std::string(message)));
}

template <typename T>
void expectError(const absl::StatusOr<T> &result, absl::StatusCode code, std::string_view message) {
  expectError(result.status(), code, message);
}

} // namespace epigraph

#endif // EPIGRAPH_TEST_RUNTIME_BASE_TESTFILES_H
