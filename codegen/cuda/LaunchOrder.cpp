#include "codegen/cuda/LaunchOrder.h"

#include "dialects/epi/Epi.h"

using namespace mlir;

namespace epigraph::cuda {
namespace {

/// Whether `launch` runs a grouped projection whose sizes of groups are `counts`.
bool isProjectionOfGroups(exec::LaunchOp launch, Value counts) {
  auto kernel =
      SymbolTable::lookupNearestSymbolFrom<exec::KernelOp>(launch, launch.getKernelAttr());
  if (!kernel)
    return false;
  return llvm::any_of(kernel.getBody().getOps<epi::GroupedLinearOp>(), [&](auto projection) {
    auto argument = dyn_cast<BlockArgument>(projection.getCounts());
    return argument && launch.getInputs()[argument.getArgNumber()] == counts;
  });
}

bool followsProjectionOfGroups(exec::LaunchOp launch, Value counts) {
  return llvm::any_of(counts.getUsers(), [&](Operation *user) {
    auto other = dyn_cast<exec::LaunchOp>(user);
    return other && other->getBlock() == launch->getBlock() && other->isBeforeInBlock(launch) &&
           isProjectionOfGroups(other, counts);
  });
}

} // namespace

bool followsProjectionOfGroups(exec::KernelOp kernel, BlockArgument counts) {
  bool hasLaunch = false;
  auto module = kernel->getParentOfType<ModuleOp>();
  const WalkResult result = module.walk([&](exec::LaunchOp launch) {
    if (launch.getKernel() != kernel.getSymName())
      return WalkResult::advance();
    hasLaunch = true;
    return followsProjectionOfGroups(launch, launch.getInputs()[counts.getArgNumber()])
               ? WalkResult::advance()
               : WalkResult::interrupt();
  });
  return hasLaunch && !result.wasInterrupted();
}

} // namespace epigraph::cuda
