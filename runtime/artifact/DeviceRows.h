// How many rows the operands of device kernels have room for.
#ifndef EPIGRAPH_RUNTIME_ARTIFACT_DEVICEROWS_H
#define EPIGRAPH_RUNTIME_ARTIFACT_DEVICEROWS_H

#include <cstdint>
#include <optional>
#include <unordered_map>

#include "runtime/artifact/Plan.h"

namespace epigraph {

/// Rows that depend on the step have room for a multiple of so many: the columns of column-major
/// float32 matrices of them then start at multiples of 16 bytes, as tensor maps want.
inline constexpr uint64_t kDeviceRowMultiple = 4;

/// Whether the kernels of `plan` are those of a device.
bool isDevicePlan(const plan::Plan &plan);

/// The most rows of each quantity of one function: the `capacity` of KernelAbi.h.
class DeviceRows {
public:
  /// The function's buffers must have been verified, but for what depends on this class.
  DeviceRows(const plan::Plan &plan, const plan::Function &function);

  /// What the plan's limits allow, rounded up to a multiple of kDeviceRowMultiple unless Static. Of
  /// Received rows, what every buffer of the exchange has room for, rounded down to a multiple.
  /// The factor is not rounded: a kernel that knows the most tokens knows the most rows of their
  /// experts.
  uint64_t most(const plan::Rows &rows) const;

  /// What the argument `ref` of a launch has room for; nothing for weights and caches.
  std::optional<uint64_t> room(const plan::Ref &ref) const;

private:
  const plan::Plan &plan;
  const plan::Function &function;
  std::unordered_map<uint16_t, uint64_t> received; ///< by exchange, for a factor of 1
};

/// Bytes from the base of its operand that a tensor map covers, where a size or stride of 0 stands
/// for `rows`; nothing if they do not fit 63 bits.
std::optional<uint64_t> bytesOfMap(const plan::TensorMap &map, uint64_t rows);

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_ARTIFACT_DEVICEROWS_H
