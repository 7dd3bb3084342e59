// Where the ranks of one process, one thread each, meet.
//
// Every rank has a seat. To take part in an operation it writes what it offers on its seat and
// counts up its arrivals; when all have arrived, each reads what it wants from the others' seats
// and memory, and a second meeting makes sure that all have done so before anybody moves on. There
// is no central counter: a rank that waits sees who is late, and can say so.
#ifndef EPIGRAPH_RUNTIME_COMM_LOCALGROUP_H
#define EPIGRAPH_RUNTIME_COMM_LOCALGROUP_H

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"

namespace epigraph {

struct LocalGroupOptions {
  /// Longest wait of one rank for another.
  std::chrono::milliseconds deadline = std::chrono::seconds(60);
  /// Whether waits spin before they park: right where every thread has a core of its own.
  bool spin = true;
};

/// What a rank offers in one operation; read by the others between two meetings.
struct LocalOffer {
  const char *operation = ""; ///< a literal; ranks must agree on it
  absl::Span<const uint8_t> rows;
  absl::Span<const int32_t> counts;
};

class LocalGroup {
public:
  LocalGroup(int ranks, LocalGroupOptions options);

  int size() const { return static_cast<int>(seats.size()); }

  /// Offers `offer` and waits until all ranks have offered theirs. Every rank must `part` before it
  /// meets again. `where`: for messages. Errors: DeadlineExceeded naming who is late; Aborted;
  /// Internal when ranks are in different operations.
  absl::Status meet(int rank, const LocalOffer &offer, std::string_view where);

  /// Waits until all ranks have called it: offers and what they point to may change after.
  absl::Status part(int rank, std::string_view where);

  /// What `rank` offers; valid between `meet` and `part`.
  const LocalOffer &offerOf(int rank) const { return seats[static_cast<size_t>(rank)].offer; }

  /// Fails every wait of this group, now and later. The first cause stays.
  void abort(int rank, const absl::Status &cause);

  /// Makes a failed group usable again. No rank may be inside an operation.
  void reset();

private:
  struct alignas(64) Seat {
    LocalOffer offer;
    std::atomic<uint64_t> arrivals{0};
  };

  absl::Status arrive(int rank, const char *operation, std::string_view where);
  absl::Status failure(int rank, const char *operation, std::string_view where);
  absl::Status late(int rank, uint64_t turn, const char *operation, std::string_view where);
  bool allArrived(uint64_t turn) const;

  const LocalGroupOptions options;
  std::vector<Seat> seats;
  std::atomic<bool> failed{false};
  /// Ranks that sleep on `changed`; whoever arrives looks here before it takes the lock.
  std::atomic<int> sleepers{0};
  std::mutex lock;
  std::condition_variable changed;
  int failedRank = -1;      ///< guarded by `lock`
  absl::Status failedCause; ///< guarded by `lock`
};

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_COMM_LOCALGROUP_H
