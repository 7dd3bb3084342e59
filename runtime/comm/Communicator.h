// How the ranks of one model exchange rows. A communicator belongs to one rank; its operations are
// collective: every rank calls the same ones in the same order.
//
// Buffers of an operation must not overlap between source and result. Nothing waits without a
// deadline, and the failure of one rank fails the operation that every other rank is in, or enters
// next.
#ifndef EPIGRAPH_RUNTIME_COMM_COMMUNICATOR_H
#define EPIGRAPH_RUNTIME_COMM_COMMUNICATOR_H

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace epigraph {

/// Numbers that sums over ranks are defined for. bfloat16 is summed in float32 and rounded once.
enum class SumType { Float32, BFloat16 };

/// Rows of a batch that a rank has: [begin, end).
struct RowShare {
  int64_t begin;
  int64_t end;
};

/// Rank `rank`'s share of `rows` rows among `ranks`: [rows*r/R, rows*(r+1)/R).
inline RowShare shareOf(int64_t rows, int rank, int ranks) {
  return {rows * rank / ranks, rows * (rank + 1) / ranks};
}

/// What both ways of an exchange of expert rows have in common.
struct ExpertExchange {
  absl::Span<const uint16_t> owner; ///< [experts] rank that holds each expert
  absl::Span<const int32_t> counts; ///< [experts] rows that this rank sends to each expert
  size_t rowBytes;
  absl::Span<const uint8_t> rows; ///< source; may be longer than the rows in it
  absl::Span<uint8_t> result;     ///< its size is the capacity
};

class Communicator {
public:
  virtual ~Communicator() = default;

  virtual int rank() const = 0;
  virtual int size() const = 0;

  // `where` names the operation's place in the model, for messages. All operations:
  // DeadlineExceeded when a rank does not arrive in time, Aborted when another rank failed,
  // Internal when ranks disagree on the operation.

  virtual absl::Status barrier(std::string_view where) = 0;

  /// result = the ranks' sources, one after the other. Sources may differ in size; `result` must
  /// have exactly their sum (Internal otherwise).
  virtual absl::Status allGather(absl::Span<const uint8_t> source, absl::Span<uint8_t> result,
                                 std::string_view where) = 0;

  /// result = sum over ranks of `source`, added in rank order: the same bits on every rank.
  virtual absl::Status allReduce(SumType type, absl::Span<const uint8_t> source,
                                 absl::Span<uint8_t> result, std::string_view where) = 0;

  /// result = this rank's share of the rows of that sum. `source` has `rows` rows of `rowBytes`.
  virtual absl::Status reduceScatter(SumType type, absl::Span<const uint8_t> source, int64_t rows,
                                     size_t rowBytes, absl::Span<uint8_t> result,
                                     std::string_view where) = 0;

  /// Sends rows, ordered by expert, to the experts' owners. `result` receives this rank's rows,
  /// ordered by (local expert, source rank); `resultCounts` is [local experts]. Returns the rows
  /// received. Errors: ResourceExhausted when they exceed the capacity, Internal for counts that do
  /// not fit `rows`.
  virtual absl::StatusOr<int64_t> scatterExperts(const ExpertExchange &exchange,
                                                 absl::Span<int32_t> resultCounts,
                                                 std::string_view where) = 0;

  /// The way back: `rows` is ordered as the result of scatterExperts was; `result` gets the rows
  /// that this rank sent, in the order in which it sent them. `counts` are those of scatterExperts.
  virtual absl::Status gatherExperts(const ExpertExchange &exchange, std::string_view where) = 0;

  /// Fails the operation that the other ranks are in, or enter next. `cause` is what this rank met.
  virtual void abort(const absl::Status &cause) = 0;
};

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_COMM_COMMUNICATOR_H
