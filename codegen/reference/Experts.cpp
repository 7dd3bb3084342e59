#include "codegen/reference/Experts.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "codegen/reference/RowProduct.h"
#include "runtime/base/Status.h"

namespace epigraph::reference {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();

std::vector<float> scoresOf(const float *logits, int64_t experts, Score score) {
  Tensor row({1, experts}, std::vector<float>(logits, logits + experts));
  switch (score) {
  case Score::Sigmoid:
    return sigmoid(row).floatVector();
  case Score::Softmax:
    return softmax(row).floatVector();
  case Score::Identity:
    break;
  }
  return row.floatVector();
}

/// Indices of the `count` highest values, in falling order; the lower index wins a tie.
std::vector<int64_t> highest(const std::vector<float> &values, int64_t count) {
  std::vector<int64_t> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    float first = values[static_cast<size_t>(a)], second = values[static_cast<size_t>(b)];
    return first != second ? first > second : a < b;
  });
  order.resize(static_cast<size_t>(count));
  return order;
}

/// Takes the experts of all but the best groups out of the choice.
void keepBestGroups(std::vector<float> &choice, const RouteOptions &options) {
  int64_t groupSize = static_cast<int64_t>(choice.size()) / options.groups;
  std::vector<float> groupScores;
  for (int64_t group = 0; group < options.groups; ++group) {
    std::vector<float> members(choice.begin() + group * groupSize,
                               choice.begin() + (group + 1) * groupSize);
    std::sort(members.begin(), members.end(), std::greater<>());
    bool second = options.groupScoreTop2 && groupSize > 1;
    groupScores.push_back(second ? members[0] + members[1] : members[0]);
  }
  std::vector<int64_t> kept = highest(groupScores, options.topGroups);
  for (int64_t group = 0; group < options.groups; ++group)
    if (std::find(kept.begin(), kept.end(), group) == kept.end())
      std::fill_n(choice.begin() + group * groupSize, groupSize, kNever);
}

/// False when a choice is not a finite number, which has no place in an order.
bool routeRow(const float *logits, const Tensor *bias, int64_t experts, const RouteOptions &options,
              int32_t *ids, float *weights) {
  std::vector<float> scores = scoresOf(logits, experts, options.score), choice = scores;
  for (int64_t e = 0; bias && e < experts; ++e)
    choice[static_cast<size_t>(e)] += bias->data()[e];
  if (!std::all_of(choice.begin(), choice.end(), [](float value) { return std::isfinite(value); }))
    return false;
  if (options.groups > 1)
    keepBestGroups(choice, options);
  std::vector<int64_t> chosen = highest(choice, options.topK);
  float sum = 0;
  for (int64_t j = 0; j < options.topK; ++j) {
    ids[j] = static_cast<int32_t>(chosen[static_cast<size_t>(j)]);
    weights[j] = scores[static_cast<size_t>(ids[j])];
    sum += weights[j];
  }
  float divisor = options.normalize ? sum + 1e-20f : 1.0f;
  for (int64_t j = 0; j < options.topK; ++j)
    weights[j] = weights[j] / divisor * static_cast<float>(options.scale);
  return true;
}

} // namespace

absl::StatusOr<Routing> route(const Tensor &logits, const Tensor *bias,
                              const RouteOptions &options) {
  Routing routing{Tensor::ints({logits.rows(), options.topK}),
                  Tensor::floats({logits.rows(), options.topK})};
  int64_t experts = logits.dim(1);
  for (int64_t t = 0; t < logits.rows(); ++t)
    if (!routeRow(logits.row(t), bias, experts, options, routing.ids.intRow(t),
                  routing.weights.row(t)))
      return absl::InvalidArgumentError(
          absl::StrCat("row ", t, " has a router score that is not a finite number"));
  return routing;
}

absl::StatusOr<Permutation> permute(const Tensor &x, const Tensor &ids, int64_t experts) {
  EPIGRAPH_RETURN_IF_ERROR(requireRows("ids", ids.rows(), x.rows()));
  int64_t topK = ids.dim(1), hidden = x.dim(1);
  Permutation result{Tensor::floats({x.rows() * topK, hidden}), Tensor::ints({x.rows(), topK}),
                     Tensor::ints({experts})};
  int32_t *counts = result.counts.intData();
  for (int64_t i = 0; i < ids.elements(); ++i) {
    int32_t expert = ids.intData()[i];
    if (expert < 0 || expert >= experts)
      return absl::InvalidArgumentError(
          absl::StrCat("row ", i / topK, " asks for expert ", expert, " of ", experts));
    ++counts[expert];
  }
  std::vector<int32_t> next(static_cast<size_t>(experts), 0);
  std::partial_sum(counts, counts + experts - 1, next.begin() + 1);
  for (int64_t i = 0; i < ids.elements(); ++i) {
    int32_t slot = next[static_cast<size_t>(ids.intData()[i])]++;
    result.slots.intData()[i] = slot;
    std::copy_n(x.row(i / topK), hidden, result.rows.row(slot));
  }
  return result;
}

absl::StatusOr<Tensor> unpermute(const Tensor &rows, const Tensor &slots, const Tensor &weights) {
  EPIGRAPH_RETURN_IF_ERROR(requireRows("weights", weights.rows(), slots.rows()));
  int64_t topK = slots.dim(1), hidden = rows.dim(1);
  Tensor result = Tensor::floats({slots.rows(), hidden});
  for (int64_t i = 0; i < slots.elements(); ++i) {
    int32_t slot = slots.intData()[i];
    if (slot < 0 || slot >= rows.rows())
      return absl::InvalidArgumentError(
          absl::StrCat("row ", i / topK, " asks for slot ", slot, " of ", rows.rows()));
    float *sum = result.row(i / topK);
    for (int64_t k = 0; k < hidden; ++k)
      sum[k] += weights.data()[i] * rows.row(slot)[k];
  }
  return result;
}

absl::StatusOr<Tensor> groupedLinear(const Tensor &x, const Tensor &counts, const Tensor &w,
                                     const Tensor *bias, const Workers &workers) {
  int64_t outputs = w.dim(1), depth = w.dim(2), first = 0;
  Tensor result = Tensor::floats({x.rows(), outputs});
  for (int64_t expert = 0; expert < counts.rows(); ++expert) {
    int64_t rows = counts.intData()[expert];
    if (rows < 0 || first + rows > x.rows())
      return absl::InvalidArgumentError(absl::StrCat(
          "expert ", expert, " counts ", rows, " rows from row ", first, " on, x has ", x.rows()));
    multiply({.x = x.row(first),
              .xStride = depth,
              .rows = rows,
              .w = w.row(expert),
              .outputs = outputs,
              .depth = depth,
              .y = result.row(first),
              .yStride = outputs},
             workers);
    for (int64_t i = 0; bias && i < rows * outputs; ++i)
      result.row(first)[i] += bias->row(expert)[i % outputs];
    first += rows;
  }
  std::fill(result.row(first), result.row(x.rows()), std::numeric_limits<float>::quiet_NaN());
  return result;
}

absl::StatusOr<Tensor> experts(const Tensor &x, const Tensor &ids, const Tensor &weights,
                               const ExpertWeights &network, const Workers &workers) {
  EPIGRAPH_ASSIGN_OR_RETURN(Permutation sorted, permute(x, ids, network.gate.dim(0)));
  auto project = [&](const Tensor &rows, const Tensor &w, const Tensor *bias) {
    return groupedLinear(rows, sorted.counts, w, bias, workers);
  };
  EPIGRAPH_ASSIGN_OR_RETURN(Tensor gated, project(sorted.rows, network.gate, network.gateBias));
  EPIGRAPH_ASSIGN_OR_RETURN(Tensor upward, project(sorted.rows, network.up, network.upBias));
  EPIGRAPH_ASSIGN_OR_RETURN(Tensor inner, network.clamp
                                              ? clampedSwiglu(gated, upward, *network.clamp)
                                              : mul(silu(gated), upward));
  EPIGRAPH_ASSIGN_OR_RETURN(Tensor outer, project(inner, network.down, network.downBias));
  return unpermute(outer, sorted.slots, weights);
}

} // namespace epigraph::reference
