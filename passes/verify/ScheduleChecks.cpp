#include "passes/verify/PhaseChecks.h"

#include "passes/graph/WeightExpressions.h"
#include "passes/schedule/MemoryPlan.h"
#include "passes/schedule/UnderWay.h"

#include "dialects/exec/Exec.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace epigraph {
namespace {

/// The weight of a projection, or null.
Value projectionWeight(Operation &op) {
  return llvm::TypeSwitch<Operation *, Value>(&op)
      .Case<epi::LinearOp, epi::HeadLinearOp, epi::GroupedLinearOp>(
          [](auto projection) { return projection.getW(); })
      .Default(Value());
}

bool isScheduled(Operation &op) {
  return isa<exec::LoadWeightOp, exec::LaunchOp, epi::KvCacheOp, ep::ShardRowsOp,
             ep::ShardColumnsOp, ep::WaitOp, func::ReturnOp>(op) ||
         isCollective(&op);
}

LogicalResult verifyKernel(exec::KernelOp kernel) {
  for (Operation &op : kernel.getBody().front().without_terminator())
    if (!isa<epi::EpiDialect, ep::EpDialect>(op.getDialect()) || isWeightLeaf(&op) ||
        isa<epi::FusedOp, epi::KvCacheOp, epi::ExpertsOp>(op) || isCollective(&op))
      return op.emitOpError("stands in the kernel @")
             << kernel.getSymName() << ", but kernels compute on what launches give them and hold "
             << "no weights, caches, groups or exchanges";
  return success();
}

} // namespace

LogicalResult verifyPartition(ModuleOp module) {
  ep::MeshOp mesh;
  for (auto found : module.getOps<ep::MeshOp>()) {
    if (mesh)
      return found.emitOpError("is a second mesh beside @")
             << mesh.getSymName() << ", but all ranks of a model are one mesh";
    mesh = found;
  }
  for (auto function : module.getOps<func::FuncOp>())
    for (Operation &op : function.getOps()) {
      if (isa<epi::ExpertsOp>(op))
        return op.emitOpError("is not shared among ranks: --ep-partition-experts should have "
                              "turned it into projections between a dispatch and a combine");
      auto on = op.getAttrOfType<FlatSymbolRefAttr>("mesh");
      if (on && isa<ep::EpDialect>(op.getDialect()) &&
          (!mesh || on.getAttr() != mesh.getSymNameAttr()))
        return op.emitOpError("is on the mesh @")
               << on.getValue() << ", which the module does not have";
    }
  return success();
}

LogicalResult verifySchedule(ModuleOp module) {
  for (auto function : module.getOps<func::FuncOp>())
    for (Operation &op : function.getOps())
      if (!isScheduled(op))
        return op.emitOpError("is no part of a schedule: --exec-hoist-weights or "
                              "--exec-outline-kernels should have taken it out of @")
               << function.getSymName();
  for (auto kernel : module.getOps<exec::KernelOp>())
    if (failed(verifyKernel(kernel)))
      return failure();
  return success();
}

LogicalResult verifyPlans(ModuleOp module, bool whole) {
  for (auto function : module.getOps<func::FuncOp>()) {
    if (!function->hasAttr(exec::kArenaBytesAttrName))
      return function.emitOpError("has no ")
             << exec::kArenaBytesAttrName << ": --exec-plan-memory should have planned its memory";
    if (whole && (failed(verifyMemoryPlan(function)) || failed(verifyWaits(function))))
      return failure();
  }
  return success();
}

/// Whether `module` is compiled for a CPU; one that names no target is taken to be.
static bool isForCpu(ModuleOp module) {
  auto target = module->getAttrOfType<exec::TargetAttr>(exec::kTargetAttrName);
  return !target || target.getName().getValue().starts_with("cpu");
}

LogicalResult verifyPackedWeights(ModuleOp module) {
  if (!isForCpu(module))
    return success();
  for (auto kernel : module.getOps<exec::KernelOp>())
    for (Operation &op : kernel.getBody().front()) {
      Value weight = projectionWeight(op);
      if (!weight)
        continue;
      if (!isa<BlockArgument>(weight))
        return op.emitOpError("computes its weight in the kernel @")
               << kernel.getSymName() << ": --exec-hoist-weights should have hoisted it";
      if (!isa_and_nonnull<exec::PanelAttr>(cast<RankedTensorType>(weight.getType()).getEncoding()))
        return op.emitOpError("reads the weight ")
               << weight.getType() << " of the kernel @" << kernel.getSymName()
               << " as checkpoints store it: --cpu-pack-weights should have packed it";
    }
  return success();
}

} // namespace epigraph
