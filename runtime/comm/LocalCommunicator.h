// The communicator of ranks that are threads of one process: rows are pulled straight from the
// other ranks' memory. No thread works in the background: what starting buys is that a rank goes on
// with other work while the others catch up.
#ifndef EPIGRAPH_RUNTIME_COMM_LOCALCOMMUNICATOR_H
#define EPIGRAPH_RUNTIME_COMM_LOCALCOMMUNICATOR_H

#include <vector>

#include "runtime/comm/Communicator.h"
#include "runtime/comm/LocalGroup.h"

namespace epigraph {

class LocalCommunicator : public Communicator {
public:
  /// `group` must outlive it and have a seat for `rank`.
  LocalCommunicator(LocalGroup &group, int rank);

  int rank() const override { return self; }
  int size() const override { return group.size(); }
  absl::Status start(const Collective &collective, std::string_view where) override;
  absl::Status finishOldest() override;
  size_t underWay() const override { return started.size(); }
  void abort(const absl::Status &cause) override;

private:
  struct Started {
    Collective collective;
    std::string_view where;
    uint64_t number; ///< in the group
  };

  absl::Status check(const Collective &collective) const;

  // Read what this rank needs of the others' offers in operation `number`.
  absl::Status pull(const Barrier &, uint64_t) { return absl::OkStatus(); }
  absl::Status pull(const AllGather &gather, uint64_t number);
  absl::Status pull(const AllReduce &reduce, uint64_t number);
  absl::Status pull(const ReduceScatter &scatter, uint64_t number);
  absl::Status pull(const ScatterExperts &scatter, uint64_t number);
  absl::Status pull(const GatherExperts &gather, uint64_t number);
  absl::Status pull(const GatherColumns &gather, uint64_t number);

  absl::Status sum(SumType type, absl::Span<const uint8_t> source, size_t skipped,
                   absl::Span<uint8_t> result, uint64_t number);
  absl::Status checkOwnOffer(const ExpertExchange &exchange, int64_t capacity) const;
  absl::Status checkCounts(const ExpertExchange &exchange, uint64_t number) const;
  absl::Status fail(const char *operation, std::string_view where, const absl::Status &cause);

  LocalGroup &group;
  const int self;
  std::vector<Started> started; ///< oldest first; never grows, so that a step allocates nothing
  /// A row offset for each rank: scratch of one operation, kept so that a step allocates nothing.
  std::vector<int64_t> offsets;
  std::vector<const uint8_t *> sources;
};

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_COMM_LOCALCOMMUNICATOR_H
