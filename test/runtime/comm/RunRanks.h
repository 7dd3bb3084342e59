// Ranks as threads, for tests.
#ifndef EPIGRAPH_TEST_RUNTIME_COMM_RUNRANKS_H
#define EPIGRAPH_TEST_RUNTIME_COMM_RUNRANKS_H

#include <functional>
#include <thread>
#include <vector>

#include "runtime/comm/LocalCommunicator.h"

namespace epigraph {

/// Runs `body` on every rank of `group` at once and returns their outcomes.
inline std::vector<absl::Status>
runRanks(LocalGroup &group, const std::function<absl::Status(LocalCommunicator &)> &body) {
  std::vector<absl::Status> outcomes(static_cast<size_t>(group.size()));
  std::vector<std::thread> threads;
  for (int rank = 0; rank < group.size(); ++rank)
    threads.emplace_back([&, rank] {
      LocalCommunicator communicator(group, rank);
      outcomes[static_cast<size_t>(rank)] = body(communicator);
    });
  for (std::thread &thread : threads)
    thread.join();
  return outcomes;
}

} // namespace epigraph

#endif // EPIGRAPH_TEST_RUNTIME_COMM_RUNRANKS_H
