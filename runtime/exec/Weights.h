// The packed weights of an artifact as kernels address them.
#ifndef EPIGRAPH_RUNTIME_EXEC_WEIGHTS_H
#define EPIGRAPH_RUNTIME_EXEC_WEIGHTS_H

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "runtime/artifact/Artifact.h"
#include "runtime/artifact/Safetensors.h"
#include "runtime/device/Driver.h"

namespace epigraph {

/// One file of weights, mapped, and each weight of the plan that lies in it, or would if it were
/// not random.
class Weights {
public:
  /// Which weights of the plan: those equal on all ranks, or those of one rank.
  struct Which {
    std::optional<uint32_t> rank; ///< nothing: the shared ones
  };

  /// Maps the file and checks every weight of the plan against it: name, dtype and shape. Makes
  /// those that are random.
  /// Errors: NotFound; InvalidArgument or DataLoss for a file that does not match, naming file and
  /// weight.
  /// `loaded`, if any, is called after each weight, with its bytes.
  static absl::StatusOr<Weights> load(const Artifact &artifact, Which which, Driver &driver,
                                      const std::function<void(uint64_t)> &loaded = nullptr);

  /// Address of weight `index` of the plan; null for one that lies in another file.
  uint8_t *address(size_t index) const {
    return weights[index] ? weights[index]->address() : nullptr;
  }

private:
  std::optional<SafetensorsFile> file;
  std::vector<std::unique_ptr<DeviceMemory>> weights; ///< by index in the plan
};

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_EXEC_WEIGHTS_H
