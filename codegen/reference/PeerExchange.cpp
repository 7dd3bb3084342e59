#include "codegen/reference/PeerExchange.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

#include "codegen/reference/Dense.h"
#include "runtime/base/Status.h"

namespace epigraph::reference {
namespace {

/// A choice of a token that this rank has the expert of.
struct Arrival {
  int64_t token; ///< among those of all ranks, rank after rank
  int64_t line;  ///< of places
  int64_t choice;
};

/// What of `ids`, those of all ranks' tokens, is for each of `local` experts from `first` on, in
/// order.
std::vector<std::vector<Arrival>> arrivals(const Tensor &ids, const Tensor &tokens, int64_t first,
                                           int64_t local, int64_t capacity) {
  std::vector<std::vector<Arrival>> result(static_cast<size_t>(local));
  int64_t token = 0;
  for (int64_t source = 0; source < tokens.rows(); ++source)
    for (int64_t t = 0; t < tokens.intData()[source]; ++t, ++token)
      for (int64_t j = 0; j < ids.dim(1); ++j) {
        const int64_t expert = ids.intRow(token)[j] - first;
        if (expert >= 0 && expert < local)
          result[static_cast<size_t>(expert)].push_back({token, source * capacity + t, j});
      }
  return result;
}

/// Adds the rows at `places`, times `weights`, to `sum`.
void addRows(float *sum, const Tensor &rows, const int32_t *places, const float *weights,
             int64_t choices) {
  for (int64_t j = 0; j < choices; ++j)
    for (int64_t k = 0; places[j] >= 0 && k < rows.dim(1); ++k)
      sum[k] += weights[j] * rows.row(places[j])[k];
}

} // namespace

void PeerExchange::send(Tensor x, Tensor ids, Tensor weights, Tensor scales) {
  this->x = std::move(x);
  this->ids = std::move(ids);
  this->weights = std::move(weights);
  this->scales = std::move(scales);
}

absl::StatusOr<ReceivedTokens> PeerExchange::receive(int64_t local, int64_t capacity,
                                                     const Member &member) {
  Tensor own = Tensor::ints({1});
  own.intData()[0] = static_cast<int32_t>(x.rows());
  EPIGRAPH_ASSIGN_OR_RETURN(Tensor tokens, allGather(own, member));
  EPIGRAPH_ASSIGN_OR_RETURN(Tensor allRows, allGather(x, member));
  EPIGRAPH_ASSIGN_OR_RETURN(Tensor allIds, allGather(ids, member));
  EPIGRAPH_ASSIGN_OR_RETURN(Tensor allWeights, allGather(weights, member));
  const bool isScaled = scales.rank() == 2;
  Tensor allScales;
  if (isScaled) {
    EPIGRAPH_ASSIGN_OR_RETURN(allScales, allGather(scales, member));
  }
  for (int64_t rank = 0; rank < tokens.rows(); ++rank)
    if (tokens.intData()[rank] > capacity)
      return absl::InvalidArgumentError(absl::StrCat("rank ", rank, " sends ",
                                                     tokens.intData()[rank],
                                                     " rows, over the capacity of ", capacity));

  std::vector<std::vector<Arrival>> byExpert =
      arrivals(allIds, tokens, member.rank * local, local, capacity);
  int64_t count = 0;
  for (const auto &arrived : byExpert)
    count += static_cast<int64_t>(arrived.size());
  const Shape lines{member.ranks() * capacity, ids.dim(1)};
  ReceivedTokens result{Tensor::floats({count, x.dim(1)}),
                        Tensor::ints({local}),
                        Tensor::ints({1}),
                        Tensor::ints(lines),
                        Tensor::floats(lines),
                        Tensor()};
  if (isScaled)
    result.scales = Tensor::floats({count, scales.dim(1)});
  result.received.intData()[0] = static_cast<int32_t>(count);
  std::fill_n(result.places.intData(), result.places.elements(), -1);
  int64_t row = 0;
  for (int64_t expert = 0; expert < local; ++expert) {
    const auto &arrived = byExpert[static_cast<size_t>(expert)];
    result.counts.intData()[expert] = static_cast<int32_t>(arrived.size());
    for (const Arrival &arrival : arrived) {
      std::copy_n(allRows.row(arrival.token), x.dim(1), result.rows.row(row));
      if (isScaled)
        std::copy_n(allScales.row(arrival.token), scales.dim(1), result.scales.row(row));
      result.places.intRow(arrival.line)[arrival.choice] = static_cast<int32_t>(row++);
      result.weights.row(arrival.line)[arrival.choice] =
          allWeights.row(arrival.token)[arrival.choice];
    }
  }
  return result;
}

void PeerExchange::sendSums(const Tensor &rows, const Tensor &places, const Tensor &weights,
                            bool round) {
  Tensor made = Tensor::floats({places.rows(), rows.dim(1)});
  for (int64_t line = 0; line < places.rows(); ++line)
    addRows(made.row(line), rows, places.intRow(line), weights.row(line), places.dim(1));
  sums = round ? roundToBFloat16(made) : std::move(made);
}

absl::StatusOr<Tensor> PeerExchange::receiveSums(const Tensor &rows, const Tensor &places,
                                                 const Tensor &weights, int64_t capacity,
                                                 const Member &member) {
  EPIGRAPH_ASSIGN_OR_RETURN(Tensor all, allGather(sums, member));
  const int64_t first = member.rank * capacity, hidden = rows.dim(1);
  Tensor result = Tensor::floats({weights.rows(), hidden});
  for (int64_t token = 0; token < result.rows(); ++token) {
    float *sum = result.row(token);
    addRows(sum, rows, places.intRow(first + token), weights.row(token), places.dim(1));
    for (int64_t rank = 0; rank < member.ranks(); ++rank) {
      const float *sent = all.row(rank * places.rows() + first + token);
      for (int64_t k = 0; rank != member.rank && k < hidden; ++k)
        sum[k] += sent[k];
    }
  }
  return result;
}

} // namespace epigraph::reference
