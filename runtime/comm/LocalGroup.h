// Where the ranks of one process, one thread each, meet.
//
// Every rank has a seat. To take part in an operation it writes what it offers on its seat and
// counts up its posts, without waiting for anybody; when all have posted, each reads what it wants
// from the others' seats and memory, and a second meeting makes sure that all have done so before
// anybody moves on. Between posting and meeting a rank does what it likes, and may post more:
// a seat has room for several offers. There is no central counter: a rank that waits sees who is
// late, and can say so.
#ifndef EPIGRAPH_RUNTIME_COMM_LOCALGROUP_H
#define EPIGRAPH_RUNTIME_COMM_LOCALGROUP_H

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
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
  /// `names`: what messages call the ranks, which else go by their seats.
  LocalGroup(int ranks, LocalGroupOptions options, std::vector<int> names = {});

  int nameOf(int rank) const { return names.empty() ? rank : names[static_cast<size_t>(rank)]; }

  int size() const { return static_cast<int>(seats.size()); }

  /// Operations that a rank may have posted and not parted from.
  static constexpr size_t kMostUnderWay = 16;

  /// Offers `offer` and returns the operation's number, the same on every rank; waits for nobody.
  /// The rank must have parted from operation `number - kMostUnderWay`.
  uint64_t post(int rank, const LocalOffer &offer);

  /// Waits until all ranks have posted operation `number`. Every rank must `part` from it, and from
  /// all before it. `where`: for messages. Errors: DeadlineExceeded naming who is late; Aborted;
  /// Internal when ranks are in different operations.
  absl::Status meet(int rank, uint64_t number, std::string_view where);

  /// Waits until all ranks have called it for operation `number`: offers and what they point to may
  /// change after.
  absl::Status part(int rank, uint64_t number, std::string_view where);

  /// What `rank` offers in operation `number`; valid between `meet` and `part`.
  const LocalOffer &offerOf(int rank, uint64_t number) const {
    return seats[static_cast<size_t>(rank)].offers[number % kMostUnderWay];
  }

  // The same for who has one operation under way at a time.

  absl::Status meet(int rank, const LocalOffer &offer, std::string_view where) {
    return meet(rank, post(rank, offer), where);
  }
  absl::Status part(int rank, std::string_view where) { return part(rank, latestOf(rank), where); }
  const LocalOffer &offerOf(int rank) const { return offerOf(rank, latestOf(rank)); }

  /// Fails every wait of this group, now and later, because the rank of this name failed. The first
  /// cause stays.
  void abort(int name, const absl::Status &cause);

  /// Makes a failed group usable again. No rank may be inside an operation.
  void reset();

private:
  struct alignas(64) Seat {
    std::array<LocalOffer, kMostUnderWay> offers;
    std::atomic<uint64_t> posted{0}; ///< operations
    std::atomic<uint64_t> parted{0};
  };
  using Counter = std::atomic<uint64_t> Seat::*;

  uint64_t latestOf(int rank) const {
    return seats[static_cast<size_t>(rank)].posted.load(std::memory_order_relaxed) - 1;
  }
  void count(int rank, Counter counter, uint64_t value);
  absl::Status await(int rank, Counter counter, uint64_t number, std::string_view where);
  absl::Status failure(int rank, uint64_t number, std::string_view where);
  absl::Status late(int rank, Counter counter, uint64_t number, std::string_view where);
  bool allPast(Counter counter, uint64_t number) const;
  std::string describe(int rank, uint64_t number, std::string_view where) const;

  const LocalGroupOptions options;
  const std::vector<int> names;
  std::vector<Seat> seats;
  std::atomic<bool> failed{false};
  /// Ranks that sleep on `changed`; whoever counts up looks here before it takes the lock.
  std::atomic<int> sleepers{0};
  std::mutex lock;
  std::condition_variable changed;
  int failedRank = -1;      ///< guarded by `lock`
  absl::Status failedCause; ///< guarded by `lock`
};

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_COMM_LOCALGROUP_H
