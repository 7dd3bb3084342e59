// Pages of the caches of one rank, handed out to sequences. A page holds kPageTokens consecutive
// positions of one sequence in every cache of the model.
#ifndef EPIGRAPH_RUNTIME_SESSION_PAGEPOOL_H
#define EPIGRAPH_RUNTIME_SESSION_PAGEPOOL_H

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "runtime/artifact/KernelAbi.h"

namespace epigraph {

class PagePool;

/// The pages of one sequence, in the order of its positions; given back when it is destroyed.
class PageLease {
public:
  PageLease(PageLease &&other) noexcept
      : pool(std::exchange(other.pool, nullptr)), pages(std::move(other.pages)) {}
  PageLease &operator=(PageLease &&other) noexcept {
    std::swap(pool, other.pool);
    pages.swap(other.pages);
    return *this;
  }
  ~PageLease();

  absl::Span<const int32_t> get() const { return pages; }

private:
  friend class PagePool;
  PageLease(PagePool &pool, std::vector<int32_t> pages) : pool(&pool), pages(std::move(pages)) {}

  PagePool *pool;
  std::vector<int32_t> pages;
};

/// Not thread-safe; must outlive its leases, and not move while there are any.
class PagePool {
public:
  /// Pages 0 to `pages` - 1.
  explicit PagePool(int32_t pages);

  /// Pages that hold `positions` positions.
  static int32_t pagesFor(int64_t positions) {
    return static_cast<int32_t>((positions + kPageTokens - 1) / kPageTokens);
  }

  int32_t capacity() const { return total; }
  int32_t available() const { return static_cast<int32_t>(free.size()); }

  /// Takes `count` pages, or nothing when fewer are free.
  std::optional<PageLease> take(int32_t count);

private:
  friend class PageLease;

  int32_t total;
  std::vector<int32_t>
      free; ///< a stack: the page given back last, still in the processor's caches, goes out first
};

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_SESSION_PAGEPOOL_H
