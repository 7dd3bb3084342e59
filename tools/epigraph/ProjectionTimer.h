// How long projections take on a device, with weights that are in no cache.
#ifndef EPIGRAPH_TOOLS_EPIGRAPH_PROJECTIONTIMER_H
#define EPIGRAPH_TOOLS_EPIGRAPH_PROJECTIONTIMER_H

#include <memory>
#include <vector>

#include "runtime/device/Driver.h"
#include "tools/epigraph/KernelsFolder.h"

namespace epigraph::tool {

/// What is multiplied, by the types of a kernel's operands: x, its scales, sizes of groups,
/// weights, their scales.
struct Projection {
  DType element = DType::BF16;
  uint32_t groups = 0; ///< matrices, one for each group of rows; 0: one for all
  uint32_t outputs = 0, depth = 0;
  uint32_t parts = 1; ///< of the outputs, which become one another's factors
  size_t counts = 0;  ///< operand with the sizes of groups, where there are groups
  size_t weights = 0; ///< operand

  bool operator==(const Projection &) const = default;

  /// Errors: InvalidArgument for a kernel with other operands.
  static absl::StatusOr<Projection> of(const KernelSignature &signature);
};

/// Times kernels of one projection, one after the other, with the same operands.
class ProjectionTimer {
public:
  /// For up to `mostRows` rows. The driver must outlive it.
  static absl::StatusOr<std::unique_ptr<ProjectionTimer>>
  create(Driver &driver, const KernelSignature &signature, const Projection &projection,
         uint64_t workspaceBytes, uint32_t mostRows);

  /// Microseconds of one launch of kernel `kernel` of `library`: the median of several runs, or of
  /// one if that takes longer than `enough`.
  absl::StatusOr<double> time(const KernelLibrary &library, size_t kernel, uint32_t rows,
                              double enough);

private:
  using Memory = std::unique_ptr<DeviceMemory>;
  /// The operands and results of a launch; launches take turns with copies of the weights.
  using Arguments = std::vector<void *>;

  ProjectionTimer(Driver &driver, const Projection &projection, uint32_t mostRows)
      : driver_(driver), projection_(projection), mostRows_(mostRows) {}

  absl::StatusOr<uint8_t *> allocate(uint64_t bytes);
  absl::Status fill(uint8_t *memory, uint64_t bytes, DType element);
  absl::Status makeOperands(const KernelSignature &signature);
  absl::Status makeChoices();
  absl::Status setRows(uint32_t rows);
  absl::StatusOr<std::unique_ptr<RecordedWork>>
  record(const std::vector<std::unique_ptr<PreparedLaunch>> &launches, uint32_t rows);
  absl::StatusOr<double> replay(const RecordedWork &work);

  Driver &driver_;
  const Projection projection_;
  const uint32_t mostRows_;
  std::vector<Memory> memory_;
  std::vector<Arguments> copies_;
  std::vector<uint32_t> argumentRows_;
  uint8_t *step_ = nullptr, *count_ = nullptr, *workspace_ = nullptr;
  std::unique_ptr<TimeMark> start_, end_;
};

} // namespace epigraph::tool

#endif // EPIGRAPH_TOOLS_EPIGRAPH_PROJECTIONTIMER_H
