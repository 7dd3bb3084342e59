// One thread for each rank of this process, all of which run each step.
#ifndef EPIGRAPH_RUNTIME_EXEC_RANKTHREADS_H
#define EPIGRAPH_RUNTIME_EXEC_RANKTHREADS_H

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"

namespace epigraph {

class RankThreads {
public:
  /// Starts the threads; `body(rank)` is what `run` runs on each.
  /// Errors: ResourceExhausted when the system gives no more threads.
  static absl::StatusOr<std::unique_ptr<RankThreads>> start(int ranks,
                                                            std::function<void(int)> body);

  /// Joins the threads, unless some are stuck: those are left alone, and what they use must not be
  /// destroyed.
  ~RankThreads();

  /// Runs the body on every rank. False when some rank has not come back and `progress()`, a sum
  /// that grows as ranks get on, has not changed for `patience`: then it is stuck, and this object
  /// cannot run again.
  bool run(std::chrono::milliseconds patience, const std::function<uint64_t()> &progress);

  bool stuck() const { return isStuck; }
  /// Whether `rank` came back from the last run.
  bool isBack(int rank) const;

private:
  struct Shared;
  explicit RankThreads(std::unique_ptr<Shared> shared);
  static void work(Shared &shared, int rank);

  /// Outlives this object when threads are stuck.
  std::unique_ptr<Shared> shared;
  std::vector<std::thread> threads;
  bool isStuck = false;
};

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_EXEC_RANKTHREADS_H
