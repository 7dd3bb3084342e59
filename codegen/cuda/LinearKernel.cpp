// Projections: which forms a kernel gets, by how many rows a launch may have.
#include "codegen/cuda/KernelBuilders.h"
#include "codegen/cuda/WideLinear.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace epigraph::cuda {
namespace {

FailureOr<LinearProblem> problemOf(KernelAssembly &assembly, Operation *op) {
  return llvm::TypeSwitch<Operation *, FailureOr<LinearProblem>>(op)
      .Case<epi::LinearOp, epi::GroupedLinearOp, epi::HeadLinearOp>(
          [&](auto projection) { return LinearProblem::create(assembly, projection); });
}

/// A tile that the kernel itself asks for, as measurements of all tiles do: `wide_tile`, with the
/// fields of WideTile in order.
std::optional<WideTile> requestedTile(exec::KernelOp kernel) {
  auto fields = kernel->getAttrOfType<DenseI64ArrayAttr>("wide_tile");
  if (!fields || fields.size() != 5)
    return std::nullopt;
  return WideTile{fields[0] != 0, fields[1], fields[2], fields[3], fields[4]};
}

} // namespace

LogicalResult buildLinear(KernelAssembly &assembly, Operation *op) {
  FailureOr<LinearProblem> problem = problemOf(assembly, op);
  if (failed(problem))
    return failure();
  FailureOr<LinearEpilogue> epilogue = LinearEpilogue::create(assembly, *problem);
  if (failed(epilogue))
    return failure();
  if (!canBeWide(*problem, *epilogue))
    return op->emitError("not wide");
  WideTile tile = requestedTile(assembly.kernel).value_or(WideTile());
  if (!fits(tile, *problem, *epilogue, assembly.target))
    return op->emitError("tile does not fit");
  assembly.beginVariant();
  addWideLinear(assembly, *problem, *epilogue, tile);
  return success();
}

} // namespace epigraph::cuda
