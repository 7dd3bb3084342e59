// Verifies what a plan says of device kernels: that every launch is one a device can make, and that
// no tensor map reaches beyond its operand. How much room caches have is known only when they are
// allocated; the executor checks maps over them.
#include <algorithm>

#include "runtime/artifact/AttentionItem.h"
#include "runtime/artifact/DeviceKernel.h"
#include "runtime/artifact/DeviceRows.h"
#include "runtime/artifact/KernelAbi.h"
#include "runtime/artifact/Plan.h"
#include "runtime/artifact/PlanChecks.h"

namespace epigraph::plan {
namespace {

using Most = DeviceLaunchLimits;

absl::Status checkRange(uint64_t value, uint64_t least, uint64_t most, const std::string &where) {
  if (value < least || value > most)
    return invalid(where, ": expected ", least, " to ", most, ", found ", value);
  return absl::OkStatus();
}

/// The FlatBuffer verifier aligns a vector's size, not its elements. Nothing aligns none.
absl::Status checkAligned(const flatbuffers::Vector<uint64_t> &values, const std::string &where) {
  if (values.size() != 0 && reinterpret_cast<uintptr_t>(values.Data()) % alignof(uint64_t) != 0)
    return invalid(where, ": not aligned");
  return absl::OkStatus();
}

/// What tensor maps can express, as CUDA's driver API has it.
absl::Status verifySizes(const TensorMap &map, const std::string &where) {
  constexpr uint64_t kMostSize = uint64_t{1} << 32, kMostStride = (uint64_t{1} << 40) - 1;
  EPIGRAPH_RETURN_IF_ERROR(checkAligned(*map.sizes(), where + ".sizes"));
  EPIGRAPH_RETURN_IF_ERROR(checkAligned(*map.strides(), where + ".strides"));
  const uint32_t rank = map.sizes()->size();
  EPIGRAPH_RETURN_IF_ERROR(checkRange(rank, 1, Most::kMapRank, where + ".sizes: rank"));
  if (map.box()->size() != rank || map.strides()->size() != rank - 1)
    return invalid(where, ": ", rank, " sizes, ", map.box()->size(), " sizes of the box and ",
                   map.strides()->size(), " strides; expected ", rank, ", ", rank, " and ",
                   rank - 1);
  if (std::count(map.sizes()->begin(), map.sizes()->end(), 0) > 1)
    return invalid(where, ".sizes: more than one is 0");
  for (uint32_t i = 0; i < rank; ++i) {
    EPIGRAPH_RETURN_IF_ERROR(
        checkRange(map.sizes()->Get(i), 0, kMostSize, absl::StrCat(where, ".sizes[", i, "]")));
    EPIGRAPH_RETURN_IF_ERROR(
        checkRange(map.box()->Get(i), 1, Most::kMapBox, absl::StrCat(where, ".box[", i, "]")));
  }
  for (uint32_t i = 0; i + 1 < rank; ++i) {
    const std::string stride = absl::StrCat(where, ".strides[", i, "]");
    EPIGRAPH_RETURN_IF_ERROR(checkRange(map.strides()->Get(i), 0, kMostStride, stride));
    if (map.strides()->Get(i) % 16 != 0)
      return invalid(stride, ": ", map.strides()->Get(i), " is not a multiple of 16");
  }
  return absl::OkStatus();
}

absl::Status verifyMap(const TensorMap &map, const std::string &where) {
  EPIGRAPH_RETURN_IF_ERROR(checkEnum(map.element(), DType::MAX, where + ".element"));
  EPIGRAPH_RETURN_IF_ERROR(verifySizes(map, where));
  const uint32_t swizzle = map.swizzle_bytes();
  if (swizzle != 0 && swizzle != 32 && swizzle != 64 && swizzle != 128)
    return invalid(where, ".swizzle_bytes: expected 0, 32, 64 or 128, found ", swizzle);
  const uint64_t row = map.box()->Get(0) * elementBytes(map.element());
  if (row % 16 != 0 || (swizzle != 0 && row > swizzle))
    return invalid(where, ".box[0]: rows of ", row,
                   " bytes; expected a multiple of 16, and no more than swizzle_bytes");
  return absl::OkStatus();
}

absl::Status verifyGrid(const Plan &plan, const DeviceLaunch &launch, const std::string &where) {
  EPIGRAPH_RETURN_IF_ERROR(checkEnum(launch.grid(), DeviceGrid::MAX, where + ".grid"));
  EPIGRAPH_RETURN_IF_ERROR(
      checkRange(launch.column_tiles(), 1, INT32_MAX, where + ".column_tiles"));
  if (launch.grid() == DeviceGrid::Rows)
    return absl::OkStatus();
  if (launch.row_tile() != 0)
    return invalid(where, ".row_tile: a launch over items has no tiles of rows");
  const Limits &limits = *plan.limits();
  const bool single = launch.grid() == DeviceGrid::TokenItems;
  if (single && plan.token_items() == 0)
    return invalid(where, ".grid: needs items of one token each, and token_items is 0");
  const uint64_t items = single ? mostTokenItems(plan.token_items(), limits.batch_tokens())
                                : mostTileItems(limits.batch_tokens(), limits.sequences());
  return checkRange(items * launch.column_tiles(), 1, INT32_MAX, where + ": blocks");
}

absl::Status verifyDeviceLaunch(const Plan &plan, const DeviceLaunch &launch,
                                const std::string &where) {
  if (!isIdentifier(view(launch.symbol())))
    return invalid(where, ".symbol: expected a C identifier");
  EPIGRAPH_RETURN_IF_ERROR(checkRange(launch.threads(), 1, Most::kThreads, where + ".threads"));
  EPIGRAPH_RETURN_IF_ERROR(
      checkRange(launch.shared_bytes(), 0, Most::kSharedBytes, where + ".shared_bytes"));
  EPIGRAPH_RETURN_IF_ERROR(checkRange(launch.cluster(), 1, Most::kCluster, where + ".cluster"));
  EPIGRAPH_RETURN_IF_ERROR(verifyGrid(plan, launch, where));
  if (!launch.maps())
    return absl::OkStatus();
  EPIGRAPH_RETURN_IF_ERROR(checkRange(launch.maps()->size(), 0, Most::kMaps, where + ".maps"));
  for (uint32_t i = 0; i < launch.maps()->size(); ++i)
    EPIGRAPH_RETURN_IF_ERROR(
        verifyMap(*launch.maps()->Get(i), absl::StrCat(where, ".maps[", i, "]")));
  return absl::OkStatus();
}

/// Bytes of the operand `ref`, and the rows that it has room for; `bytes` is the most there is for
/// caches.
struct Extent {
  uint64_t bytes;
  uint64_t rows;
};

Extent extentOf(const Plan &plan, const Function &function, const DeviceRows &rows,
                const Ref &ref) {
  switch (ref.kind()) {
  case RefKind::Buffer:
    return {function.buffers()->Get(ref.index())->bytes(), *rows.room(ref)};
  case RefKind::Input: {
    const Input &input = *function.inputs()->Get(ref.index());
    const uint64_t room = *rows.room(ref);
    return {room * input.row_elements() * elementBytes(input.dtype()), room};
  }
  case RefKind::Weight:
    return {weightBytes(*plan.weights()->Get(ref.index())), 0};
  case RefKind::Cache:
    break;
  }
  return {INT64_MAX, kPageTokens};
}

absl::Status verifyReach(const Plan &plan, const Function &function, const DeviceRows &rows,
                         const Launch &launch, const TensorMap &map, const std::string &where) {
  if (map.operand() >= launch.args()->size())
    return invalid(where, ".operand: ", map.operand(), " does not exist; there are ",
                   launch.args()->size());
  const Extent extent = extentOf(plan, function, rows, *launch.args()->Get(map.operand()));
  const bool hasZero = std::count(map.sizes()->begin(), map.sizes()->end(), 0) +
                           std::count(map.strides()->begin(), map.strides()->end(), 0) !=
                       0;
  if (hasZero && extent.rows == 0)
    return invalid(where, ": operand ", map.operand(), " has no rows that a 0 could stand for");
  const std::optional<uint64_t> reach = bytesOfMap(map, extent.rows);
  if (!reach || *reach > extent.bytes)
    return invalid(where, ": covers ", reach.value_or(UINT64_MAX), " bytes of operand ",
                   map.operand(), ", which has ", extent.bytes);
  return absl::OkStatus();
}

} // namespace

absl::Status verifyVariants(const Plan &plan, const Kernel &kernel, const std::string &where) {
  if ((kernel.variants() != nullptr) != isDevicePlan(plan))
    return invalid(where, ".variants: all kernels of a plan have variants, or none");
  if (!kernel.variants())
    return absl::OkStatus();
  const uint32_t count = kernel.variants()->size();
  if (count == 0)
    return invalid(where, ".variants: expected at least one");
  for (uint32_t i = 0; i < count; ++i) {
    const Variant &variant = *kernel.variants()->Get(i);
    const std::string place = absl::StrCat(where, ".variants[", i, "]");
    if (i + 1 == count && (variant.most_rows() != 0 || variant.one_token_each()))
      return invalid(place, ": the last variant must fit any step");
    if (variant.launches()->size() == 0)
      return invalid(place, ".launches: expected at least one");
    for (uint32_t j = 0; j < variant.launches()->size(); ++j)
      EPIGRAPH_RETURN_IF_ERROR(verifyDeviceLaunch(plan, *variant.launches()->Get(j),
                                                  absl::StrCat(place, ".launches[", j, "]")));
  }
  return absl::OkStatus();
}

absl::Status verifyLaunchOnDevice(const Plan &plan, const Function &function,
                                  const DeviceRows &rows, const Launch &launch,
                                  const std::string &where) {
  const uint64_t most = rows.most(*launch.rows());
  EPIGRAPH_RETURN_IF_ERROR(checkRange(most, 0, INT32_MAX, where + ".rows: the most of them"));
  const Kernel &kernel = *plan.kernels()->Get(launch.kernel());
  for (uint32_t i = 0; i < kernel.variants()->size(); ++i)
    for (const DeviceLaunch *part : *kernel.variants()->Get(i)->launches()) {
      const std::string place =
          absl::StrCat(where, " (", abslView(view(part->symbol())), ", variant ", i, ")");
      const uint64_t tiles =
          part->row_tile() ? (most + part->row_tile() - 1) / part->row_tile() : 1;
      if (part->grid() == DeviceGrid::Rows)
        EPIGRAPH_RETURN_IF_ERROR(
            checkRange(tiles * part->column_tiles(), 0, INT32_MAX, place + ": blocks"));
      for (uint32_t m = 0; part->maps() && m < part->maps()->size(); ++m)
        EPIGRAPH_RETURN_IF_ERROR(verifyReach(plan, function, rows, launch, *part->maps()->Get(m),
                                             absl::StrCat(place, ".maps[", m, "]")));
    }
  return absl::OkStatus();
}

} // namespace epigraph::plan
