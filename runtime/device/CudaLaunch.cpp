#include "runtime/device/CudaLaunch.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "runtime/base/Status.h"
#include "runtime/device/CudaMemory.h"
#include "runtime/device/CudaTensorMap.h"

namespace epigraph {

int64_t blocksOf(const DeviceLaunch &launch, int64_t rows, const StepBounds &bounds,
                 int multiprocessors) {
  int64_t tiles = 1;
  switch (launch.grid) {
  case DeviceGrid::Rows:
    if (launch.rowTile != 0)
      tiles = (rows + launch.rowTile - 1) / launch.rowTile;
    break;
  case DeviceGrid::TokenItems:
    tiles = bounds.tokenItems;
    break;
  case DeviceGrid::TileItems:
    tiles = bounds.tileItems;
    break;
  }
  const int64_t blocks = tiles * launch.columnTiles;
  if (launch.blocksPerCore == 0)
    return blocks;
  // A function that loops over its work: one wave of whole clusters.
  const int64_t wave = int64_t{launch.blocksPerCore} * multiprocessors;
  return std::min(blocks, std::max<int64_t>(wave / launch.cluster, 1) * launch.cluster);
}

const DeviceVariant *chooseVariant(absl::Span<const DeviceVariant> variants, int64_t rows,
                                   const StepBounds &bounds) {
  const auto fits = [&](const DeviceVariant &variant) {
    return (variant.mostRows == 0 || rows <= variant.mostRows) &&
           (!variant.oneTokenEach || bounds.oneTokenEach);
  };
  const auto found = std::find_if(variants.begin(), variants.end(), fits);
  return found == variants.end() ? nullptr : &*found;
}

absl::StatusOr<std::unique_ptr<CudaLaunch>> CudaLaunch::prepare(const CudaContext &context,
                                                                const CudaKernels &library,
                                                                const LaunchBinding &binding) {
  if (binding.kernel >= library.size())
    return absl::InternalError(
        absl::StrCat("launch of kernel ", binding.kernel, " of a library with ", library.size()));
  const CudaKernels::Entry &entry = library.entry(binding.kernel);
  std::unique_ptr<CudaLaunch> result(new CudaLaunch(entry));
  for (const void *address : binding.arguments)
    result->pointers.push_back(devicePointer(address));
  for (const void *address : {binding.step, static_cast<const void *>(binding.count),
                              static_cast<const void *>(binding.workspace)})
    result->pointers.push_back(devicePointer(address));
  result->factor = binding.factor;
  result->capacity = binding.capacity;
  for (size_t i = 0; i < entry.functions.size(); ++i) {
    std::vector<Part> &parts = result->variants.emplace_back();
    for (size_t j = 0; j < entry.functions[i].size(); ++j) {
      absl::StatusOr<Part> part = result->makePart(context, entry.kernel.variants[i].launches[j],
                                                   entry.functions[i][j], binding);
      if (!part.ok())
        return withContext(part.status(), absl::StrCat("kernel '", entry.kernel.name, "'"));
      parts.push_back(*std::move(part));
    }
  }
  return result;
}

absl::StatusOr<CudaLaunch::Part> CudaLaunch::makePart(const CudaContext &context,
                                                      const DeviceLaunch &launch,
                                                      CUfunction function,
                                                      const LaunchBinding &binding) {
  Part part{&launch, function, {}, {}};
  for (const TensorMapSpec &spec : launch.maps) {
    if (spec.operand >= binding.arguments.size())
      return absl::InternalError(absl::StrCat("a tensor map over operand ", spec.operand, " of ",
                                              binding.arguments.size()));
    const uint32_t rows =
        spec.operand < binding.argumentRows.size() ? binding.argumentRows[spec.operand] : 0;
    EPIGRAPH_ASSIGN_OR_RETURN(
        part.maps.emplace_back(),
        encodeTensorMap(context, spec, binding.arguments[spec.operand], rows));
  }
  // In the order of KernelAbi.h. Moving a part keeps the addresses of its maps.
  for (CUtensorMap &map : part.maps)
    part.arguments.push_back(&map);
  const size_t count = pointers.size() - 1;
  for (size_t i = 0; i < count; ++i)
    part.arguments.push_back(&pointers[i]);
  for (void *argument : {static_cast<void *>(&factor), static_cast<void *>(&capacity),
                         static_cast<void *>(&pointers[count])})
    part.arguments.push_back(argument);
  return part;
}

absl::Status CudaLaunch::run(const CudaContext &context, CUstream stream, int64_t rows,
                             const StepBounds &bounds) const {
  const std::vector<DeviceVariant> &choices = entry.kernel.variants;
  const DeviceVariant *variant = chooseVariant(choices, rows, bounds);
  if (!variant)
    return absl::InternalError(
        absl::StrCat("kernel '", entry.kernel.name, "' has no variant for ", rows, " rows"));
  for (const Part &part : variants[static_cast<size_t>(variant - choices.data())]) {
    const int64_t blocks = blocksOf(*part.launch, rows, bounds, context.gpu().multiprocessors);
    if (blocks > INT32_MAX)
      return absl::InternalError(absl::StrCat("kernel '", part.launch->symbol, "' over ", rows,
                                              " rows has too many blocks"));
    if (blocks > 0)
      EPIGRAPH_RETURN_IF_ERROR(part.run(context, stream, static_cast<unsigned>(blocks)));
  }
  return absl::OkStatus();
}

absl::Status CudaLaunch::Part::run(const CudaContext &context, CUstream stream,
                                   unsigned blocks) const {
  CUlaunchAttribute attributes[2];
  CUlaunchConfig config{};
  config.gridDimX = blocks;
  config.gridDimY = config.gridDimZ = 1;
  config.blockDimX = launch->threads;
  config.blockDimY = config.blockDimZ = 1;
  config.sharedMemBytes = launch->sharedBytes;
  config.hStream = stream;
  config.attrs = attributes;
  if (launch->cluster > 1) {
    CUlaunchAttribute &attribute = attributes[config.numAttrs++];
    attribute.id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION;
    attribute.value.clusterDim = {launch->cluster, 1, 1};
  }
  if (launch->early) {
    CUlaunchAttribute &attribute = attributes[config.numAttrs++];
    attribute.id = CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION;
    attribute.value.programmaticStreamSerializationAllowed = 1;
  }
  // The driver only reads arguments.
  void **values = const_cast<void **>(arguments.data());
  const CUresult result = context.api().launchKernelEx(&config, function, values, nullptr);
  if (result == CUDA_SUCCESS)
    return absl::OkStatus();
  return context.check(
      result, absl::StrCat("launching kernel '", launch->symbol, "' with ", blocks, " blocks"));
}

} // namespace epigraph
