// Loading plan.fb. A plan is untrusted: the FlatBuffer is verified, then every index, size, offset
// and name in it (PlanVerifier.cpp), so that the executor may follow it without checks of its own.
#ifndef EPIGRAPH_RUNTIME_ARTIFACT_PLAN_H
#define EPIGRAPH_RUNTIME_ARTIFACT_PLAN_H

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

#include "runtime/artifact/DType.h"
#include "runtime/artifact/DeviceKernel.h"
#include "runtime/artifact/plan_generated.h"

namespace epigraph {

/// The version of plan.fbs that this build reads and writes.
inline constexpr uint32_t kPlanVersion = 1;

/// Buffers start at multiples of this many bytes: one cache line, one AVX-512 vector.
inline constexpr uint64_t kBufferAlignment = 64;

/// Bytes of one element of a buffer, weight or cache.
uint64_t elementBytes(plan::DType dtype);

/// The type of stored tensors that such elements have.
DType storedType(plan::DType dtype);

/// A kernel of a verified plan.
DeviceKernel kernelOf(const plan::Kernel &kernel);

/// The kernels of a verified plan, in its order; without variants those of a CPU.
std::vector<DeviceKernel> kernelsOf(const plan::Plan &plan);

/// Ranks along `axis` of the plan's mesh.
uint32_t ranksAlong(plan::Axis axis, const plan::Plan &plan);

/// Whether `kind` counts rows of a rank's share, or half of it, along the axis that the id names.
bool isShare(plan::RowKind kind);

/// Of `rows` rows that `kind` counts if it is not of a half: those of the half, if it is.
uint64_t halfOf(plan::RowKind kind, uint64_t rows);

/// Whether `step` only starts a collective, which a later Wait finishes.
bool startsOnly(const plan::Step &step);

/// The most rows of a quantity under the plan's limits, times its factor; nothing for Received,
/// whose bound is the capacity of the buffer that holds it.
std::optional<uint64_t> maxRows(const plan::Rows &rows, const plan::Plan &plan);

/// Bytes of the tensor of a weight. Only for verified plans.
uint64_t weightBytes(const plan::Weight &weight);

/// A verified plan and the bytes that hold it. Moving keeps the addresses.
///
/// What verification guarantees beyond the FlatBuffer itself: no field of a struct type is null;
/// every `Ref`, kernel, placement and exchange exists; results are buffers; a buffer lies inside
/// the arena, aligned, and has room for its rows under the limits (for Received: for a whole number
/// of rows that the executor must check against what arrives); exchanges are scattered once, before
/// anything uses their rows; symbols are C identifiers, other names unique and printable; there is
/// a function "main".
class Plan {
public:
  /// Larger plans are refused.
  static constexpr uint64_t kMaxBytes = 256ull << 20;

  /// Reads and verifies a file. Errors: InvalidArgument naming the place in the plan,
  /// FailedPrecondition for another version.
  static absl::StatusOr<Plan> open(const std::filesystem::path &path);

  /// Verifies a copy of `bytes`; `source` names them in errors.
  static absl::StatusOr<Plan> parse(absl::Span<const uint8_t> bytes, std::string_view source);

  const plan::Plan &operator*() const { return *plan::GetPlan(bytes_.data()); }
  const plan::Plan *operator->() const { return plan::GetPlan(bytes_.data()); }

  /// The function called `name`, or null.
  const plan::Function *function(std::string_view name) const;

private:
  explicit Plan(std::vector<uint8_t> bytes) : bytes_(std::move(bytes)) {}

  std::vector<uint8_t> bytes_; ///< from the heap, hence aligned for every scalar
};

/// The semantic half of verification; `plan` must have passed the FlatBuffer verifier. For writers
/// of plans too.
absl::Status verifyPlan(const plan::Plan &plan);

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_ARTIFACT_PLAN_H
