// Small checkpoints made by tests: a valid one, which each test then breaks in one way.
#ifndef EPIGRAPH_TEST_COMPILER_FAKECHECKPOINT_H
#define EPIGRAPH_TEST_COMPILER_FAKECHECKPOINT_H

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "nlohmann/json.hpp"

#include "runtime/artifact/DType.h"

namespace epigraph {

struct FakeCheckpoint {
  struct Tensor {
    DType dtype;
    std::vector<uint64_t> shape;
  };
  nlohmann::json config;
  std::map<std::string, Tensor> tensors; ///< all zeros

  /// DeepSeek-V3 with one dense layer, one of experts, and a prediction layer: hidden 16, 2 heads,
  /// 4 experts in 2 groups.
  static FakeCheckpoint deepseekV3();

  /// Writes config.json and model.safetensors.
  void write(const std::filesystem::path &directory) const;

private:
  void add(const std::string &name, std::vector<uint64_t> shape, DType dtype = DType::BF16);
  void addLayer(int index, bool experts);
};

} // namespace epigraph

#endif // EPIGRAPH_TEST_COMPILER_FAKECHECKPOINT_H
