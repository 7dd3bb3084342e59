// Which rank this process is, where a process is one rank: as whoever started it says.
#ifndef EPIGRAPH_RUNTIME_EXEC_RANKIDENTITY_H
#define EPIGRAPH_RUNTIME_EXEC_RANKIDENTITY_H

#include <functional>
#include <string>

#include "absl/status/statusor.h"

namespace epigraph {

struct RankIdentity {
  int rank = 0;
  int size = 1; ///< processes
  /// The variable that said so ("OMPI_COMM_WORLD_RANK"); empty for a process on its own.
  std::string source;
};

/// The value of an environment variable, null where it is not set.
using Environment = std::function<const char *(const char *name)>;

/// Looks for what Open MPI, other MPIs (PMI), torchrun and Slurm set, in this order; a process that
/// none of them started is rank 0 of 1. Errors: InvalidArgument for what is no number, and for a
/// rank that is not of as many processes.
absl::StatusOr<RankIdentity> rankIdentity(const Environment &environment);

/// The same for this process.
absl::StatusOr<RankIdentity> rankIdentity();

/// Errors: FailedPrecondition when the processes are not as many as the `ranks` of an artifact.
absl::Status checkWorld(const RankIdentity &identity, int ranks);

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_EXEC_RANKIDENTITY_H
