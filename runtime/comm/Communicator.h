// How the ranks of one model, or those along an axis of its mesh, exchange rows. Each has a number
// among them, from 0. A communicator belongs to one rank; its operations are
// collective: every rank starts the same ones in the same order, and they finish in that order.
//
// Between start and finish a rank may compute: it must not write an operation's source, nor touch
// its result. Buffers of an operation must not overlap between source and result. Nothing waits
// without a deadline, and the failure of one rank fails the operation that every other rank is in,
// or enters next.
#ifndef EPIGRAPH_RUNTIME_COMM_COMMUNICATOR_H
#define EPIGRAPH_RUNTIME_COMM_COMMUNICATOR_H

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <variant>

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

/// Nothing moves; all ranks meet.
struct Barrier {};

/// result = the ranks' sources, one after the other. Sources may differ in size; `result` must
/// have exactly their sum (Internal otherwise).
struct AllGather {
  absl::Span<const uint8_t> source;
  absl::Span<uint8_t> result;
  /// Where the sources are the ranks' shares (shareOf) of a number of rows: bytes of one. Ranks
  /// that cannot ask each other must know; else 0.
  size_t rowBytes = 0;
};

/// result = sum over ranks of `source`, added in rank order: the same bits on every rank.
struct AllReduce {
  SumType type;
  absl::Span<const uint8_t> source;
  absl::Span<uint8_t> result;
};

/// result = this rank's share of the rows of that sum. `source` has `rows` rows of `rowBytes`.
struct ReduceScatter {
  SumType type;
  absl::Span<const uint8_t> source;
  int64_t rows;
  size_t rowBytes;
  absl::Span<uint8_t> result;
};

/// Sends rows, ordered by expert, to the experts' owners. The result receives this rank's rows,
/// ordered by (local expert, source rank); `resultCounts` is [local experts]. `received`, which is
/// not null, is set to the rows received. Errors: ResourceExhausted when they exceed the capacity,
/// Internal for counts that do not fit the rows.
struct ScatterExperts {
  ExpertExchange exchange;
  absl::Span<int32_t> resultCounts;
  int64_t *received;
};

/// The way back: the rows are ordered as the result of ScatterExperts was; the result gets the rows
/// that this rank sent, in the order in which it sent them. The counts are those of ScatterExperts.
struct GatherExperts {
  ExpertExchange exchange;
};

/// Row i of result = row i of the ranks' sources, one after the other. Sources are equal in size
/// and have rows of `rowBytes`; `result` has exactly their sum (Internal otherwise).
struct GatherColumns {
  absl::Span<const uint8_t> source;
  size_t rowBytes;
  absl::Span<uint8_t> result;
};

using Collective = std::variant<Barrier, AllGather, AllReduce, ReduceScatter, ScatterExperts,
                                GatherExperts, GatherColumns>;

class Communicator {
public:
  virtual ~Communicator() = default;

  virtual int rank() const = 0;
  virtual int size() const = 0;

  // `where` names the operation's place in the model, for messages, and must outlive it. All
  // operations: DeadlineExceeded when a rank does not arrive in time, Aborted when another rank
  // failed, Internal when ranks disagree on the operation.

  /// Operations that may be under way at once.
  static constexpr size_t kMostUnderWay = 16;

  /// Starts `collective`, whose memory must stay until it has finished; waits for no other rank.
  /// Internal when kMostUnderWay are under way already.
  virtual absl::Status start(const Collective &collective, std::string_view where) = 0;

  /// Waits until the oldest operation under way has finished, here and on all ranks that use this
  /// rank's memory. There must be one.
  virtual absl::Status finishOldest() = 0;

  /// Operations that have started and not finished.
  virtual size_t underWay() const = 0;

  /// Starts `collective` and finishes it, and with it all that are under way.
  absl::Status run(const Collective &collective, std::string_view where) {
    absl::Status status = start(collective, where);
    while (status.ok() && underWay() != 0)
      status = finishOldest();
    return status;
  }

  absl::Status barrier(std::string_view where) { return run(Barrier(), where); }
  absl::Status allGather(absl::Span<const uint8_t> source, absl::Span<uint8_t> result,
                         std::string_view where) {
    return run(AllGather{source, result, 0}, where);
  }
  absl::Status allReduce(SumType type, absl::Span<const uint8_t> source, absl::Span<uint8_t> result,
                         std::string_view where) {
    return run(AllReduce{type, source, result}, where);
  }
  absl::Status reduceScatter(SumType type, absl::Span<const uint8_t> source, int64_t rows,
                             size_t rowBytes, absl::Span<uint8_t> result, std::string_view where) {
    return run(ReduceScatter{type, source, rows, rowBytes, result}, where);
  }
  absl::Status gatherColumns(absl::Span<const uint8_t> source, size_t rowBytes,
                             absl::Span<uint8_t> result, std::string_view where) {
    return run(GatherColumns{source, rowBytes, result}, where);
  }
  /// Returns the rows received.
  absl::StatusOr<int64_t> scatterExperts(const ExpertExchange &exchange,
                                         absl::Span<int32_t> resultCounts, std::string_view where) {
    int64_t received = 0;
    absl::Status status = run(ScatterExperts{exchange, resultCounts, &received}, where);
    if (!status.ok())
      return status;
    return received;
  }
  absl::Status gatherExperts(const ExpertExchange &exchange, std::string_view where) {
    return run(GatherExperts{exchange}, where);
  }

  /// Fails the operation that the other ranks are in, or enter next, and forgets those that this
  /// rank has under way. `cause` is what this rank met.
  virtual void abort(const absl::Status &cause) = 0;
};

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_COMM_COMMUNICATOR_H
