// The communicator of ranks that are processes with a GPU each: NCCL's collectives, in order with
// the other work of a stream. Rows of experts do not go this way: kernels exchange them
// (PeerTable.h).
#ifndef EPIGRAPH_RUNTIME_COMM_NCCLCOMMUNICATOR_H
#define EPIGRAPH_RUNTIME_COMM_NCCLCOMMUNICATOR_H

#include <chrono>
#include <functional>
#include <memory>

#include "runtime/comm/Communicator.h"
#include "runtime/comm/NcclApi.h"
#include "runtime/comm/ProcessGroup.h"

namespace epigraph {

struct NcclOptions {
  /// The ranks of the process group that are in it, in order; this one among them.
  absl::Span<const int> members;
  /// Makes the CUDA context of this rank the calling thread's.
  std::function<void()> enter;
  /// Where collectives go: a stream of that context.
  CUstream_st *stream = nullptr;
  std::chrono::milliseconds deadline = std::chrono::seconds(60);
};

/// Memory is that of the GPU. Collectives take their place in the stream when they are started and
/// finish there: `finishOldest` waits for nothing. Exchanges of expert rows are Unimplemented, as
/// are barriers, which have no meaning in a stream.
class NcclCommunicator : public Communicator {
public:
  /// All ranks of `group` call it together, whichever members they name; `group` must outlive it.
  /// Errors: Unimplemented without NCCL; as for ProcessGroup when a rank is gone.
  static absl::StatusOr<std::unique_ptr<NcclCommunicator>> create(ProcessGroup &group,
                                                                  const NcclOptions &options);
  ~NcclCommunicator() override;

  int rank() const override { return self; }
  int size() const override { return members; }
  absl::Status start(const Collective &collective, std::string_view where) override;
  absl::Status finishOldest() override;
  size_t underWay() const override { return started; }
  /// Ends the collectives of this rank, and tells the others.
  void abort(const absl::Status &cause) override;

  /// What has failed in collectives under way, without waiting. Errors: Internal.
  absl::Status check() const;

private:
  NcclCommunicator(const NcclApi &api, ProcessGroup &group, const NcclOptions &options);
  absl::Status connect(const ncclUniqueId &id, std::chrono::milliseconds deadline);
  void abandon();

  ncclResult_t enqueue(const AllGather &gather);
  ncclResult_t enqueue(const AllReduce &reduce);
  ncclResult_t enqueue(const ReduceScatter &scatter);
  ncclResult_t enqueue(const GatherColumns &gather);
  ncclResult_t enqueue(const Barrier &) { return ncclInvalidUsage; }
  ncclResult_t enqueue(const ScatterExperts &) { return ncclInvalidUsage; }
  ncclResult_t enqueue(const GatherExperts &) { return ncclInvalidUsage; }

  const NcclApi &api;
  ProcessGroup &group;
  const int self;
  const int members;
  const std::function<void()> enter;
  CUstream_st *const stream;
  ncclComm_t communicator = nullptr;
  size_t started = 0;
};

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_COMM_NCCLCOMMUNICATOR_H
