#include "tools/epigraph/KernelsFolder.h"

#include <algorithm>
#include <functional>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "runtime/base/FileSystem.h"
#include "runtime/base/Json.h"
#include "runtime/base/Status.h"

namespace epigraph::tool {
namespace {

constexpr uint64_t kMostBytes = uint64_t{1} << 28;

/// Types as MLIR writes them.
constexpr std::pair<std::string_view, DType> kElements[] = {
    {"bf16", DType::BF16}, {"f32", DType::F32}, {"f8E4M3FN", DType::F8_E4M3}, {"i32", DType::I32}};

void readElement(JsonObject &json, DType &element) {
  std::string name;
  json.read("element", name);
  const auto *found = std::find_if(std::begin(kElements), std::end(kElements),
                                   [&](const auto &entry) { return entry.first == name; });
  if (found != std::end(kElements))
    element = found->second;
  else if (json.ok())
    json.fail("element", absl::StrCat("unknown type '", name, "'"));
}

/// A first size of -1 stands for the rows of the batch.
KernelTensor readTensor(JsonObject json) {
  KernelTensor tensor;
  readElement(json, tensor.element);
  const nlohmann::json *shape = json.member("shape");
  if (!json.ok())
    return tensor;
  for (const nlohmann::json &size : *shape) {
    if (size == -1 && !tensor.hasRows && tensor.shape.empty())
      tensor.hasRows = true;
    else if (size.is_number_unsigned() && size.get<uint64_t>() <= UINT32_MAX)
      tensor.shape.push_back(size.get<uint32_t>());
    else
      json.fail("shape", "expected sizes below 2^32, and -1 for rows only as the first");
  }
  return tensor;
}

TensorMapSpec readMap(JsonObject json) {
  TensorMapSpec map;
  std::string element;
  json.read("operand", map.operand);
  json.read("element", element);
  json.read("sizes", map.sizes);
  json.read("strides", map.strides);
  json.read("box", map.box);
  json.read("swizzle_bytes", map.swizzleBytes, 128);
  if (const std::optional<DType> dtype = dtypeFromName(element))
    map.element = *dtype;
  else if (json.ok())
    json.fail("element", absl::StrCat("unknown type '", element, "'"));
  return map;
}

DeviceLaunch readLaunch(JsonObject json) {
  DeviceLaunch launch;
  std::string grid;
  json.read("symbol", launch.symbol);
  json.read("threads", launch.threads, DeviceLaunchLimits::kThreads);
  json.read("shared_bytes", launch.sharedBytes, DeviceLaunchLimits::kSharedBytes);
  json.read("cluster", launch.cluster, DeviceLaunchLimits::kCluster);
  json.read("early", launch.early);
  json.read("grid", grid);
  json.read("row_tile", launch.rowTile);
  json.read("column_tiles", launch.columnTiles);
  json.read("blocks_per_core", launch.blocksPerCore);
  json.forEachObject("maps", [&](JsonObject map) { launch.maps.push_back(readMap(map)); });
  if (json.ok() && grid != "rows")
    json.fail("grid", "kernels whose launches depend on more than rows cannot be tuned");
  if (json.ok() && launch.cluster == 0)
    json.fail("cluster", "expected at least 1");
  return launch;
}

DeviceVariant readVariant(JsonObject json) {
  DeviceVariant variant;
  json.read("most_rows", variant.mostRows);
  json.read("one_token_each", variant.oneTokenEach);
  json.forEachObject("launches",
                     [&](JsonObject launch) { variant.launches.push_back(readLaunch(launch)); });
  return variant;
}

void readKernel(JsonObject json, KernelsFolder &folder) {
  KernelSignature signature;
  json.read("name", signature.name);
  for (auto [key, tensors] :
       {std::pair("operands", &signature.operands), {"results", &signature.results}})
    json.forEachObject(key, [&](JsonObject tensor) { tensors->push_back(readTensor(tensor)); });
  if (json.has("form")) {
    JsonObject form = json.object("form");
    form.read("name", signature.form);
    form.read("fields", signature.fields);
  }
  DeviceKernel kernel{signature.name, {}};
  json.forEachObject("variants",
                     [&](JsonObject variant) { kernel.variants.push_back(readVariant(variant)); });
  folder.signatures.push_back(std::move(signature));
  folder.kernels.kernels.push_back(std::move(kernel));
}

} // namespace

uint64_t KernelTensor::bytes() const {
  return std::accumulate(shape.begin(), shape.end(), dtypeBytes(element), std::multiplies<>());
}

absl::StatusOr<KernelsFolder> readKernelsFolder(const std::filesystem::path &path) {
  const std::filesystem::path file = path / "kernels.json";
  EPIGRAPH_ASSIGN_OR_RETURN(const std::string text, readFile(file, kMostBytes));
  EPIGRAPH_ASSIGN_OR_RETURN(const nlohmann::json json, parseJson(text, file.string()));
  absl::Status status;
  JsonObject object(json, file.string(), &status);
  KernelsFolder folder;
  folder.cubin = (path / "kernels.cubin").string();
  object.read("workspace_bytes", folder.kernels.workspaceBytes);
  object.forEachObject("kernels", [&](JsonObject kernel) { readKernel(kernel, folder); });
  EPIGRAPH_RETURN_IF_ERROR(status);
  return folder;
}

} // namespace epigraph::tool
