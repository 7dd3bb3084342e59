// What latent attention costs in each of its forms, in the typical step of a phase.
#ifndef EPIGRAPH_PASSES_GRAPH_ATTENTIONCOST_H
#define EPIGRAPH_PASSES_GRAPH_ATTENTIONCOST_H

#include "dialects/epi/Epi.h"
#include "mlir/IR/BuiltinOps.h"

#include <optional>

namespace epigraph {

/// What the steps of a function are like.
enum class StepPhase {
  Prefill, ///< many new tokens of few sequences
  Decode   ///< one new token of each sequence
};

/// The attribute of a function that says its phase, as text.
inline constexpr llvm::StringLiteral kPhaseAttrName = "epi.phase";
inline constexpr llvm::StringLiteral kPrefill = "prefill";
inline constexpr llvm::StringLiteral kDecode = "decode";

/// The phase of `function`; nothing where it is made for any step. A diagnostic for an attribute
/// that is no phase.
mlir::FailureOr<std::optional<StepPhase>> phaseOf(mlir::Operation *function);

/// Rows of one sequence for which keys and values are expanded once: kernels hold as many sums.
inline constexpr int64_t kRowsOfExpansion = 512;

/// A step of `sequences`, each with `newTokens` that end at position `context`.
struct TypicalStep {
  int64_t sequences;
  int64_t newTokens;
  int64_t context;

  /// The typical step of `phase` under the module's `exec.limits`: one sequence of as many new
  /// tokens as a batch has room for, or one new token of each sequence at half of the context.
  /// None without limits.
  static std::optional<TypicalStep> of(mlir::ModuleOp module, StepPhase phase);
};

struct AttentionCost {
  double flops = 0;
  double bytes = 0; ///< from and to memory

  /// On the module's `exec.target`, or on a machine of 5 flops a byte where it has none.
  double seconds(mlir::ModuleOp module) const;
};

/// The cost of `op`, which must have `up`, as it is.
AttentionCost expandedCost(epi::MlaAttentionOp op, const TypicalStep &step);

/// The cost of what --epi-choose-attention-form would make of it, with both projections.
AttentionCost absorbedCost(epi::MlaAttentionOp op, const TypicalStep &step);

/// Whether `op`, which must have `up`, takes less time as it is than absorbed.
bool isCheaperExpanded(epi::MlaAttentionOp op, const TypicalStep &step, mlir::ModuleOp module);

/// Bytes of the up-projection of `op`.
int64_t upBytes(epi::MlaAttentionOp op);

} // namespace epigraph

#endif // EPIGRAPH_PASSES_GRAPH_ATTENTIONCOST_H
