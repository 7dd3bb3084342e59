#include "runtime/session/PagePool.h"

#include <algorithm>
#include <numeric>

namespace epigraph {

PagePool::PagePool(int32_t pages) : total(std::max(pages, 0)), free(static_cast<size_t>(total)) {
  std::iota(free.rbegin(), free.rend(), 0);
}

std::optional<PageLease> PagePool::take(int32_t count) {
  if (count > available())
    return std::nullopt;
  std::vector<int32_t> pages(free.rbegin(), free.rbegin() + count);
  free.resize(free.size() - static_cast<size_t>(count));
  return PageLease(*this, std::move(pages));
}

PageLease::~PageLease() {
  if (pool)
    pool->free.insert(pool->free.end(), pages.rbegin(), pages.rend());
}

} // namespace epigraph
