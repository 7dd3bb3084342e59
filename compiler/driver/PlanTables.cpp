#include "compiler/driver/PlanTables.h"

#include "llvm/ADT/TypeSwitch.h"

#include "codegen/cpu/KernelLibrary.h"
#include "compiler/driver/PlanKernelWriter.h"
#include "compiler/driver/RandomWeightPlan.h"
#include "compiler/driver/WeightLayout.h"

using namespace mlir;

namespace epigraph {

plan::DType planDType(Type elementType) { return planDType(dtypeOf(elementType)); }

plan::Rows planRows(RowExtent extent) {
  plan::RowKind kind = plan::RowKind::Static;
  switch (extent.kind) {
  case RowExtent::Kind::Static:
    break;
  case RowExtent::Kind::Tokens:
    kind = plan::RowKind::Tokens;
    break;
  case RowExtent::Kind::Outputs:
    kind = plan::RowKind::Outputs;
    break;
  case RowExtent::Kind::LocalTokens:
    kind = plan::RowKind::LocalTokens;
    break;
  case RowExtent::Kind::Received:
    kind = plan::RowKind::Received;
    break;
  }
  if (extent.half != RowExtent::Half::Whole) {
    const bool first = extent.half == RowExtent::Half::First;
    if (extent.kind == RowExtent::Kind::Tokens)
      kind = first ? plan::RowKind::FirstHalf : plan::RowKind::SecondHalf;
    else
      kind = first ? plan::RowKind::LocalFirstHalf : plan::RowKind::LocalSecondHalf;
  }
  const bool isShare = extent.kind == RowExtent::Kind::LocalTokens;
  return plan::Rows(
      kind, static_cast<uint16_t>(isShare ? static_cast<unsigned>(extent.axis) : extent.exchange),
      static_cast<uint32_t>(extent.factor));
}

PlanTables::PlanTables(ModuleOp module, const DeviceKernels *device) {
  addWeights(module);
  addKernels(module);
  if (device)
    addVariants(*device);
}

void PlanTables::addWeights(ModuleOp module) {
  const std::optional<uint64_t> seed = randomWeightsOf(module);
  if (seed) {
    plan_.random = std::make_unique<plan::RandomWeightsT>();
    plan_.random->seed = *seed;
  }
  for (const StoredWeight &stored : collectStoredWeights(module)) {
    auto weight = std::make_unique<plan::WeightT>();
    weight->name = stored.name;
    weight->dtype = planDType(stored.dtype);
    weight->shape = stored.stored;
    weight->shared = stored.shared;
    if (seed)
      weight->random = randomWeight(stored);
    weights_.try_emplace(stored.name, plan_.weights.size());
    plan_.weights.push_back(std::move(weight));
  }
}

/// Kernels that share their code have a symbol in the library each all the same.
void PlanTables::addKernels(ModuleOp module) {
  for (auto op : module.getOps<exec::KernelOp>()) {
    auto kernel = std::make_unique<plan::KernelT>();
    kernel->symbol = cpu::kernelSymbol(op.getSymName());
    kernels_.try_emplace(op.getSymName(), plan_.kernels.size());
    plan_.kernels.push_back(std::move(kernel));
  }
}

void PlanTables::addVariants(const DeviceKernels &device) {
  for (const DeviceKernel &kernel : device.kernels)
    epigraph::addVariants(kernel, *plan_.kernels[kernels_.at(kernel.name)]);
  plan_.workspace_bytes = device.workspaceBytes;
  plan_.token_items = device.tokenItems;
  plan_.region_bytes = device.regionBytes;
  if (device.random) {
    plan_.random->kernel = std::make_unique<plan::KernelT>();
    plan_.random->kernel->symbol = device.random->name;
    epigraph::addVariants(*device.random, *plan_.random->kernel);
  }
}

FailureOr<uint32_t> PlanTables::cache(epi::KvCacheOp op) {
  auto [entry, isNew] = caches_.try_emplace(op.getName(), plan_.caches.size());
  auto cache = std::make_unique<plan::CacheT>();
  cache->name = op.getName().str();
  llvm::TypeSwitch<Type>(op.getType()).Case<epi::KvCacheType, epi::MlaCacheType>([&](auto type) {
    cache->dtype = planDType(type.getElementType());
    cache->entry_elements = static_cast<uint32_t>(type.getEntryElements());
  });
  if (!isNew) {
    const plan::CacheT &known = *plan_.caches[entry->second];
    if (known.dtype != cache->dtype || known.entry_elements != cache->entry_elements)
      return op.emitError("cache \"")
             << op.getName() << "\" has another type elsewhere; two functions that share a cache "
             << "must agree on it";
    return entry->second;
  }
  cacheBytesPerToken_ += elementBytes(cache->dtype) * cache->entry_elements;
  plan_.caches.push_back(std::move(cache));
  return entry->second;
}

uint32_t PlanTables::placement(ep::PlacementAttr placement) {
  auto [entry, isNew] = placements_.try_emplace(placement, plan_.placements.size());
  if (isNew) {
    auto table = std::make_unique<plan::PlacementT>();
    for (int64_t slot = 0; slot < placement.getNumSlots(); ++slot)
      table->owner.push_back(static_cast<uint16_t>(placement.getOwner(slot)));
    plan_.placements.push_back(std::move(table));
  }
  return entry->second;
}

} // namespace epigraph
