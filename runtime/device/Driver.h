// What a plan executor needs of a machine: memory, copies, kernels, launches. One driver serves one
// rank, and is used by one thread at a time.
//
// Work is ordered as in one stream: copies, clears, launches and replays run one after the other in
// the order in which they were asked for, and none needs to have finished when its call returns. A
// driver of this process's memory does everything at once; one of a device runs behind the host,
// and reports what failed meanwhile from the next call that notices, at the latest from
// synchronize().
//
// Addresses are those that kernels use; they are fixed once handed out, so that an executor can lay
// out every launch before the first step (`prepare`), and give it no more than sizes in a step.
#ifndef EPIGRAPH_RUNTIME_DEVICE_DRIVER_H
#define EPIGRAPH_RUNTIME_DEVICE_DRIVER_H

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "runtime/artifact/DeviceKernel.h"
#include "runtime/artifact/KernelAbi.h"

namespace epigraph {

/// Memory of a driver, given back when it is destroyed. No work may use it any more then.
class DeviceMemory {
public:
  virtual ~DeviceMemory() = default;
  /// Base address; null only for zero bytes. Aligned to at least 256 bytes, as far as the driver
  /// chose it.
  virtual uint8_t *address() const = 0;
  /// Size in bytes, as asked for.
  virtual size_t bytes() const = 0;
};

/// Memory that was made to be shared, and what drivers of other processes need to reach it.
struct SharedMemory {
  std::unique_ptr<DeviceMemory> memory;
  std::vector<uint8_t> exported;
};

/// The kernels of one artifact, numbered as they were given to loadKernels.
class KernelLibrary {
public:
  virtual ~KernelLibrary() = default;
};

/// Everything of a launch that is the same in every step.
struct LaunchBinding {
  size_t kernel = 0;
  /// Operands, then results: base addresses. They must stay where they are: drivers keep the span.
  absl::Span<void *const> arguments;
  /// For each argument, how many rows it has room for; 0 for one whose rows do not depend on the
  /// step (weights, caches). Tensor maps of device kernels need it; empty on the CPU.
  absl::Span<const uint32_t> argumentRows;
  /// How a launch on the CPU is cut into tiles: see plan::Launch. Device kernels bring their own.
  uint32_t rowTile = 0;
  uint32_t columnTiles = 1;
  /// The step as kernels read it: a KernelStep on the CPU, a DeviceStep in the memory of a device.
  const void *step = nullptr;

  // Device kernels only; see KernelAbi.h.
  const int32_t *count = nullptr; ///< rows = *count * factor, read by the kernel
  int32_t factor = 1;
  int32_t capacity = 0; ///< the most rows under the plan's limits
  void *workspace = nullptr;
};

/// A launch that is ready but for its size. The driver and the library must outlive it.
class PreparedLaunch {
public:
  virtual ~PreparedLaunch() = default;
};

/// What the host knows of a step that sizes launches. All are upper bounds for a step that is
/// recorded, so that its recording serves every smaller one.
struct StepBounds {
  int64_t tokenItems = 0;    ///< of DeviceStep::tokenItems
  int64_t tileItems = 0;     ///< of DeviceStep::tileItems
  bool oneTokenEach = false; ///< no sequence has more than one token in this step
};

/// Work that was recorded and can be replayed. The driver must outlive it.
class RecordedWork {
public:
  virtual ~RecordedWork() = default;
};

/// A place in the order of work whose time is taken when the work before it has finished.
class TimeMark {
public:
  virtual ~TimeMark() = default;
};

class Driver {
public:
  /// Waits for as long as it takes.
  static constexpr std::chrono::milliseconds kNoDeadline = std::chrono::milliseconds::max();

  virtual ~Driver() = default;

  /// The kind of target that this driver runs: "cpu", "cuda", "null".
  virtual std::string_view name() const = 0;

  /// Whether the host may read and write the driver's memory by its addresses. If not, it copies.
  virtual bool hostAddressable() const = 0;

  /// Errors: Unimplemented, naming every feature that this machine lacks.
  virtual absl::Status requireFeatures(absl::Span<const std::string> features) const = 0;

  /// Bytes that this driver's machine has free now, less what it needs for itself.
  virtual absl::StatusOr<uint64_t> availableBytes() const = 0;

  // Memory.

  /// Zeroed memory for `purpose` (for the message). Physical memory may be taken on first use only.
  /// Errors: ResourceExhausted over the cap of the pool, or when the machine has no more.
  virtual absl::StatusOr<std::unique_ptr<DeviceMemory>> allocate(uint64_t bytes,
                                                                 const std::string &purpose) = 0;

  /// Memory of the host, zeroed, that copyIn and copyOut are fast with. Errors: as for allocate.
  virtual absl::StatusOr<std::unique_ptr<DeviceMemory>>
  allocateStaging(uint64_t bytes, const std::string &purpose) = 0;

  /// Read-only memory that holds `bytes`: weights. A driver of this process's memory returns the
  /// bytes themselves, which must then outlive it; others copy, and need them no more when this
  /// returns. Errors: as for allocate.
  virtual absl::StatusOr<std::unique_ptr<DeviceMemory>>
  mapConstants(absl::Span<const uint8_t> bytes, const std::string &purpose) = 0;

  /// What the driver of another process of this machine needs to reach `memory`, which this one
  /// allocated. Errors: Unimplemented where memory cannot be shared.
  virtual absl::StatusOr<std::vector<uint8_t>> exportMemory(const DeviceMemory &memory);
  /// Memory of the host, zeroed, that kernels of this driver reach, and those of other processes'
  /// drivers, however the devices are linked. No part of any pool. Errors: as for allocate;
  /// Unimplemented as above.
  virtual absl::StatusOr<SharedMemory> allocateShared(uint64_t bytes, const std::string &purpose);
  /// Memory that another process' driver exported, as kernels of this one reach it. The other must
  /// not free it before. Errors: Unimplemented as above, and where the devices are not linked.
  virtual absl::StatusOr<std::unique_ptr<DeviceMemory>>
  importMemory(absl::Span<const uint8_t> exported);

  // Copies, all in order with the rest of the work. Those between host and device read and write
  // the host's bytes at some time before the next synchronize(), and, where they are recorded, anew
  // in every replay.

  virtual absl::Status copyIn(uint8_t *result, absl::Span<const uint8_t> source) = 0;
  virtual absl::Status copyOut(absl::Span<uint8_t> result, const uint8_t *source) = 0;
  /// Within the driver's memory. Source and result may be the same, but not overlap otherwise.
  virtual absl::Status copy(uint8_t *result, const uint8_t *source, size_t bytes) = 0;
  /// The same for `rows` pieces of `width` bytes, which start every `resultStride` and
  /// `sourceStride` bytes.
  virtual absl::Status copyColumns(uint8_t *result, size_t resultStride, const uint8_t *source,
                                   size_t sourceStride, size_t width, size_t rows) = 0;
  /// Sets bytes to zero.
  virtual absl::Status clear(uint8_t *result, size_t bytes) = 0;

  // Kernels.

  /// Loads the library in the file `path` and finds `kernels` in it.
  /// Errors: NotFound for a missing file, FailedPrecondition for one that cannot be loaded or lacks
  /// a kernel.
  virtual absl::StatusOr<std::unique_ptr<KernelLibrary>>
  loadKernels(const std::string &path, absl::Span<const DeviceKernel> kernels) = 0;

  /// Resolves a launch of a kernel of `library`, which came from this driver.
  /// Errors: Internal for a binding that does not fit the kernel.
  virtual absl::StatusOr<std::unique_ptr<PreparedLaunch>> prepare(const KernelLibrary &library,
                                                                  const LaunchBinding &binding) = 0;

  /// Launches over `rows` rows: exactly those of the step on the CPU, an upper bound on a device,
  /// where the kernel reads the exact number.
  virtual absl::Status launch(const PreparedLaunch &launch, int64_t rows,
                              const StepBounds &bounds) = 0;

  // Time.

  /// Whether all work asked for so far has finished. Errors: what failed in it.
  virtual absl::StatusOr<bool> isIdle() = 0;

  /// Waits until all work asked for so far has finished.
  /// Errors: what failed in it; DeadlineExceeded when it takes longer than `deadline`.
  virtual absl::Status synchronize(std::chrono::milliseconds deadline = kNoDeadline) = 0;

  /// How far the clock that kernels read gets in `time`, at most; 0 where they have none.
  virtual int64_t clockTicks(std::chrono::milliseconds time) const { return 0; }

  virtual absl::StatusOr<std::unique_ptr<TimeMark>> createMark() = 0;
  /// Places `mark` behind the work asked for so far.
  virtual absl::Status place(TimeMark &mark) = 0;
  /// The time between two marks that have been placed; waits for the work before them.
  virtual absl::StatusOr<std::chrono::nanoseconds> between(const TimeMark &from,
                                                           const TimeMark &to) = 0;

  // Recording.

  /// Whether work can be recorded.
  virtual bool records() const { return false; }

  /// From here to endRecording, work is recorded, not run. Allocating, loading, preparing and
  /// waiting have no place in a recording. Errors: Unimplemented where nothing can be recorded.
  virtual absl::Status beginRecording();
  /// Errors: Internal for a recording that some call has spoilt.
  virtual absl::StatusOr<std::unique_ptr<RecordedWork>> endRecording();
  /// Runs recorded work, as if it were asked for now.
  virtual absl::Status replay(const RecordedWork &work);
};

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_DEVICE_DRIVER_H
