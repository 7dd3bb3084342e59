// How the kernels of a device are launched, as code generation describes it and drivers take it:
// what plan.fbs says of a Kernel, without FlatBuffers.
#ifndef EPIGRAPH_RUNTIME_ARTIFACT_DEVICEKERNEL_H
#define EPIGRAPH_RUNTIME_ARTIFACT_DEVICEKERNEL_H

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/artifact/DType.h"

namespace epigraph {

/// See plan.fbs.
enum class DeviceGrid : uint8_t { Rows = 0, TokenItems = 1, TileItems = 2 };

/// A tensor map over an operand; see plan.fbs for what sizes and strides of 0 stand for.
struct TensorMapSpec {
  uint32_t operand = 0; ///< among the pointers of the function: operands, then results
  DType element = DType::BF16;
  std::vector<uint64_t> sizes;   ///< innermost first
  std::vector<uint64_t> strides; ///< bytes; of all dimensions but the innermost
  std::vector<uint32_t> box;     ///< as many as sizes
  uint32_t swizzleBytes = 0;     ///< 0, 32, 64 or 128
};

struct DeviceLaunch {
  std::string symbol;
  uint32_t threads = 0;
  uint32_t sharedBytes = 0;
  uint32_t cluster = 1;
  bool early = false;
  DeviceGrid grid = DeviceGrid::Rows;
  uint32_t rowTile = 0;
  uint32_t columnTiles = 1;
  uint32_t blocksPerCore = 0;
  std::vector<TensorMapSpec> maps;
};

struct DeviceVariant {
  uint32_t mostRows = 0; ///< 0: any number
  bool oneTokenEach = false;
  std::vector<DeviceLaunch> launches;
};

/// One exec.kernel. Code generation gives it the name of the operation; in a plan, and for drivers,
/// it is a C identifier, which on a CPU is the symbol of its entry point.
struct DeviceKernel {
  std::string name;
  std::vector<DeviceVariant> variants; ///< of a CPU's kernels none
};

/// All kernels of a library, and what they need beside their arguments.
struct DeviceKernels {
  std::vector<DeviceKernel> kernels;
  /// Makes weights that are random: RandomWeights.kernel of the plan.
  std::optional<DeviceKernel> random;
  uint64_t workspaceBytes = 0; ///< Plan.workspace_bytes
  uint32_t tokenItems = 0;     ///< Plan.token_items
  uint64_t regionBytes = 0;    ///< Plan.region_bytes
};

/// Limits of what a launch may ask for; a plan beyond them is refused.
struct DeviceLaunchLimits {
  static constexpr uint32_t kThreads = 1024;
  static constexpr uint32_t kSharedBytes = 232448;
  static constexpr uint32_t kCluster = 8;
  static constexpr uint32_t kMaps = 16;
  static constexpr uint32_t kMapRank = 5;
  static constexpr uint32_t kMapBox = 256;
};

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_ARTIFACT_DEVICEKERNEL_H
