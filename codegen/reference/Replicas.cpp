#include "codegen/reference/Replicas.h"

#include "absl/strings/str_cat.h"

namespace epigraph::reference {

absl::StatusOr<Tensor> assignReplicas(const Tensor &ids, const Tensor &table) {
  Tensor slots = Tensor::ints(ids.shape());
  for (int64_t token = 0; token < ids.rows(); ++token)
    for (int64_t j = 0; j < ids.dim(1); ++j) {
      int32_t expert = ids.intRow(token)[j];
      if (expert < 0 || expert >= table.rows())
        return absl::InvalidArgumentError(
            absl::StrCat("expert ", expert, " was chosen, but ", table.rows(), " are placed"));
      const int32_t *row = table.intRow(expert);
      slots.intRow(token)[j] = row[1 + token % row[0]];
    }
  return slots;
}

} // namespace epigraph::reference
