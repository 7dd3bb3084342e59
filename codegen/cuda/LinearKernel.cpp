// Projections: which forms a kernel gets, by how many rows a launch may have. Of few rows single
// warps multiply the weights, as they come or from shared memory, many are tiles of wgmma, and what
// none of these can take has a form for everything.
#include "codegen/cuda/GeneralLinear.h"
#include "codegen/cuda/HeadLinear.h"
#include "codegen/cuda/KernelBuilders.h"
#include "codegen/cuda/LinearForms.h"
#include "codegen/cuda/NarrowLinear.h"
#include "codegen/cuda/WideLinear.h"
#include "dialects/ep/Ep.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace epigraph::cuda {
namespace {

FailureOr<LinearProblem> problemOf(KernelAssembly &assembly, Operation *op) {
  return llvm::TypeSwitch<Operation *, FailureOr<LinearProblem>>(op)
      .Case<epi::LinearOp, epi::GroupedLinearOp, epi::HeadLinearOp>(
          [&](auto projection) { return LinearProblem::create(assembly, projection); });
}

/// The form that a kernel asks for itself, as tests and measurements of all tiles do.
std::optional<LinearForm> requestedForm(exec::KernelOp kernel) {
  for (NamedAttribute attribute : kernel->getDiscardableAttrs())
    if (auto fields = dyn_cast<DenseI64ArrayAttr>(attribute.getValue()))
      if (std::optional<LinearForm> form = formOf(attribute.getName(), fields.asArrayRef()))
        return form;
  return std::nullopt;
}

/// How many times the rows that a kernel is made for the host takes it to have. Of rows that come
/// from other ranks it knows how many there are if all tokens choose experts of this one: as many
/// times those that come when experts are chosen evenly as there are ranks. Forms of groups take
/// any number, so they are chosen by the latter.
int64_t spareRows(exec::KernelOp kernel, const LinearProblem &problem) {
  int64_t ranks = 1;
  if (problem.kind == LinearKind::Grouped)
    kernel->getParentOfType<ModuleOp>().walk([&](ep::DispatchReceiveOp receive) {
      ranks = receive.getPlacement().getRanks();
      return WalkResult::interrupt();
    });
  return ranks;
}

void addFunction(KernelAssembly &assembly, const LinearProblem &problem,
                 const LinearEpilogue &epilogue, const LinearForm &form, int64_t mostRows) {
  if (const auto *tile = std::get_if<NarrowTile>(&form))
    addNarrowLinear(assembly, problem, epilogue, *tile, mostRows);
  else if (const auto *tile = std::get_if<SkinnyTile>(&form))
    addSkinnyLinear(assembly, problem, epilogue, *tile);
  else
    addWideLinear(assembly, problem, epilogue, std::get<WideTile>(form), mostRows);
}

/// Rows of one tile, where a function for no more of them fetches earlier than others; else 0.
int64_t rowsOfOneTile(const LinearProblem &problem, const LinearForm &form) {
  if (problem.kind != LinearKind::Linear)
    return 0;
  if (const auto *tile = std::get_if<NarrowTile>(&form))
    return tile->rows;
  if (const auto *tile = std::get_if<WideTile>(&form))
    return tile->rows * tile->multicast;
  return 0;
}

/// Launches with one tile along the rows have a function of their own, which fetches early.
void addForm(KernelAssembly &assembly, const LinearProblem &problem, const LinearEpilogue &epilogue,
             const FormChoice &choice, int64_t fewerRows) {
  const int64_t mostRows = choice.mostRows * spareRows(assembly.kernel, problem);
  const int64_t oneTile = rowsOfOneTile(problem, choice.form);
  const bool hasMore = choice.mostRows == 0 || choice.mostRows > oneTile;
  if (oneTile > fewerRows && hasMore) {
    assembly.beginVariant(oneTile);
    addFunction(assembly, problem, epilogue, choice.form, oneTile);
  }
  assembly.beginVariant(mostRows);
  addFunction(assembly, problem, epilogue, choice.form, choice.mostRows);
}

/// Whether the kernel asks for a form itself, by an attribute of formOf or `general`. Adds that
/// form alone; fails, with a diagnostic, if it is none for this projection.
FailureOr<bool> addRequested(KernelAssembly &assembly, const LinearProblem &problem,
                             const LinearEpilogue &epilogue) {
  exec::KernelOp kernel = assembly.kernel;
  const bool isGeneral = kernel->hasAttr("general");
  if (const std::optional<LinearForm> form = requestedForm(kernel)) {
    if (canHave(*form, problem, epilogue, assembly.target)) {
      addForm(assembly, problem, epilogue, {/*mostRows=*/0, *form}, /*fewerRows=*/0);
      return true;
    }
  } else if (isGeneral && !epilogue.quantized()) {
    addGeneralLinear(assembly, problem, epilogue);
    return true;
  } else if (!isGeneral) {
    return false;
  }
  return problem.op->emitError("CUDA kernel @")
         << kernel.getSymName()
         << " cannot be computed in the form that its attributes ask for; leave them out";
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

  if (canBeOfHeads(*problem, *epilogue, assembly.target)) {
    addHeadLinear(assembly, *problem, *epilogue);
    return success();
  }

  const std::vector<FormChoice> choices = chooseForms(*problem, *epilogue, assembly.target);
  int64_t fewerRows = 0;
  for (const FormChoice &choice : choices) {
    addForm(assembly, *problem, *epilogue, choice, fewerRows);
    fewerRows = choice.mostRows;
  }
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
