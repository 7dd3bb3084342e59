// NCCL, found at run time like NVIDIA's driver: its functions, and what their results mean.
#ifndef EPIGRAPH_RUNTIME_COMM_NCCLAPI_H
#define EPIGRAPH_RUNTIME_COMM_NCCLAPI_H

#include <nccl.h>

#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace epigraph {

/// The functions in use: member of NcclApi, function of the library.
#define EPIGRAPH_NCCL_FUNCTIONS(X)                                                                 \
  X(getVersion, ncclGetVersion)                                                                    \
  X(getErrorString, ncclGetErrorString)                                                            \
  X(getLastError, ncclGetLastError)                                                                \
  X(getUniqueId, ncclGetUniqueId)                                                                  \
  X(commInitRank, ncclCommInitRank)                                                                \
  X(commDestroy, ncclCommDestroy)                                                                  \
  X(commAbort, ncclCommAbort)                                                                      \
  X(commGetAsyncError, ncclCommGetAsyncError)                                                      \
  X(groupStart, ncclGroupStart)                                                                    \
  X(groupEnd, ncclGroupEnd)                                                                        \
  X(allGather, ncclAllGather)                                                                      \
  X(allReduce, ncclAllReduce)                                                                      \
  X(reduceScatter, ncclReduceScatter)                                                              \
  X(reduce, ncclReduce)                                                                            \
  X(broadcast, ncclBroadcast)                                                                      \
  X(send, ncclSend)                                                                                \
  X(recv, ncclRecv)

/// The oldest version in use, as ncclGetVersion numbers them.
inline constexpr int kOldestNccl = 21800;

struct NcclApi {
#define EPIGRAPH_NCCL_MEMBER(member, function) decltype(&::function) member;
  EPIGRAPH_NCCL_FUNCTIONS(EPIGRAPH_NCCL_MEMBER)
#undef EPIGRAPH_NCCL_MEMBER

  /// Opens the library, once for the process. Errors: Unimplemented where it is not installed, or
  /// too old.
  static absl::StatusOr<const NcclApi *> get();

  /// `result` as a status: OK or Internal. `what` says what was being done.
  absl::Status check(ncclResult_t result, std::string_view what) const;
};

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_COMM_NCCLAPI_H
