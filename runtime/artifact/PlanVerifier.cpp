// The semantic half of plan verification: limits and tables here, functions in
// PlanFunctionVerifier.cpp. Every error names the place as a path through plan.fbs: "functions[0]
// (main).steps[12] (model.layers.0.mlp).result".
#include <set>

#include "runtime/artifact/KernelAbi.h"
#include "runtime/artifact/Plan.h"
#include "runtime/artifact/PlanChecks.h"

namespace epigraph {

using plan::checkEnum;
using plan::checkName;
using plan::invalid;
using plan::isIdentifier;
using plan::view;

namespace {

absl::Status verifyLimits(const plan::Plan &plan) {
  const plan::Limits &limits = *plan.limits();
  const std::pair<const char *, uint32_t> values[] = {{"batch_tokens", limits.batch_tokens()},
                                                      {"sequences", limits.sequences()},
                                                      {"context", limits.context()}};
  for (const auto &[name, value] : values)
    if (value == 0 || value > INT32_MAX)
      return invalid("limits.", name, ": expected 1 to ", INT32_MAX, ", found ", value);
  if (limits.page_tokens() != kPageTokens)
    return invalid("limits.page_tokens: this runtime has pages of ", kPageTokens, " tokens, found ",
                   limits.page_tokens());
  if (plan.ranks() == 0 || plan.ranks() > UINT16_MAX)
    return invalid("ranks: expected 1 to ", UINT16_MAX, ", found ", plan.ranks());
  if (plan.tensor() == 0 || plan.ranks() % plan.tensor() != 0)
    return invalid("tensor: expected a divisor of the ", plan.ranks(), " ranks, found ",
                   plan.tensor());
  if (plan.workspace_bytes() > INT64_MAX || plan.token_items() > INT32_MAX / 2)
    return invalid("workspace_bytes or token_items: ", plan.workspace_bytes(), " and ",
                   plan.token_items(), " are more than any device has use for");
  if (plan.region_bytes() > INT64_MAX)
    return invalid("region_bytes: ", plan.region_bytes(), " is more than any device has");
  return checkEnum(plan.attention(), plan::Attention::MAX, "attention");
}

absl::Status verifyKernels(const plan::Plan &plan) {
  std::set<std::string_view> symbols;
  for (uint32_t i = 0; i < plan.kernels()->size(); ++i) {
    std::string_view symbol = view(plan.kernels()->Get(i)->symbol());
    if (!isIdentifier(symbol))
      return invalid("kernels[", i, "].symbol: expected a C identifier");
    if (!symbols.insert(symbol).second)
      return invalid("kernels[", i, "].symbol: \"", abslView(symbol), "\" is there twice");
    EPIGRAPH_RETURN_IF_ERROR(
        plan::verifyVariants(plan, *plan.kernels()->Get(i), absl::StrCat("kernels[", i, "]")));
  }
  return absl::OkStatus();
}

absl::Status verifyWeights(const plan::Plan &plan) {
  std::set<std::string_view> names;
  for (uint32_t i = 0; i < plan.weights()->size(); ++i) {
    const plan::Weight &weight = *plan.weights()->Get(i);
    std::string where = absl::StrCat("weights[", i, "]");
    EPIGRAPH_RETURN_IF_ERROR(checkName(weight.name(), where, names));
    EPIGRAPH_RETURN_IF_ERROR(checkEnum(weight.dtype(), plan::DType::MAX, where + ".dtype"));
    // The FlatBuffer verifier aligns a vector's size, not its elements.
    if (reinterpret_cast<uintptr_t>(weight.shape()->Data()) % alignof(uint64_t) != 0)
      return invalid(where, ".shape: not aligned");
    uint64_t bytes = elementBytes(weight.dtype());
    for (uint64_t size : *weight.shape())
      if (size == 0 || __builtin_mul_overflow(bytes, size, &bytes))
        return invalid(where, " (", abslView(view(weight.name())),
                       ").shape: expected sizes of at least 1 whose product fits 64 bits");
    if (weight.random())
      EPIGRAPH_RETURN_IF_ERROR(plan::verifyRandomWeight(plan, weight, where + ".random"));
  }
  return plan.random() ? plan::verifyRandomWeights(plan) : absl::OkStatus();
}

absl::Status verifyCaches(const plan::Plan &plan) {
  std::set<std::string_view> names;
  for (uint32_t i = 0; i < plan.caches()->size(); ++i) {
    const plan::Cache &cache = *plan.caches()->Get(i);
    std::string where = absl::StrCat("caches[", i, "]");
    EPIGRAPH_RETURN_IF_ERROR(checkName(cache.name(), where, names));
    EPIGRAPH_RETURN_IF_ERROR(checkEnum(cache.dtype(), plan::DType::MAX, where + ".dtype"));
    if (cache.entry_elements() == 0)
      return invalid(where, ".entry_elements: expected at least 1");
  }
  return absl::OkStatus();
}

absl::Status verifyPlacements(const plan::Plan &plan) {
  const uint32_t ranks = ranksAlong(plan::Axis::Expert, plan);
  for (uint32_t i = 0; i < plan.placements()->size(); ++i) {
    const auto &owners = *plan.placements()->Get(i)->owner();
    if (owners.size() == 0)
      return invalid("placements[", i, "].owner: no experts");
    for (uint32_t expert = 0; expert < owners.size(); ++expert)
      if (owners[expert] >= ranks)
        return invalid("placements[", i, "].owner[", expert, "]: rank ", owners[expert],
                       " does not exist; there are ", ranks);
  }
  return absl::OkStatus();
}

} // namespace

absl::Status verifyPlan(const plan::Plan &plan) {
  if (plan.version() != kPlanVersion)
    return absl::FailedPreconditionError(
        absl::StrCat("plan: this build reads version ", kPlanVersion, ", found ", plan.version(),
                     "; compile the model again with this version of Epigraph"));
  EPIGRAPH_RETURN_IF_ERROR(verifyLimits(plan));
  EPIGRAPH_RETURN_IF_ERROR(verifyKernels(plan));
  EPIGRAPH_RETURN_IF_ERROR(verifyWeights(plan));
  EPIGRAPH_RETURN_IF_ERROR(verifyCaches(plan));
  EPIGRAPH_RETURN_IF_ERROR(verifyPlacements(plan));
  std::set<std::string_view> names;
  for (uint32_t i = 0; i < plan.functions()->size(); ++i) {
    const plan::Function &function = *plan.functions()->Get(i);
    std::string where = absl::StrCat("functions[", i, "]");
    EPIGRAPH_RETURN_IF_ERROR(checkName(function.name(), where, names));
    absl::StrAppend(&where, " (", abslView(view(function.name())), ")");
    EPIGRAPH_RETURN_IF_ERROR(plan::verifyFunction(plan, function, where));
  }
  if (!names.count("main"))
    return invalid("functions: there is no function \"main\"");
  return absl::OkStatus();
}

} // namespace epigraph
