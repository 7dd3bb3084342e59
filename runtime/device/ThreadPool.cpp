#include "runtime/device/ThreadPool.h"

#include <sched.h>

#include <algorithm>
#include <system_error>

#include "runtime/device/SpinWait.h"

namespace epigraph {
namespace {

/// The fields of a ticket: chunk `next` of `chunks` of job `epoch` is the one to take.
struct Ticket {
  uint32_t epoch;
  uint16_t chunks;
  uint16_t next;

  static Ticket unpack(uint64_t bits) {
    return {static_cast<uint32_t>(bits >> 32), static_cast<uint16_t>(bits >> 16),
            static_cast<uint16_t>(bits)};
  }
  uint64_t pack() const {
    return static_cast<uint64_t>(epoch) << 32 | static_cast<uint64_t>(chunks) << 16 | next;
  }
};

constexpr int kMaxThreads = 1024; // keeps chunks of a job within 16 bits

} // namespace

ThreadPool::ThreadPool(int threads, bool spin) : spin(spin) {
  const int count = std::clamp(threads, 1, kMaxThreads) - 1;
  workers.reserve(static_cast<size_t>(count));
  try {
    for (int i = 0; i < count; ++i)
      workers.emplace_back([this] { work(); });
  } catch (const std::system_error &) {
    // No more threads to be had: those there are do the work, later.
  }
}

ThreadPool::~ThreadPool() {
  stopping.store(true, std::memory_order_relaxed);
  epoch.fetch_add(1, std::memory_order_release);
  epoch.notify_all();
  for (std::thread &worker : workers)
    worker.join();
}

void ThreadPool::run(int64_t tileCount, Body jobBody, const void *jobContext) {
  if (tileCount <= 0)
    return;
  const int64_t chunks = std::min<int64_t>(tileCount, int64_t{threads()} * kChunksPerThread);
  if (workers.empty() || chunks == 1)
    return jobBody(jobContext, 0, tileCount);

  body.store(jobBody, std::memory_order_relaxed);
  context.store(jobContext, std::memory_order_relaxed);
  tiles.store(tileCount, std::memory_order_relaxed);
  done.store(0, std::memory_order_relaxed);
  const uint32_t job = epoch.load(std::memory_order_relaxed) + 1;
  // Release: whoever reads this ticket sees the job that belongs to it.
  ticket.store(Ticket{job, static_cast<uint16_t>(chunks), 0}.pack(), std::memory_order_release);
  epoch.store(job, std::memory_order_release);
  epoch.notify_all();

  while (takeChunk()) {
  }
  // Only chunks that another thread is inside of are left. Acquire pairs with the release in
  // takeChunk, and makes what those threads wrote visible.
  const auto allDone = [&] {
    return done.load(std::memory_order_acquire) == static_cast<uint32_t>(chunks);
  };
  while (!spinUntil(kShortSpin, allDone))
    sched_yield(); // the thread inside the chunk may need this core
}

/// Takes and runs one chunk of the current job; false when none is left to take.
bool ThreadPool::takeChunk() {
  uint64_t bits = ticket.load(std::memory_order_acquire);
  for (;;) {
    const Ticket current = Ticket::unpack(bits);
    if (current.next >= current.chunks)
      return false;
    const Body jobBody = body.load(std::memory_order_relaxed);
    const void *jobContext = context.load(std::memory_order_relaxed);
    const int64_t jobTiles = tiles.load(std::memory_order_relaxed);
    // Success proves that the job read above is still the current one: with a chunk left it cannot
    // be finished, so `run` cannot have written another.
    if (!ticket.compare_exchange_weak(bits, bits + 1, std::memory_order_acquire))
      continue;
    jobBody(jobContext, jobTiles * current.next / current.chunks,
            jobTiles * (current.next + 1) / current.chunks);
    done.fetch_add(1, std::memory_order_release);
    return true;
  }
}

void ThreadPool::work() {
  uint32_t seen = 0;
  for (;;) {
    const auto hasNews = [&] { return epoch.load(std::memory_order_acquire) != seen; };
    if (!spinUntil(spin ? kLongSpin : 0, hasNews))
      epoch.wait(seen, std::memory_order_acquire);
    seen = epoch.load(std::memory_order_acquire);
    if (stopping.load(std::memory_order_relaxed))
      return;
    while (takeChunk()) {
    }
  }
}

} // namespace epigraph
