#include "runtime/comm/LocalGroup.h"

#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "runtime/base/ErrorCode.h"
#include "runtime/base/StringView.h"
#include "runtime/device/SpinWait.h"

namespace epigraph {
LocalGroup::LocalGroup(int ranks, LocalGroupOptions options, std::vector<int> names)
    : options(options), names(std::move(names)), seats(static_cast<size_t>(ranks)) {}

/// "rank 2: scatter_experts (model.layers.3.mlp)".
std::string LocalGroup::describe(int rank, uint64_t number, std::string_view where) const {
  std::string text = absl::StrCat("rank ", nameOf(rank), ": ", offerOf(rank, number).operation);
  if (!where.empty())
    absl::StrAppend(&text, " (", abslView(where), ")");
  return text;
}

uint64_t LocalGroup::post(int rank, const LocalOffer &offer) {
  Seat &seat = seats[static_cast<size_t>(rank)];
  const uint64_t number = seat.posted.load(std::memory_order_relaxed);
  seat.offers[number % kMostUnderWay] = offer;
  count(rank, &Seat::posted, number + 1);
  return number;
}

absl::Status LocalGroup::meet(int rank, uint64_t number, std::string_view where) {
  if (absl::Status status = await(rank, &Seat::posted, number, where); !status.ok())
    return status;
  const char *ours = offerOf(rank, number).operation;
  for (int other = 0; other < size(); ++other) {
    const char *theirs = offerOf(other, number).operation;
    if (std::strcmp(theirs, ours) == 0)
      continue;
    const absl::Status status = absl::InternalError(
        absl::StrCat(describe(rank, number, where), ": rank ", nameOf(other), " is in ", theirs,
                     "; every rank must run the same plan on the same kind of step"));
    abort(nameOf(rank), status);
    return status;
  }
  return absl::OkStatus();
}

absl::Status LocalGroup::part(int rank, uint64_t number, std::string_view where) {
  count(rank, &Seat::parted, number + 1);
  return await(rank, &Seat::parted, number, where);
}

/// Counts `rank`'s seat up to `value` and wakes who waits for it.
void LocalGroup::count(int rank, Counter counter, uint64_t value) {
  // Sequentially consistent, as are all loads of counters and sleepers: of the ranks that count up,
  // the last sees all others; and either it sees a sleeper, or that one sees its count before it
  // sleeps. It also releases the offer.
  (seats[static_cast<size_t>(rank)].*counter).store(value, std::memory_order_seq_cst);
  if (sleepers.load(std::memory_order_seq_cst) == 0 || !allPast(counter, value - 1))
    return;
  std::lock_guard<std::mutex> guard(lock);
  changed.notify_all();
}

/// Waits until every rank's `counter` is past operation `number`.
absl::Status LocalGroup::await(int rank, Counter counter, uint64_t number, std::string_view where) {
  if (allPast(counter, number))
    return absl::OkStatus();
  const auto over = [&] {
    return failed.load(std::memory_order_acquire) || allPast(counter, number);
  };
  // A short spin only: where another process takes a core, a rank that spins takes the time of the
  // rank that it waits for (ten times slower steps were measured with a long one).
  if (!spinUntil(options.spin ? kShortSpin : 0, over)) {
    std::unique_lock<std::mutex> guard(lock);
    sleepers.fetch_add(1, std::memory_order_seq_cst);
    const bool inTime = changed.wait_for(guard, options.deadline, over);
    sleepers.fetch_sub(1, std::memory_order_relaxed);
    guard.unlock();
    if (!inTime)
      return late(rank, counter, number, where);
  }
  // Who has met everybody goes on, even if a rank fails afterwards: it will find out at the next
  // meeting.
  return allPast(counter, number) ? absl::OkStatus() : failure(rank, number, where);
}

bool LocalGroup::allPast(Counter counter, uint64_t number) const {
  for (const Seat &seat : seats)
    if ((seat.*counter).load(std::memory_order_seq_cst) <= number)
      return false;
  return true;
}

absl::Status LocalGroup::late(int rank, Counter counter, uint64_t number, std::string_view where) {
  std::vector<int> missing;
  for (int other = 0; other < size(); ++other)
    if ((seats[static_cast<size_t>(other)].*counter).load(std::memory_order_acquire) <= number)
      missing.push_back(nameOf(other));
  const absl::Status status =
      withCode(ErrorCode::Deadline,
               absl::DeadlineExceededError(absl::StrCat(
                   describe(rank, number, where), ": rank ", absl::StrJoin(missing, ", rank "),
                   " did not arrive within ", options.deadline.count() / 1000.0,
                   " s; if the machine is only slow, allow more time")));
  abort(nameOf(rank), status);
  return status;
}

absl::Status LocalGroup::failure(int rank, uint64_t number, std::string_view where) {
  std::lock_guard<std::mutex> guard(lock);
  return absl::AbortedError(absl::StrCat(describe(rank, number, where), ": given up, because rank ",
                                         failedRank,
                                         " failed: ", std::string(failedCause.message())));
}

void LocalGroup::abort(int name, const absl::Status &cause) {
  std::lock_guard<std::mutex> guard(lock);
  if (!failed.load(std::memory_order_relaxed)) {
    failedRank = name;
    failedCause = cause;
    failed.store(true, std::memory_order_release);
  }
  changed.notify_all();
}

void LocalGroup::reset() {
  std::lock_guard<std::mutex> guard(lock);
  for (Seat &seat : seats) {
    seat.posted.store(0, std::memory_order_relaxed);
    seat.parted.store(0, std::memory_order_relaxed);
  }
  failed.store(false, std::memory_order_release);
  failedRank = -1;
  failedCause = absl::OkStatus();
}

} // namespace epigraph
