#include "tools/epigraph/Interrupt.h"

#include <atomic>
#include <csignal>

namespace epigraph::tool {
namespace {

std::atomic<bool> flag{false};
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler sets it");

void onSignal(int) { flag.store(true, std::memory_order_relaxed); }

} // namespace

void catchInterrupts() {
  struct sigaction action = {};
  action.sa_handler = onSignal;
  action.sa_flags = SA_RESETHAND | SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

bool interrupted() { return flag.load(std::memory_order_relaxed); }

} // namespace epigraph::tool
