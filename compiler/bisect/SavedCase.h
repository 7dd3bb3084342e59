// An operation that went wrong, as files: a module that holds it alone, and its values.
#ifndef EPIGRAPH_COMPILER_BISECT_SAVEDCASE_H
#define EPIGRAPH_COMPILER_BISECT_SAVEDCASE_H

#include <filesystem>

#include "codegen/reference/Evaluator.h"

namespace epigraph::bisection {

/// A tensor under a name of its own.
using NamedTensor = std::pair<std::string, reference::TensorRef>;

/// The values of one run of an operation on one rank: "operand.N", and "cache.N" (every slot up to
/// the last page written, zeros where nothing was) for operands that are caches; "step.positions",
/// "step.sequence", "step.page_table" [sequences, stride] and "step.output_rows".
std::vector<NamedTensor> valuesOf(const reference::RankContext &rank,
                                  const reference::RuntimeValues &operands);

/// A module whose @main takes the tensor operands of `op` (and the step, if it has one) and returns
/// its tensor results, with what it needs of the module around it: kernel, mesh, attributes.
std::string isolate(mlir::Operation *op);

/// Writes `values` as float32 and int32 tensors.
absl::Status writeTensors(const std::filesystem::path &path,
                          const std::vector<NamedTensor> &values);

} // namespace epigraph::bisection

#endif // EPIGRAPH_COMPILER_BISECT_SAVEDCASE_H
