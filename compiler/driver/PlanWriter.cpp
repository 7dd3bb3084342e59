#include "compiler/driver/PlanWriter.h"

#include <algorithm>

#include "compiler/driver/PlanFunctionWriter.h"
#include "compiler/driver/PlanTables.h"
#include "runtime/artifact/KernelAbi.h"

using namespace mlir;

namespace epigraph {
namespace {

/// Ranks, attention and limits.
LogicalResult addHead(ModuleOp module, plan::PlanT &plan) {
  auto limits = module->getAttrOfType<exec::LimitsAttr>(exec::kLimitsAttrName);
  if (!limits)
    return module.emitError("has no ") << exec::kLimitsAttrName;
  plan.version = kPlanVersion;
  plan.ranks = 1;
  for (auto mesh : module.getOps<ep::MeshOp>()) {
    plan.ranks = static_cast<uint32_t>(mesh.getRanks());
    plan.tensor = static_cast<uint32_t>(mesh.getTensor());
    plan.attention = mesh.getAttention() == ep::AttentionMode::Data ? plan::Attention::Data
                                                                    : plan::Attention::Replicated;
  }
  plan.limits = std::make_unique<plan::LimitsT>();
  plan.limits->batch_tokens = static_cast<uint32_t>(limits.getBatchTokens());
  plan.limits->sequences = static_cast<uint32_t>(limits.getSequences());
  plan.limits->context = static_cast<uint32_t>(limits.getMaxContext());
  plan.limits->page_tokens = kPageTokens;
  return success();
}

} // namespace

FailureOr<WrittenPlan> writePlan(ModuleOp module, const DeviceKernels *device) {
  PlanTables tables(module, device);
  plan::PlanT &plan = tables.plan();
  WrittenPlan written;
  if (failed(addHead(module, plan)))
    return failure();
  SymbolTable symbols(module);
  for (auto function : module.getOps<func::FuncOp>()) {
    FailureOr<RowExtents> extents = RowExtents::compute(function);
    if (failed(extents))
      return failure();
    PlanFunctionWriter writer(function, *extents, symbols, tables);
    auto result = writer.write();
    if (failed(result))
      return failure();
    plan.functions.push_back(std::move(*result));
    auto arena = function->getAttrOfType<IntegerAttr>(exec::kArenaBytesAttrName);
    if (!arena)
      return function.emitError("has no ")
             << exec::kArenaBytesAttrName << "; run --exec-plan-memory first";
    written.sizes.arenaBytes =
        std::max(written.sizes.arenaBytes, static_cast<uint64_t>(arena.getInt()));
    written.sizes.arenaNaiveBytes = std::max(written.sizes.arenaNaiveBytes, writer.naiveBytes());
  }
  plan.arena_bytes = written.sizes.arenaBytes;
  written.sizes.cacheBytesPerToken = tables.cacheBytesPerToken();

  flatbuffers::FlatBufferBuilder builder;
  plan::FinishPlanBuffer(builder, plan::CreatePlan(builder, &plan));
  written.bytes.assign(builder.GetBufferPointer(), builder.GetBufferPointer() + builder.GetSize());
  if (auto checked = Plan::parse(written.bytes, "the plan just written"); !checked.ok())
    return module.emitError("the plan is not valid; this is a bug: ")
           << std::string(checked.status().message());
  return written;
}

} // namespace epigraph
