// Projections: which forms a kernel gets, by how many rows a launch may have. Few rows stream the
// weights through single warps, many are tiles of wgmma, and what neither can take has a form for
// everything.
#include "codegen/cuda/GeneralLinear.h"
#include "codegen/cuda/KernelBuilders.h"
#include "codegen/cuda/LinearForms.h"
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

/// The fields of a tile that a kernel asks for itself, as tests and measurements of all tiles do.
ArrayRef<int64_t> requested(exec::KernelOp kernel, StringRef attribute, size_t fields) {
  auto array = kernel->getAttrOfType<DenseI64ArrayAttr>(attribute);
  return array && array.size() == static_cast<int64_t>(fields) ? array.asArrayRef()
                                                               : ArrayRef<int64_t>();
}

/// For one tile along the rows the form is another: a variant for each.
void addRequestedWide(KernelAssembly &assembly, const LinearProblem &problem,
                      const LinearEpilogue &epilogue, const WideTile &tile) {
  const int64_t oneTile = tile.rows * tile.multicast;
  if (problem.kind == LinearKind::Linear) {
    assembly.beginVariant(oneTile);
    addWideLinear(assembly, problem, epilogue, tile, oneTile);
  }
  assembly.beginVariant();
  addWideLinear(assembly, problem, epilogue, tile, /*mostRows=*/0);
}

/// Whether the kernel asks for a form itself, by one of the attributes `wide_tile` and
/// `skinny_tile`, with the fields of WideTile and SkinnyTile in order, and `general`. Adds that
/// form alone; fails, with a diagnostic, if it is none for this projection.
FailureOr<bool> addRequested(KernelAssembly &assembly, const LinearProblem &problem,
                             const LinearEpilogue &epilogue) {
  exec::KernelOp kernel = assembly.kernel;
  ArrayRef<int64_t> wide = requested(kernel, "wide_tile", 7);
  ArrayRef<int64_t> skinny = requested(kernel, "skinny_tile", 6);
  if (!wide.empty()) {
    const WideTile tile{wide[0] != 0, wide[1], wide[2], wide[3], wide[4], wide[5], wide[6] != 0};
    if (canBeWide(problem, epilogue) && fits(tile, problem, epilogue, assembly.target)) {
      addRequestedWide(assembly, problem, epilogue, tile);
      return true;
    }
  } else if (!skinny.empty()) {
    if (canBeSkinny(problem, epilogue)) {
      addSkinnyLinear(assembly, problem, epilogue,
                      {skinny[0], skinny[1], skinny[2], skinny[3], skinny[4], skinny[5]});
      return true;
    }
  } else if (kernel->hasAttr("general") && !epilogue.quantized()) {
    addGeneralLinear(assembly, problem, epilogue);
    return true;
  } else if (!kernel->hasAttr("general")) {
    return false;
  }
  return problem.op->emitError("CUDA kernel @")
         << kernel.getSymName()
         << " cannot be computed in the form that its attributes ask for; leave them out";
}

void addForm(KernelAssembly &assembly, const LinearProblem &problem, const LinearEpilogue &epilogue,
             const FormChoice &choice) {
  assembly.beginVariant(choice.mostRows);
  if (const auto *tile = std::get_if<WideTile>(&choice.form))
    addWideLinear(assembly, problem, epilogue, *tile, choice.mostRows);
  else
    addSkinnyLinear(assembly, problem, epilogue, std::get<SkinnyTile>(choice.form));
}

} // namespace

LogicalResult buildLinear(KernelAssembly &assembly, Operation *op) {
  FailureOr<LinearProblem> problem = problemOf(assembly, op);
  if (failed(problem))
    return failure();
  FailureOr<LinearEpilogue> epilogue = LinearEpilogue::create(assembly, *problem);
  if (failed(epilogue))
    return failure();
  FailureOr<bool> isRequested = addRequested(assembly, *problem, *epilogue);
  if (failed(isRequested) || *isRequested)
    return success(succeeded(isRequested));

  const std::vector<FormChoice> choices = chooseForms(*problem, *epilogue, assembly.target);
  for (const FormChoice &choice : choices)
    addForm(assembly, *problem, *epilogue, choice);
  if (!choices.empty())
    return success();
  if (epilogue->quantized())
    return op->emitError("CUDA kernel @")
           << assembly.kernel.getSymName()
           << " cannot quantize the result of this projection, which has not the types and "
              "alignments of the matrix units; outline the quantization as a kernel of its own";
  addGeneralLinear(assembly, *problem, *epilogue);
  return success();
}

} // namespace epigraph::cuda
