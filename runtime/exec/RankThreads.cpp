#include "runtime/exec/RankThreads.h"

#include <condition_variable>
#include <mutex>
#include <system_error>

#include "absl/strings/str_cat.h"

namespace epigraph {

struct RankThreads::Shared {
  std::function<void(int)> body;
  std::mutex lock;
  std::condition_variable started;
  std::condition_variable finished;
  uint64_t turn = 0; ///< guarded by `lock`, as is all below
  bool stopping = false;
  std::vector<bool> back;
  int running = 0;
};

RankThreads::RankThreads(std::unique_ptr<Shared> shared) : shared(std::move(shared)) {}

absl::StatusOr<std::unique_ptr<RankThreads>> RankThreads::start(int ranks,
                                                                std::function<void(int)> body) {
  auto shared = std::make_unique<Shared>();
  shared->body = std::move(body);
  shared->back.assign(static_cast<size_t>(ranks), true);
  std::unique_ptr<RankThreads> started(new RankThreads(std::move(shared)));
  try {
    for (int rank = 0; rank < ranks; ++rank)
      started->threads.emplace_back(
          [shared = started->shared.get(), rank] { work(*shared, rank); });
  } catch (const std::system_error &error) {
    return absl::ResourceExhaustedError(
        absl::StrCat("cannot start a thread for rank ", started->threads.size(), " of ", ranks,
                     ": ", error.what(), "; raise the limit on threads (ulimit -u)"));
  }
  return started;
}

RankThreads::~RankThreads() {
  if (isStuck) {
    // Threads cannot be ended from outside. They keep what they may still touch.
    for (std::thread &thread : threads)
      thread.detach();
    static_cast<void>(shared.release());
    return;
  }
  {
    std::lock_guard<std::mutex> guard(shared->lock);
    shared->stopping = true;
  }
  shared->started.notify_all();
  for (std::thread &thread : threads)
    thread.join();
}

bool RankThreads::run(std::chrono::milliseconds patience,
                      const std::function<uint64_t()> &progress) {
  std::unique_lock<std::mutex> guard(shared->lock);
  shared->back.assign(threads.size(), false);
  shared->running = static_cast<int>(threads.size());
  ++shared->turn;
  shared->started.notify_all();
  uint64_t before = progress();
  while (!shared->finished.wait_for(guard, patience, [this] { return shared->running == 0; })) {
    const uint64_t now = progress();
    if (now == before) {
      isStuck = true;
      return false;
    }
    before = now;
  }
  return true;
}

bool RankThreads::isBack(int rank) const {
  std::lock_guard<std::mutex> guard(shared->lock);
  return shared->back[static_cast<size_t>(rank)];
}

void RankThreads::work(Shared &shared, int rank) {
  uint64_t seen = 0;
  for (;;) {
    std::unique_lock<std::mutex> guard(shared.lock);
    shared.started.wait(guard, [&] { return shared.stopping || shared.turn != seen; });
    if (shared.stopping)
      return;
    seen = shared.turn;
    guard.unlock();
    shared.body(rank);
    guard.lock();
    shared.back[static_cast<size_t>(rank)] = true;
    if (--shared.running == 0)
      shared.finished.notify_all();
  }
}

} // namespace epigraph
