// Threads inside one operation. The work is cut into tasks that are independent of each other, so
// results do not depend on how many threads there are.
#ifndef EPIGRAPH_CODEGEN_REFERENCE_WORKERS_H
#define EPIGRAPH_CODEGEN_REFERENCE_WORKERS_H

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace epigraph::reference {

struct Workers {
  int threads = 1;

  /// Calls task(i) for all i in [0, tasks). `flops` is the work of all of them together: below a
  /// few million, starting threads costs more than it saves.
  template <typename Task> void forEach(int64_t tasks, int64_t flops, const Task &task) const {
    constexpr int64_t worthThreads = 4'000'000;
    int64_t used = flops < worthThreads ? 1 : std::min<int64_t>(threads, tasks);
    std::atomic<int64_t> next{0};
    auto work = [&] {
      for (int64_t i = next++; i < tasks; i = next++)
        task(i);
    };
    std::vector<std::jthread> helpers;
    for (int64_t i = 1; i < used; ++i)
      helpers.emplace_back(work);
    work();
  }
};

} // namespace epigraph::reference

#endif // EPIGRAPH_CODEGEN_REFERENCE_WORKERS_H
