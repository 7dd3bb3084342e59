#include "runtime/device/CpuFeatures.h"

#include <fstream>
#include <map>
#include <sstream>

#include "test/runtime/base/TestFiles.h"

namespace epigraph {
namespace {

/// What Linux found out on its own, under its own names.
std::vector<std::string> flagsOfLinux() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (line.rfind("flags", 0) == 0) {
      std::istringstream words(line.substr(line.find(':') + 1));
      return {std::istream_iterator<std::string>(words), {}};
    }
  return {};
}

TEST(CpuFeatures, AgreesWithLinux) {
  const std::map<std::string, std::string> linuxNames = {{"sse4.2", "sse4_2"},
                                                         {"avx", "avx"},
                                                         {"avx2", "avx2"},
                                                         {"fma", "fma"},
                                                         {"f16c", "f16c"},
                                                         {"bmi", "bmi1"},
                                                         {"bmi2", "bmi2"},
                                                         {"popcnt", "popcnt"},
                                                         {"lzcnt", "abm"},
                                                         {"sahf", "lahf_lm"},
                                                         {"movbe", "movbe"},
                                                         {"avx512f", "avx512f"},
                                                         {"avx512bw", "avx512bw"},
                                                         {"avx512vl", "avx512vl"},
                                                         {"avx512dq", "avx512dq"},
                                                         {"avx512cd", "avx512cd"},
                                                         {"avx512bf16", "avx512_bf16"},
                                                         {"avx512vnni", "avx512_vnni"},
                                                         {"avxvnni", "avx_vnni"},
                                                         {"amx-tile", "amx_tile"},
                                                         {"vaes", "vaes"},
                                                         {"sha", "sha_ni"}};
  const std::vector<std::string> flags = flagsOfLinux();
  ASSERT_FALSE(flags.empty());
  for (const auto &[name, flag] : linuxNames) {
    const bool present = std::find(flags.begin(), flags.end(), flag) != flags.end();
    EXPECT_EQ(requireCpuFeatures({name}).ok(), present) << name;
  }
}

TEST(CpuFeatures, NamesAllThatIsMissing) {
  EXPECT_TRUE(requireCpuFeatures({}).ok());
  const absl::Status status = requireCpuFeatures({"sse2", "of-the-future", "of-the-past"});
  expectError(status, absl::StatusCode::kUnimplemented, "lacks of-the-future, of-the-past,");
}

} // namespace
} // namespace epigraph
