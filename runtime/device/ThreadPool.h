// Runs the tiles of one launch on a few threads, with a fork and join that cost a fraction of a
// microsecond.
//
// A launch is cut into chunks. Threads take chunks from one 64-bit ticket {epoch:32, chunks:16,
// next:16} by compare-and-swap, the caller among them, and the join waits for chunks to be *done*,
// not for workers to *arrive*: a worker that the operating system has put aside holds nothing up
// unless it is inside a chunk. Workers spin for a while between launches, then park.
#ifndef EPIGRAPH_RUNTIME_DEVICE_THREADPOOL_H
#define EPIGRAPH_RUNTIME_DEVICE_THREADPOOL_H

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace epigraph {

class ThreadPool {
public:
  /// Computes tiles [begin, end) of the launch described by `context`.
  using Body = void (*)(const void *context, int64_t begin, int64_t end);

  /// `threads` >= 1, the caller of `run` included; fewer where the system gives no more. Workers
  /// that do not `spin` park at once: right where there are more threads than cores.
  ThreadPool(int threads, bool spin);
  ~ThreadPool();
  ThreadPool(const ThreadPool &) = delete;
  ThreadPool &operator=(const ThreadPool &) = delete;

  int threads() const { return static_cast<int>(workers.size()) + 1; }

  /// Runs `body` over tiles [0, tiles) and returns when all are done; their writes are visible to
  /// the caller. Called by one thread at a time.
  void run(int64_t tiles, Body body, const void *context);

private:
  void work();
  bool takeChunk();

  /// Chunks for each thread: enough that a late thread costs little, few enough that taking one is
  /// free.
  static constexpr int kChunksPerThread = 8;

  // The job. Written by `run` while no chunk is out, read by whoever took a chunk. Relaxed is
  // enough: `ticket` orders them. A worker may read them torn between two jobs, but then its
  // compare-and-swap fails.
  std::atomic<Body> body{nullptr};
  std::atomic<const void *> context{nullptr};
  std::atomic<int64_t> tiles{0};

  alignas(64) std::atomic<uint64_t> ticket{0};
  alignas(64) std::atomic<uint32_t> done{0};
  /// What parked workers sleep on: the epoch of the last job, a futex word of its own.
  alignas(64) std::atomic<uint32_t> epoch{0};
  std::atomic<bool> stopping{false};

  const bool spin;
  std::vector<std::thread> workers;
};

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_DEVICE_THREADPOOL_H
