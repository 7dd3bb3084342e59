// Routing and experts, one plain function for each operation. Meaning:
// dialects/epi/EpiExpertOps.td.
#ifndef EPIGRAPH_CODEGEN_REFERENCE_EXPERTS_H
#define EPIGRAPH_CODEGEN_REFERENCE_EXPERTS_H

#include <optional>

#include "absl/status/statusor.h"

#include "codegen/reference/Dense.h"
#include "codegen/reference/Tensor.h"
#include "codegen/reference/Workers.h"

namespace epigraph::reference {

/// How logits become scores; `Identity`: they are scores already.
enum class Score { Sigmoid, Softmax, Identity };

struct RouteOptions {
  Score score = Score::Sigmoid;
  bool groupScoreTop2 = true; ///< sum of a group's two best choices, else its best one
  bool normalize = false;
  int64_t topK = 1;
  int64_t groups = 1;
  int64_t topGroups = 1;
  double scale = 1;
};

struct Routing {
  Tensor ids;     ///< [rows, top_k] i32
  Tensor weights; ///< [rows, top_k]
};

/// logits [rows, experts]; `bias` [experts] or null.
/// Errors: InvalidArgument for a score that is not a finite number.
absl::StatusOr<Routing> route(const Tensor &logits, const Tensor *bias,
                              const RouteOptions &options);

struct Permutation {
  Tensor rows;   ///< [rows * top_k, hidden] by (expert, token, j)
  Tensor slots;  ///< [rows, top_k] where (token, j) went
  Tensor counts; ///< [experts]
};

/// Errors: InvalidArgument for an id that is no expert, or ids and rows that differ in number.
absl::StatusOr<Permutation> permute(const Tensor &x, const Tensor &ids, int64_t experts);

/// result[t] = sum of weights[t, j] * rows[slots[t, j]] in the order of j.
/// Errors: InvalidArgument for a slot outside `rows`.
absl::StatusOr<Tensor> unpermute(const Tensor &rows, const Tensor &slots, const Tensor &weights);

/// x [rows, K] ordered by expert, w [experts, N, K], `bias` [experts, N] or null. Rows past the sum
/// of the counts become NaN, so that who reads them is found out. Errors: InvalidArgument for
/// counts that are more than the rows.
absl::StatusOr<Tensor> groupedLinear(const Tensor &x, const Tensor &counts, const Tensor &w,
                                     const Tensor *bias, const Workers &workers);

/// The weights of all experts: gate and up [experts, inner, hidden], down [experts, hidden, inner],
/// and the biases [experts, inner], [experts, inner], [experts, hidden] or null.
struct ExpertWeights {
  const Tensor &gate, &up, &down;
  const Tensor *gateBias = nullptr, *upBias = nullptr, *downBias = nullptr;
  std::optional<SwigluClamp> clamp =
      std::nullopt; ///< the activation is clamped_swiglu, else silu(gate) * up
};

/// The routed feed-forward network over all experts.
/// Errors: those of permute.
absl::StatusOr<Tensor> experts(const Tensor &x, const Tensor &ids, const Tensor &weights,
                               const ExpertWeights &network, const Workers &workers);

} // namespace epigraph::reference

#endif // EPIGRAPH_CODEGEN_REFERENCE_EXPERTS_H
