// Projections: which forms a kernel gets, by how many rows a launch may have. Few rows stream the
// weights through single warps, many are tiles of wgmma, and what neither can take has a form for
// everything.
#include "codegen/cuda/GeneralLinear.h"
#include "codegen/cuda/KernelBuilders.h"
#include "codegen/cuda/LinearTiles.h"
#include "codegen/cuda/SkinnyLinear.h"
#include "codegen/cuda/WideLinear.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace epigraph::cuda {
namespace {

/// Numbers of rows up to which weights are streamed, each in tiles of their own; of each matrix,
/// where there are groups.
constexpr int64_t kFewRows[] = {8, 16, 32};

FailureOr<LinearProblem> problemOf(KernelAssembly &assembly, Operation *op) {
  return llvm::TypeSwitch<Operation *, FailureOr<LinearProblem>>(op)
      .Case<epi::LinearOp, epi::GroupedLinearOp, epi::HeadLinearOp>(
          [&](auto projection) { return LinearProblem::create(assembly, projection); });
}

/// The tile that a kernel asks for itself, as tests and measurements of all tiles do: `wide_tile`,
/// with the fields of WideTile in order.
std::optional<WideTile> requestedTile(exec::KernelOp kernel) {
  auto fields = kernel->getAttrOfType<DenseI64ArrayAttr>("wide_tile");
  if (!fields || fields.size() != 5)
    return std::nullopt;
  return WideTile{fields[0] != 0, fields[1], fields[2], fields[3], fields[4]};
}

LogicalResult buildRequested(KernelAssembly &assembly, const LinearProblem &problem,
                             const LinearEpilogue &epilogue, const WideTile &tile) {
  if (!canBeWide(problem, epilogue) || !fits(tile, problem, epilogue, assembly.target))
    return problem.op->emitError("CUDA kernel @")
           << assembly.kernel.getSymName()
           << " cannot be computed in the tile that its 'wide_tile' asks for; leave it out";
  assembly.beginVariant();
  addWideLinear(assembly, problem, epilogue, tile);
  return success();
}

void addSkinny(KernelAssembly &assembly, const LinearProblem &problem,
               const LinearEpilogue &epilogue, int64_t groups) {
  for (int64_t rows : kFewRows) {
    assembly.beginVariant(rows * groups);
    addSkinnyLinear(assembly, problem, epilogue,
                    skinnyTile(problem, epilogue, rows, assembly.target));
  }
}

} // namespace

LogicalResult buildLinear(KernelAssembly &assembly, Operation *op) {
  FailureOr<LinearProblem> problem = problemOf(assembly, op);
  if (failed(problem))
    return failure();
  FailureOr<LinearEpilogue> epilogue = LinearEpilogue::create(assembly, *problem);
  if (failed(epilogue))
    return failure();
  if (std::optional<WideTile> tile = requestedTile(assembly.kernel))
    return buildRequested(assembly, *problem, *epilogue, *tile);

  const int64_t groups = problem->kind == LinearKind::Grouped ? problem->matrices : 1;
  const bool isSkinny = canBeSkinny(*problem, *epilogue);
  std::vector<TileChoice> tiles;
  if (canBeWide(*problem, *epilogue))
    tiles = chooseTiles(*problem, *epilogue, assembly.target);
  if (isSkinny)
    addSkinny(assembly, *problem, *epilogue, groups);
  for (const TileChoice &choice : tiles) {
    if (isSkinny && choice.mostRows != 0 && choice.mostRows <= std::end(kFewRows)[-1] * groups)
      continue;
    assembly.beginVariant(choice.mostRows);
    addWideLinear(assembly, *problem, *epilogue, choice.tile);
  }
  if (!tiles.empty())
    return success();
  if (epilogue->quantized())
    return op->emitError("CUDA kernel @")
           << assembly.kernel.getSymName()
           << " cannot quantize the result of this projection, which has not the types and "
              "alignments of the matrix units; outline the quantization as a kernel of its own";
  assembly.beginVariant();
  if (isSkinny)
    addSkinnyLinear(assembly, *problem, *epilogue,
                    skinnyTile(*problem, *epilogue, /*mostRows=*/128, assembly.target));
  else
    addGeneralLinear(assembly, *problem, *epilogue);
  return success();
}

} // namespace epigraph::cuda
