#include "passes/graph/AttentionCost.h"

#include "dialects/epi/Verify.h"
#include "dialects/exec/Exec.h"

#include <algorithm>

using namespace mlir;

namespace epigraph {
namespace {

/// A machine that nothing is known of.
constexpr double kDefaultGflops = 100, kDefaultGbps = 20;

/// Sizes of the attention, in elements, and a step's work on it.
struct Work {
  Work(epi::MlaAttentionOp op, const TypicalStep &step)
      : heads(static_cast<double>(epi::dim(op.getQ().getType(), 1))),
        nope(static_cast<double>(epi::dim(op.getQ().getType(), 2))),
        rope(static_cast<double>(op.getCache().getType().getRope())),
        value(static_cast<double>(epi::dim(op.getType(), 2))),
        latent(static_cast<double>(op.getCache().getType().getLatent())),
        elementBytes(epi::elementOf(op.getUp().getType()).getIntOrFloatBitWidth() / 8.0) {
    const double sequences = static_cast<double>(step.sequences);
    const double fresh = static_cast<double>(step.newTokens);
    const double context = static_cast<double>(step.context);
    tokens = sequences * fresh;
    pairs = sequences * (fresh * context - fresh * (fresh - 1) / 2);
    cached = sequences * context;
    for (int64_t row = 0; row < step.newTokens; row += kRowsOfExpansion) {
      const int64_t last = std::min(row + kRowsOfExpansion, step.newTokens);
      expanded += sequences * static_cast<double>(step.context - step.newTokens + last);
    }
  }

  double upElements() const { return heads * (nope + value) * latent; }

  double heads, nope, rope, value, latent, elementBytes;
  double tokens;       ///< new ones
  double pairs;        ///< of a new token and a position that it sees
  double cached;       ///< positions that some token sees
  double expanded = 0; ///< positions whose keys and values are made
};

} // namespace

FailureOr<std::optional<StepPhase>> phaseOf(Operation *function) {
  Attribute attribute = function->getAttr(kPhaseAttrName);
  if (!attribute)
    return std::optional<StepPhase>();
  auto name = dyn_cast<StringAttr>(attribute);
  if (name && name.getValue() == kPrefill)
    return std::optional(StepPhase::Prefill);
  if (name && name.getValue() == kDecode)
    return std::optional(StepPhase::Decode);
  return function->emitError("the attribute ") << kPhaseAttrName << " must be \"" << kPrefill
                                               << "\" or \"" << kDecode << "\", got " << attribute;
}

std::optional<TypicalStep> TypicalStep::of(ModuleOp module, StepPhase phase) {
  auto limits = module->getAttrOfType<exec::LimitsAttr>(exec::kLimitsAttrName);
  if (!limits)
    return std::nullopt;
  if (phase == StepPhase::Decode)
    return TypicalStep{std::min(limits.getSequences(), limits.getBatchTokens()), 1,
                       std::max<int64_t>(limits.getMaxContext() / 2, 1)};
  const int64_t tokens = std::min(limits.getBatchTokens(), limits.getMaxContext());
  return TypicalStep{1, tokens, tokens};
}

double AttentionCost::seconds(ModuleOp module) const {
  double gflops = kDefaultGflops, gbps = kDefaultGbps;
  if (auto target = module->getAttrOfType<exec::TargetAttr>(exec::kTargetAttrName)) {
    gflops = target.getGflops().getValueAsDouble();
    gbps = target.getMemoryGbps().getValueAsDouble();
  }
  return std::max(flops / gflops, bytes / gbps) * 1e-9;
}

AttentionCost expandedCost(epi::MlaAttentionOp op, const TypicalStep &step) {
  const Work w(op, step);
  AttentionCost cost;
  cost.flops =
      2 * w.expanded * w.upElements() + 2 * w.pairs * w.heads * (w.nope + w.rope + w.value);
  cost.bytes = w.elementBytes * (w.cached * (w.latent + w.rope) + w.upElements());
  return cost;
}

AttentionCost absorbedCost(epi::MlaAttentionOp op, const TypicalStep &step) {
  const Work w(op, step);
  AttentionCost cost;
  cost.flops = 2 * w.tokens * w.upElements() + 2 * w.pairs * w.heads * (2 * w.latent + w.rope);
  // The absorbed query and the mean latent vector are written and read.
  cost.bytes = w.elementBytes * (w.cached * (w.latent + w.rope) + w.upElements() +
                                 4 * w.tokens * w.heads * w.latent);
  return cost;
}

bool isCheaperExpanded(epi::MlaAttentionOp op, const TypicalStep &step, ModuleOp module) {
  return expandedCost(op, step).seconds(module) < absorbedCost(op, step).seconds(module);
}

int64_t upBytes(epi::MlaAttentionOp op) {
  auto type = cast<RankedTensorType>(op.getUp().getType());
  return type.getNumElements() * (type.getElementTypeBitWidth() / 8);
}

} // namespace epigraph
