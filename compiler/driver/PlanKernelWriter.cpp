#include "compiler/driver/PlanKernelWriter.h"

namespace epigraph {
namespace {

std::unique_ptr<plan::TensorMapT> planMap(const TensorMapSpec &map) {
  auto result = std::make_unique<plan::TensorMapT>();
  result->operand = map.operand;
  result->element = planDType(map.element);
  result->sizes = map.sizes;
  result->strides = map.strides;
  result->box = map.box;
  result->swizzle_bytes = map.swizzleBytes;
  return result;
}

std::unique_ptr<plan::DeviceLaunchT> planLaunch(const DeviceLaunch &launch) {
  auto result = std::make_unique<plan::DeviceLaunchT>();
  result->symbol = launch.symbol;
  result->threads = launch.threads;
  result->shared_bytes = launch.sharedBytes;
  result->cluster = launch.cluster;
  result->early = launch.early;
  result->grid = static_cast<plan::DeviceGrid>(launch.grid);
  result->row_tile = launch.rowTile;
  result->column_tiles = launch.columnTiles;
  result->blocks_per_core = launch.blocksPerCore;
  for (const TensorMapSpec &map : launch.maps)
    result->maps.push_back(planMap(map));
  return result;
}

} // namespace

plan::DType planDType(DType dtype) {
  switch (dtype) {
  case DType::BF16:
    return plan::DType::BF16;
  case DType::I32:
    return plan::DType::I32;
  case DType::F8_E4M3:
    return plan::DType::F8E4M3;
  default:
    return plan::DType::F32;
  }
}

void addVariants(const DeviceKernel &kernel, plan::KernelT &result) {
  for (const DeviceVariant &variant : kernel.variants) {
    auto added = std::make_unique<plan::VariantT>();
    added->most_rows = variant.mostRows;
    added->one_token_each = variant.oneTokenEach;
    for (const DeviceLaunch &launch : variant.launches)
      added->launches.push_back(planLaunch(launch));
    result.variants.push_back(std::move(added));
  }
}

} // namespace epigraph
