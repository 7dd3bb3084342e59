#include "compiler/driver/CountFusion.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include "dialects/exec/Exec.h"

using namespace mlir;

namespace epigraph {
namespace {

/// How many tensors of the checkpoint the program of `weight` joins into one: those of its
/// outermost concatenation.
uint64_t joinedWeights(exec::WeightOp weight) {
  Operation *op = weight.getBody().front().getTerminator()->getOperand(0).getDefiningOp();
  while (isa_and_nonnull<exec::PackOp, epi::CastOp>(op))
    op = op->getOperand(0).getDefiningOp();
  auto concat = dyn_cast_or_null<epi::ConcatOp>(op);
  return concat ? concat.getInputs().size() : 1;
}

/// The projections that `op`, in the kernel of `launch`, does at once.
uint64_t projections(Operation &op, exec::LaunchOp launch, SymbolTable &symbols) {
  Value w;
  if (auto linear = dyn_cast<epi::LinearOp>(op))
    w = linear.getW();
  else if (auto grouped = dyn_cast<epi::GroupedLinearOp>(op))
    w = grouped.getW();
  auto argument = dyn_cast_or_null<BlockArgument>(w);
  if (!argument)
    return 1;
  Value operand = launch.getInputs()[argument.getArgNumber()];
  auto load = operand.getDefiningOp<exec::LoadWeightOp>();
  return load ? joinedWeights(symbols.lookup<exec::WeightOp>(load.getWeight())) : 1;
}

uint64_t countOps(exec::LaunchOp launch, SymbolTable &symbols) {
  auto kernel = symbols.lookup<exec::KernelOp>(launch.getKernel());
  uint64_t count = 0;
  for (Operation &op : kernel.getBody().front().without_terminator())
    if (!isa<epi::SplitOp, epi::ReshapeOp>(op))
      count += projections(op, launch, symbols);
  return count;
}

} // namespace

FusionCount countFusion(ModuleOp module) {
  FusionCount result;
  SymbolTable symbols(module);
  for (auto function : module.getOps<func::FuncOp>())
    for (auto launch : function.getOps<exec::LaunchOp>()) {
      uint64_t ops = countOps(launch, symbols);
      result.ops += ops;
      result.fusedOps += ops > 1 ? ops : 0;
      ++result.launches;
    }
  for ([[maybe_unused]] auto kernel : module.getOps<exec::KernelOp>())
    ++result.kernels;
  return result;
}

} // namespace epigraph
