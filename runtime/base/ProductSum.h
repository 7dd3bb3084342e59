// Sizes that come from files, added up without wrapping around.
#ifndef EPIGRAPH_RUNTIME_BASE_PRODUCTSUM_H
#define EPIGRAPH_RUNTIME_BASE_PRODUCTSUM_H

#include <cstdint>

namespace epigraph {

/// A sum of products that remembers whether it was ever more than 63 bits hold.
class ProductSum {
public:
  void add(uint64_t count, uint64_t size) {
    uint64_t product = 0;
    overflow |= __builtin_mul_overflow(count, size, &product) ||
                __builtin_add_overflow(total, product, &total) || total > INT64_MAX;
  }
  uint64_t value() const { return total; }
  bool overflowed() const { return overflow; }

private:
  uint64_t total = 0;
  bool overflow = false;
};

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_BASE_PRODUCTSUM_H
