#include "KernelsJson.h"

#include <nlohmann/json.hpp>

#include "dialects/exec/Exec.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;

namespace epigraph {
namespace {

using Json = nlohmann::ordered_json;

std::string textOf(Type type) {
  std::string text;
  llvm::raw_string_ostream(text) << type;
  return text;
}

/// {"element", "shape"} of a tensor, with -1 for its rows; {"element", "entry"} of a cache; null of
/// the step, for which a function has no parameter.
Json describe(Type type) {
  return llvm::TypeSwitch<Type, Json>(type)
      .Case([](RankedTensorType tensor) {
        Json shape = Json::array();
        for (int64_t size : tensor.getShape())
          shape.push_back(ShapedType::isDynamic(size) ? -1 : size);
        return Json{{"element", textOf(tensor.getElementType())}, {"shape", std::move(shape)}};
      })
      .Case<epi::KvCacheType, epi::MlaCacheType>([](auto cache) {
        return Json{{"element", textOf(cache.getElementType())},
                    {"entry", cache.getEntryElements()}};
      })
      .Default([](Type) { return Json(); });
}

Json describe(TypeRange types) {
  Json all = Json::array();
  for (Type type : types)
    if (!isa<epi::StepType>(type))
      all.push_back(describe(type));
  return all;
}

Json describe(const TensorMapSpec &map) {
  return {{"operand", map.operand}, {"element", dtypeName(map.element)},
          {"sizes", map.sizes},     {"strides", map.strides},
          {"box", map.box},         {"swizzle_bytes", map.swizzleBytes}};
}

Json describe(const DeviceLaunch &launch) {
  static constexpr const char *kGrids[] = {"rows", "token_items", "tile_items"};
  Json maps = Json::array();
  for (const TensorMapSpec &map : launch.maps)
    maps.push_back(describe(map));
  return {{"symbol", launch.symbol},
          {"threads", launch.threads},
          {"shared_bytes", launch.sharedBytes},
          {"cluster", launch.cluster},
          {"early", launch.early},
          {"grid", kGrids[static_cast<size_t>(launch.grid)]},
          {"row_tile", launch.rowTile},
          {"column_tiles", launch.columnTiles},
          {"blocks_per_core", launch.blocksPerCore},
          {"maps", std::move(maps)}};
}

Json describe(const DeviceVariant &variant) {
  Json launches = Json::array();
  for (const DeviceLaunch &launch : variant.launches)
    launches.push_back(describe(launch));
  return {{"most_rows", variant.mostRows},
          {"one_token_each", variant.oneTokenEach},
          {"launches", std::move(launches)}};
}

/// The form that a kernel asks for by an attribute of numbers (wide_tile, narrow_tile,
/// skinny_tile): what `epigraph tune` files its times under. Null for one that leaves the choice.
Json describeForm(exec::KernelOp kernel) {
  for (NamedAttribute attribute : kernel->getDiscardableAttrs())
    if (auto fields = dyn_cast<DenseI64ArrayAttr>(attribute.getValue()))
      return {{"name", attribute.getName().str()}, {"fields", fields.asArrayRef().vec()}};
  return Json();
}

} // namespace

std::string kernelsJson(ModuleOp module, const DeviceKernels &kernels) {
  Json all = Json::array();
  for (auto [op, kernel] : llvm::zip_equal(module.getOps<exec::KernelOp>(), kernels.kernels)) {
    Json variants = Json::array();
    for (const DeviceVariant &variant : kernel.variants)
      variants.push_back(describe(variant));
    all.push_back({{"name", kernel.name},
                   {"operands", describe(op.getArgumentTypes())},
                   {"results", describe(op.getResultTypes())},
                   {"form", describeForm(op)},
                   {"variants", std::move(variants)}});
  }
  return Json{{"workspace_bytes", kernels.workspaceBytes},
              {"token_items", kernels.tokenItems},
              {"region_bytes", kernels.regionBytes},
              {"kernels", std::move(all)}}
             .dump(1) +
         "\n";
}

} // namespace epigraph
