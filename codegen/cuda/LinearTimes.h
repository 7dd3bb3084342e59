// Which forms of projections were fastest on a GPU: what `epigraph tune` measured, shipped as data
// (LinearTimes.csv).
#ifndef EPIGRAPH_CODEGEN_CUDA_LINEARTIMES_H
#define EPIGRAPH_CODEGEN_CUDA_LINEARTIMES_H

#include <optional>
#include <variant>
#include <vector>

#include "codegen/cuda/NarrowLayout.h"
#include "codegen/cuda/SkinnyLinear.h"
#include "codegen/cuda/WideLayout.h"

namespace epigraph::cuda {

using LinearForm = std::variant<NarrowTile, SkinnyTile, WideTile>;

/// The form that the attribute `name` of a kernel asks for (wide_tile, narrow_tile, skinny_tile),
/// with the fields of the tile in order, as the table names it, too; none if it is no such.
std::optional<LinearForm> formOf(llvm::StringRef name, llvm::ArrayRef<int64_t> fields);

struct LinearTime {
  int64_t rows; ///< of all groups
  LinearForm form;
  double us;
};

/// Times of the measured projection that is nearest to `problem`, by rising numbers of rows, and of
/// one number by rising time; at each, the fastest form and those close to it. Numbers of rows are
/// counted for as many groups as `problem` has, but for fewer rows than groups. Empty if none is
/// near: of the same kind and types, with sizes within a factor of four. The forms need not fit
/// `problem`.
std::vector<LinearTime> measuredTimes(const LinearProblem &problem, const LinearEpilogue &epilogue);

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_LINEARTIMES_H
