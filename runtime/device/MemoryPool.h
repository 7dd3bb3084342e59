// Accounting for the memory of one process. A pool does not hold memory: drivers reserve from it
// before they map anything, so that what does not fit is refused in words instead of by the
// kernel's out-of-memory killer.
#ifndef EPIGRAPH_RUNTIME_DEVICE_MEMORYPOOL_H
#define EPIGRAPH_RUNTIME_DEVICE_MEMORYPOOL_H

#include <atomic>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/statusor.h"

namespace epigraph {

class MemoryPool;

/// Bytes taken from a pool; given back when it is destroyed. The pool must outlive it.
class MemoryReservation {
public:
  MemoryReservation() = default;
  MemoryReservation(MemoryReservation &&other) noexcept { *this = std::move(other); }
  MemoryReservation &operator=(MemoryReservation &&other) noexcept {
    std::swap(pool, other.pool);
    std::swap(size, other.size);
    return *this;
  }
  ~MemoryReservation();

  uint64_t bytes() const { return size; }

private:
  friend class MemoryPool;
  MemoryReservation(MemoryPool &pool, uint64_t size) : pool(&pool), size(size) {}

  MemoryPool *pool = nullptr;
  uint64_t size = 0;
};

/// A cap on bytes, shared by all ranks of a process. Thread-safe.
class MemoryPool {
public:
  /// `cap` in bytes.
  explicit MemoryPool(uint64_t cap) : limit(cap) {}

  /// The memory of this machine: the default cap.
  static uint64_t physicalBytes();

  uint64_t cap() const { return limit; }
  uint64_t used() const { return taken.load(std::memory_order_relaxed); }

  /// Takes `bytes` for `purpose` (for the message). Errors: ResourceExhausted over the cap.
  absl::StatusOr<MemoryReservation> reserve(uint64_t bytes, const std::string &purpose);

private:
  friend class MemoryReservation;

  const uint64_t limit;
  std::atomic<uint64_t> taken{0};
};

/// "1.25 GiB": for messages.
std::string formatBytes(uint64_t bytes);

/// Reads "8G", "512M", "1.5GiB", "1000000": powers of 1024, whatever the spelling.
/// Errors: InvalidArgument for anything else, and for zero.
absl::StatusOr<uint64_t> parseBytes(const std::string &text);

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_DEVICE_MEMORYPOOL_H
