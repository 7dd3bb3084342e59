// The communicator of ranks that are threads of one process: rows are pulled straight from the
// other ranks' memory.
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
  absl::Status barrier(std::string_view where) override;
  absl::Status allGather(absl::Span<const uint8_t> source, absl::Span<uint8_t> result,
                         std::string_view where) override;
  absl::Status allReduce(SumType type, absl::Span<const uint8_t> source, absl::Span<uint8_t> result,
                         std::string_view where) override;
  absl::Status reduceScatter(SumType type, absl::Span<const uint8_t> source, int64_t rows,
                             size_t rowBytes, absl::Span<uint8_t> result,
                             std::string_view where) override;
  absl::StatusOr<int64_t> scatterExperts(const ExpertExchange &exchange,
                                         absl::Span<int32_t> resultCounts,
                                         std::string_view where) override;
  absl::Status gatherExperts(const ExpertExchange &exchange, std::string_view where) override;
  void abort(const absl::Status &cause) override { group.abort(self, cause); }

private:
  absl::Status sum(const char *operation, SumType type, absl::Span<const uint8_t> source,
                   size_t skipped, absl::Span<uint8_t> result, std::string_view where);
  absl::Status pullRows(absl::Span<uint8_t> result);
  absl::StatusOr<int64_t> pullForExperts(const ExpertExchange &exchange,
                                         absl::Span<int32_t> resultCounts);
  absl::Status pullFromOwners(const ExpertExchange &exchange);
  absl::Status checkOwnOffer(const ExpertExchange &exchange, int64_t capacity) const;
  absl::Status checkCounts(const ExpertExchange &exchange) const;
  absl::Status fail(const char *operation, std::string_view where, const absl::Status &cause);

  LocalGroup &group;
  const int self;
  /// A row offset for each rank: scratch of one operation, kept so that a step allocates nothing.
  std::vector<int64_t> offsets;
  std::vector<const uint8_t *> sources;
};

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_COMM_LOCALCOMMUNICATOR_H
