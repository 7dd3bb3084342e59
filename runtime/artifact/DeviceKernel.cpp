#include "runtime/artifact/DeviceKernel.h"

#include "runtime/artifact/Plan.h"

namespace epigraph {
namespace {

TensorMapSpec mapOf(const plan::TensorMap &map) {
  TensorMapSpec result;
  result.operand = map.operand();
  result.element = storedType(map.element());
  result.sizes.assign(map.sizes()->begin(), map.sizes()->end());
  result.strides.assign(map.strides()->begin(), map.strides()->end());
  result.box.assign(map.box()->begin(), map.box()->end());
  result.swizzleBytes = map.swizzle_bytes();
  return result;
}

DeviceLaunch launchOf(const plan::DeviceLaunch &launch) {
  DeviceLaunch result;
  result.symbol = launch.symbol()->str();
  result.threads = launch.threads();
  result.sharedBytes = launch.shared_bytes();
  result.cluster = launch.cluster();
  result.early = launch.early();
  result.grid = static_cast<DeviceGrid>(launch.grid());
  result.rowTile = launch.row_tile();
  result.columnTiles = launch.column_tiles();
  result.blocksPerCore = launch.blocks_per_core();
  if (launch.maps())
    for (const plan::TensorMap *map : *launch.maps())
      result.maps.push_back(mapOf(*map));
  return result;
}

DeviceVariant variantOf(const plan::Variant &variant) {
  DeviceVariant result;
  result.mostRows = variant.most_rows();
  result.oneTokenEach = variant.one_token_each();
  for (const plan::DeviceLaunch *launch : *variant.launches())
    result.launches.push_back(launchOf(*launch));
  return result;
}

} // namespace

DeviceKernel kernelOf(const plan::Kernel &kernel) {
  DeviceKernel result;
  result.name = kernel.symbol()->str();
  if (kernel.variants())
    for (const plan::Variant *variant : *kernel.variants())
      result.variants.push_back(variantOf(*variant));
  return result;
}

std::vector<DeviceKernel> kernelsOf(const plan::Plan &plan) {
  std::vector<DeviceKernel> result;
  for (const plan::Kernel *kernel : *plan.kernels())
    result.push_back(kernelOf(*kernel));
  return result;
}

} // namespace epigraph
