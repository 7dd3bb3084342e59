// Which replica of its expert a token goes to. Meaning: ep.assign_replicas.
#ifndef EPIGRAPH_CODEGEN_REFERENCE_REPLICAS_H
#define EPIGRAPH_CODEGEN_REFERENCE_REPLICAS_H

#include "absl/status/statusor.h"

#include "codegen/reference/Tensor.h"

namespace epigraph::reference {

/// `ids` [tokens, k] as slots, by `table` [experts, 1 + most replicas] (see ep.replica_table).
/// Errors: InvalidArgument for ids that the table does not have.
absl::StatusOr<Tensor> assignReplicas(const Tensor &ids, const Tensor &table);

} // namespace epigraph::reference

#endif // EPIGRAPH_CODEGEN_REFERENCE_REPLICAS_H
