// How the plan says that a weight is made when the model is loaded (RandomWeights.h).
#ifndef EPIGRAPH_COMPILER_DRIVER_RANDOMWEIGHTPLAN_H
#define EPIGRAPH_COMPILER_DRIVER_RANDOMWEIGHTPLAN_H

#include <memory>
#include <optional>

#include "compiler/driver/WeightLayout.h"
#include "runtime/artifact/Plan.h"

namespace epigraph {

/// The module attribute (an i64 integer) that holds the seed of a model whose weights are random;
/// none: they are the checkpoint's.
inline constexpr llvm::StringLiteral kRandomWeightsAttrName = "exec.random_weights";

/// The seed of `module`'s random weights, if they are.
std::optional<uint64_t> randomWeightsOf(mlir::ModuleOp module);

/// How the runtime makes `weight` of a model with random weights: the values that its program makes
/// of those of `reference::RandomWeights`. Null for what the packer makes as always: vectors, which
/// are small, tables, which depend on no tensor, and programs that do more than to move values and
/// to multiply them by their scales.
std::unique_ptr<plan::RandomWeightT> randomWeight(const StoredWeight &weight);

} // namespace epigraph

#endif // EPIGRAPH_COMPILER_DRIVER_RANDOMWEIGHTPLAN_H
