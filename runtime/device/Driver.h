// What a plan executor needs of a machine: memory, kernels, launches. One driver serves one rank.
//
// Addresses are those that kernels use; they are fixed once handed out, so that an executor can lay
// out the arguments of every launch before the first step. Drivers that are not of this process's
// memory also need copies to and from it; the one for this machine's processors does not.
#ifndef EPIGRAPH_RUNTIME_DEVICE_DRIVER_H
#define EPIGRAPH_RUNTIME_DEVICE_DRIVER_H

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "runtime/artifact/KernelAbi.h"

namespace epigraph {

/// Memory of a driver, given back when it is destroyed.
class DeviceMemory {
public:
  virtual ~DeviceMemory() = default;
  /// Base address; null only for zero bytes. Aligned to a page, as far as the driver chose it.
  virtual uint8_t *address() const = 0;
  /// Size in bytes, as asked for.
  virtual size_t bytes() const = 0;
};

/// The kernels of one artifact. Kernel `i` is the `i`-th symbol that the library was loaded with.
class KernelLibrary {
public:
  virtual ~KernelLibrary() = default;
};

class Driver {
public:
  virtual ~Driver() = default;

  /// The target that this driver runs: "cpu", ...
  virtual std::string_view name() const = 0;

  /// Errors: Unimplemented, naming every feature that this machine lacks.
  virtual absl::Status requireFeatures(absl::Span<const std::string> features) const = 0;

  /// Zeroed memory for `purpose` (for the message). Physical memory may be taken on first use only.
  /// Errors: ResourceExhausted over the cap of the pool, or when the machine has no more.
  virtual absl::StatusOr<std::unique_ptr<DeviceMemory>> allocate(uint64_t bytes,
                                                                 const std::string &purpose) = 0;

  /// Read-only memory that holds `bytes`, which must outlive it: weights. A driver of this
  /// process's memory returns the bytes themselves, others copy. Errors: as for allocate.
  virtual absl::StatusOr<std::unique_ptr<DeviceMemory>>
  mapConstants(absl::Span<const uint8_t> bytes, const std::string &purpose) = 0;

  /// Loads the library in the file `path` and resolves `symbols`.
  /// Errors: NotFound for a missing file, FailedPrecondition for one that cannot be loaded or lacks
  /// a symbol.
  virtual absl::StatusOr<std::unique_ptr<KernelLibrary>>
  loadKernels(const std::string &path, absl::Span<const std::string> symbols) = 0;

  /// Runs kernel `index` over tiles [0, tiles) and returns when its results are there. `args` and
  /// `step` are those of KernelAbi.h.
  virtual absl::Status launch(const KernelLibrary &library, size_t index, void *const *args,
                              const KernelStep &step, int64_t rows, int64_t tiles) = 0;
};

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_DEVICE_DRIVER_H
