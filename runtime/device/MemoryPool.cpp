#include "runtime/device/MemoryPool.h"

#include <unistd.h>

#include <cmath>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"

namespace epigraph {

MemoryReservation::~MemoryReservation() {
  if (pool)
    pool->taken.fetch_sub(size, std::memory_order_relaxed);
}

uint64_t MemoryPool::physicalBytes() {
  const long pages = sysconf(_SC_PHYS_PAGES);
  const long pageBytes = sysconf(_SC_PAGESIZE);
  if (pages <= 0 || pageBytes <= 0)
    return UINT64_MAX;
  return static_cast<uint64_t>(pages) * static_cast<uint64_t>(pageBytes);
}

absl::StatusOr<MemoryReservation> MemoryPool::reserve(uint64_t bytes, const std::string &purpose) {
  // Relaxed is enough: the counter guards an amount, not other memory.
  uint64_t before = taken.load(std::memory_order_relaxed);
  do {
    if (before > limit || bytes > limit - before)
      return absl::ResourceExhaustedError(absl::StrCat(
          "no memory for ", purpose, ": needs ", formatBytes(bytes), ", and ", formatBytes(before),
          " of the pool of ", formatBytes(limit), " are in use; raise --memory-pool-size"));
  } while (!taken.compare_exchange_weak(before, before + bytes, std::memory_order_relaxed));
  return MemoryReservation(*this, bytes);
}

std::string formatBytes(uint64_t bytes) {
  static constexpr const char *units[] = {"KiB", "MiB", "GiB", "TiB"};
  if (bytes < 1024)
    return absl::StrCat(bytes, " bytes");
  double amount = static_cast<double>(bytes) / 1024;
  int unit = 0;
  for (; amount >= 1024 && unit < 3; ++unit)
    amount /= 1024;
  return absl::StrFormat("%.2f %s", amount, units[unit]);
}

absl::StatusOr<uint64_t> parseBytes(const std::string &text) {
  const absl::Status refusal = absl::InvalidArgumentError(absl::StrCat(
      "not a size: '", text, "'; expected a number of bytes such as 8G, 512M or 1.5GiB"));
  absl::string_view rest = absl::StripAsciiWhitespace(text);
  if (!absl::ConsumeSuffix(&rest, "iB") && !absl::ConsumeSuffix(&rest, "B"))
    absl::ConsumeSuffix(&rest, "b");
  double scale = 1;
  if (!rest.empty()) {
    const size_t power = absl::string_view("kmgt").find(absl::ascii_tolower(rest.back()));
    if (power != absl::string_view::npos) {
      scale = std::exp2(10.0 * static_cast<double>(power + 1));
      rest.remove_suffix(1);
    }
  }
  double amount = 0;
  // SimpleAtod also reads "inf", "nan" and signs, none of which is a size.
  if (rest.empty() || !absl::ascii_isdigit(rest.front()) || !absl::SimpleAtod(rest, &amount))
    return refusal;
  const double bytes = amount * scale;
  if (!(bytes >= 1) || bytes >= 0x1p63)
    return refusal;
  return static_cast<uint64_t>(bytes);
}

} // namespace epigraph
