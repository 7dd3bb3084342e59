#include "runtime/device/CudaTensorMap.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "runtime/base/Status.h"

namespace epigraph {
namespace {

constexpr size_t kMostRank = DeviceLaunchLimits::kMapRank;

std::optional<CUtensorMapDataType> elementType(DType dtype) {
  switch (dtype) {
  case DType::F32:
    return CU_TENSOR_MAP_DATA_TYPE_FLOAT32;
  case DType::BF16:
    return CU_TENSOR_MAP_DATA_TYPE_BFLOAT16;
  case DType::I32:
    return CU_TENSOR_MAP_DATA_TYPE_INT32;
  case DType::F8_E4M3:
    return CU_TENSOR_MAP_DATA_TYPE_UINT8; // the copy engine only moves them
  default:
    return std::nullopt;
  }
}

std::optional<CUtensorMapSwizzle> swizzleOf(uint32_t bytes) {
  switch (bytes) {
  case 0:
    return CU_TENSOR_MAP_SWIZZLE_NONE;
  case 32:
    return CU_TENSOR_MAP_SWIZZLE_32B;
  case 64:
    return CU_TENSOR_MAP_SWIZZLE_64B;
  case 128:
    return CU_TENSOR_MAP_SWIZZLE_128B;
  default:
    return std::nullopt;
  }
}

/// "BF16 [7168, 64], strides [14336], box [64, 64], swizzle 128".
std::string describe(const TensorMapSpec &spec) {
  const std::string_view name = dtypeName(spec.element);
  return absl::StrCat(abslView(name), " [", absl::StrJoin(spec.sizes, ", "), "], strides [",
                      absl::StrJoin(spec.strides, ", "), "], box [", absl::StrJoin(spec.box, ", "),
                      "], swizzle ", spec.swizzleBytes);
}

} // namespace

absl::StatusOr<CUtensorMap> encodeTensorMap(const CudaContext &context, const TensorMapSpec &spec,
                                            const void *address, uint32_t rows) {
  const auto refuse = [&](absl::string_view why) {
    return absl::InternalError(absl::StrCat("tensor map over operand ", spec.operand, " (",
                                            describe(spec), ", ", rows, " rows): ", why));
  };
  const size_t rank = spec.sizes.size();
  const std::optional<CUtensorMapDataType> element = elementType(spec.element);
  const std::optional<CUtensorMapSwizzle> swizzle = swizzleOf(spec.swizzleBytes);
  if (rank == 0 || rank > kMostRank || spec.strides.size() + 1 != rank || spec.box.size() != rank)
    return refuse("expected 1 to 5 sizes, as many numbers of the box, and one stride less");
  if (!element || !swizzle)
    return refuse("expected elements of F32, BF16, I32 or F8_E4M3, and a swizzle of 0, 32, 64 or "
                  "128 bytes");
  const auto isZero = [](uint64_t number) { return number == 0; };
  if (rows == 0 && (std::any_of(spec.sizes.begin(), spec.sizes.end(), isZero) ||
                    std::any_of(spec.strides.begin(), spec.strides.end(), isZero)))
    return refuse("the operand has no rows");

  std::array<cuuint64_t, kMostRank> sizes{}, strides{};
  std::array<cuuint32_t, kMostRank> box{}, steps{};
  steps.fill(1);
  std::transform(spec.sizes.begin(), spec.sizes.end(), sizes.begin(),
                 [&](uint64_t size) { return size == 0 ? rows : size; });
  std::transform(spec.strides.begin(), spec.strides.end(), strides.begin(), [&](uint64_t stride) {
    return stride == 0 ? rows * dtypeBytes(spec.element) : stride;
  });
  std::copy(spec.box.begin(), spec.box.end(), box.begin());

  CUtensorMap map;
  const CUresult result = context.api().tensorMapEncodeTiled(
      &map, *element, static_cast<cuuint32_t>(rank), const_cast<void *>(address), sizes.data(),
      strides.data(), box.data(), steps.data(), CU_TENSOR_MAP_INTERLEAVE_NONE, *swizzle,
      CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (result != CUDA_SUCCESS)
    return refuse(context.api().describe(result));
  return map;
}

} // namespace epigraph
