#include "runtime/comm/LocalGroup.h"

#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "runtime/base/StringView.h"
#include "runtime/device/SpinWait.h"

namespace epigraph {
namespace {

/// "rank 2: scatter_experts (model.layers.3.mlp)".
std::string describe(int rank, const char *operation, std::string_view where) {
  std::string text = absl::StrCat("rank ", rank, ": ", operation);
  if (!where.empty())
    absl::StrAppend(&text, " (", abslView(where), ")");
  return text;
}

} // namespace

LocalGroup::LocalGroup(int ranks, LocalGroupOptions options)
    : options(options), seats(static_cast<size_t>(ranks)) {}

absl::Status LocalGroup::meet(int rank, const LocalOffer &offer, std::string_view where) {
  seats[static_cast<size_t>(rank)].offer = offer;
  if (absl::Status status = arrive(rank, offer.operation, where); !status.ok())
    return status;
  for (int other = 0; other < size(); ++other) {
    const char *theirs = offerOf(other).operation;
    if (std::strcmp(theirs, offer.operation) == 0)
      continue;
    const absl::Status status = absl::InternalError(
        absl::StrCat(describe(rank, offer.operation, where), ": rank ", other, " is in ", theirs,
                     "; every rank must run the same plan on the same kind of step"));
    abort(rank, status);
    return status;
  }
  return absl::OkStatus();
}

absl::Status LocalGroup::part(int rank, std::string_view where) {
  return arrive(rank, offerOf(rank).operation, where);
}

absl::Status LocalGroup::arrive(int rank, const char *operation, std::string_view where) {
  std::atomic<uint64_t> &mine = seats[static_cast<size_t>(rank)].arrivals;
  const uint64_t turn = mine.load(std::memory_order_relaxed) + 1;
  // Sequentially consistent, as are all loads of arrivals and sleepers: of the ranks that arrive,
  // the last sees all others; and either it sees a sleeper, or that one sees its arrival before it
  // sleeps. It also releases the offer.
  mine.store(turn, std::memory_order_seq_cst);
  if (allArrived(turn)) {
    if (sleepers.load(std::memory_order_seq_cst) != 0) {
      std::lock_guard<std::mutex> guard(lock);
      changed.notify_all();
    }
    return absl::OkStatus();
  }

  const auto over = [&] { return failed.load(std::memory_order_acquire) || allArrived(turn); };
  // A short spin only: where another process takes a core, a rank that spins takes the time of the
  // rank that it waits for (ten times slower steps were measured with a long one).
  if (!spinUntil(options.spin ? kShortSpin : 0, over)) {
    std::unique_lock<std::mutex> guard(lock);
    sleepers.fetch_add(1, std::memory_order_seq_cst);
    const bool inTime = changed.wait_for(guard, options.deadline, over);
    sleepers.fetch_sub(1, std::memory_order_relaxed);
    guard.unlock();
    if (!inTime)
      return late(rank, turn, operation, where);
  }
  // Who has met everybody goes on, even if a rank fails afterwards: it will find out at the next
  // meeting.
  return allArrived(turn) ? absl::OkStatus() : failure(rank, operation, where);
}

bool LocalGroup::allArrived(uint64_t turn) const {
  for (const Seat &seat : seats)
    if (seat.arrivals.load(std::memory_order_seq_cst) < turn)
      return false;
  return true;
}

absl::Status LocalGroup::late(int rank, uint64_t turn, const char *operation,
                              std::string_view where) {
  std::vector<int> missing;
  for (int other = 0; other < size(); ++other)
    if (seats[static_cast<size_t>(other)].arrivals.load(std::memory_order_acquire) < turn)
      missing.push_back(other);
  const absl::Status status = absl::DeadlineExceededError(
      absl::StrCat(describe(rank, operation, where), ": rank ", absl::StrJoin(missing, ", rank "),
                   " did not arrive within ", options.deadline.count() / 1000.0,
                   " s; if the machine is only slow, allow more time"));
  abort(rank, status);
  return status;
}

absl::Status LocalGroup::failure(int rank, const char *operation, std::string_view where) {
  std::lock_guard<std::mutex> guard(lock);
  return absl::AbortedError(absl::StrCat(describe(rank, operation, where),
                                         ": given up, because rank ", failedRank,
                                         " failed: ", std::string(failedCause.message())));
}

void LocalGroup::abort(int rank, const absl::Status &cause) {
  std::lock_guard<std::mutex> guard(lock);
  if (!failed.load(std::memory_order_relaxed)) {
    failedRank = rank;
    failedCause = cause;
    failed.store(true, std::memory_order_release);
  }
  changed.notify_all();
}

void LocalGroup::reset() {
  std::lock_guard<std::mutex> guard(lock);
  for (Seat &seat : seats)
    seat.arrivals.store(0, std::memory_order_relaxed);
  failed.store(false, std::memory_order_release);
  failedRank = -1;
  failedCause = absl::OkStatus();
}

} // namespace epigraph
