#include "codegen/reference/Sampling.h"

#include "absl/strings/str_cat.h"

namespace epigraph::reference {

absl::StatusOr<Tensor> sample(const Tensor &x, absl::Span<const SamplingRow> rows) {
  if (!rows.empty() && static_cast<int64_t>(rows.size()) != x.rows())
    return absl::InvalidArgumentError(absl::StrCat("the step says how ", rows.size(),
                                                   " tokens are chosen; there are ", x.rows(),
                                                   " rows of logits"));
  Tensor result = Tensor::ints({x.rows()});
  for (int64_t row = 0; row < x.rows(); ++row) {
    const absl::Span<const float> logits(x.row(row), static_cast<size_t>(x.rowElements()));
    result.intData()[row] =
        chooseToken(logits, rows.empty() ? SamplingRow() : rows[static_cast<size_t>(row)]);
  }
  return result;
}

} // namespace epigraph::reference
