#include "runtime/session/SamplingOptions.h"

#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "runtime/base/ErrorCode.h"
#include "runtime/base/StringView.h"

namespace epigraph {
namespace {

/// Temperatures whose reciprocals are good float32 numbers, with room to spare.
constexpr double kLeastTemperature = 0.001f, kMostTemperature = 1000;

/// Whether `value` is in [least, most]; a NaN is not.
bool isWithin(double value, double least, double most) { return value >= least && value <= most; }

} // namespace

absl::Status checkSampling(const SamplingOptions &options, std::string_view what) {
  const auto refuse = [&](const char *is, double value, const char *expected) {
    return withCode(ErrorCode::BadSampling, absl::InvalidArgumentError(absl::StrCat(
                                                abslView(what), ": ", is, value, expected)));
  };
  if (options.temperature != 0 &&
      !isWithin(options.temperature, kLeastTemperature, kMostTemperature))
    return refuse("temperature is ", options.temperature, "; expected 0, or 0.001 to 1000");
  if (options.topK < 0)
    return refuse("top_k is ", options.topK, "; expected 0 or more");
  if (!isWithin(options.topP, std::numeric_limits<double>::min(), 1))
    return refuse("top_p is ", options.topP, "; expected more than 0, and at most 1");
  if (!isWithin(options.minP, 0, 1))
    return refuse("min_p is ", options.minP, "; expected 0 to 1");
  return absl::OkStatus();
}

SamplingRow samplingRow(const SamplingOptions &options, uint64_t seed, int64_t position) {
  SamplingRow row;
  if (options.isGreedy())
    return row;
  // Twice hashed, so that neither neighbouring seeds nor neighbouring positions share numbers.
  row.key = randomBits(randomBits(seed, 0), static_cast<uint64_t>(position));
  row.scale = static_cast<float>(1 / options.temperature);
  row.reach = static_cast<float>(options.temperature * std::log(options.minP));
  row.topK = options.topK;
  if (options.topP < 1) {
    // At least one step, since none means no filter; below 1 even where the product is rounded up.
    const double share = std::nearbyint(options.topP * 0x1p32);
    row.topP = share < 1 ? 1 : static_cast<uint32_t>(std::fmin(share, 0x1.fffffffep31));
  }
  return row;
}

} // namespace epigraph
