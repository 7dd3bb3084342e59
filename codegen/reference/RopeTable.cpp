// The last bits matter at position 100,000: frequencies and angles are rounded to float32 exactly
// where transformers rounds them (`_compute_default_rope_parameters`, `_compute_yarn_parameters`,
// `_compute_llama3_parameters`).
#include "codegen/reference/RopeTable.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace epigraph::reference {
namespace {

/// The dimension whose wavelength makes `rotations` turns in the original context.
double correctionDim(double rotations, const RopeTableOptions &options) {
  double turns = static_cast<double>(options.yarn->original) / (rotations * 2 * std::numbers::pi);
  return static_cast<double>(options.dims) * std::log(turns) / (2 * std::log(options.theta));
}

/// How much of pair i keeps its own frequency: 1 up to `low`, 0 from `high` on, a ramp between.
struct Ramp {
  float low, span;

  explicit Ramp(const RopeTableOptions &options) {
    double first = correctionDim(options.yarn->betaFast, options);
    double last = correctionDim(options.yarn->betaSlow, options);
    if (options.yarn->truncate) {
      first = std::floor(first);
      last = std::ceil(last);
    }
    first = std::max(first, 0.0);
    last = std::min(last, static_cast<double>(options.dims - 1));
    if (first == last)
      last += 0.001; // transformers' guard against division by zero
    low = static_cast<float>(first);
    span = static_cast<float>(last - first);
  }

  float keepAt(int64_t pair) const {
    return 1.0f - std::clamp((static_cast<float>(pair) - low) / span, 0.0f, 1.0f);
  }
};

/// `frequency` as Llama 3.1 has it.
float stretch(float frequency, const Llama3Rope &llama3) {
  auto original = static_cast<float>(llama3.original), factor = static_cast<float>(llama3.factor);
  auto low = static_cast<float>(llama3.lowFreqFactor);
  auto high = static_cast<float>(llama3.highFreqFactor);
  float wavelength = static_cast<float>(2 * std::numbers::pi) / frequency;
  if (wavelength > original / low)
    return frequency / factor;
  if (wavelength < original / high)
    return frequency;
  float smooth = (original / wavelength - low) / (high - low);
  return (1 - smooth) * (frequency / factor) + smooth * frequency;
}

} // namespace

std::vector<float> ropeFrequencies(const RopeTableOptions &options) {
  std::vector<float> frequencies;
  std::optional<Ramp> ramp;
  if (options.yarn)
    ramp.emplace(options);
  for (int64_t i = 0; i < options.dims / 2; ++i) {
    float exponent = static_cast<float>(2 * i) / static_cast<float>(options.dims);
    float wavelength = std::pow(static_cast<float>(options.theta), exponent);
    float frequency = 1.0f / wavelength;
    if (ramp) {
      float keep = ramp->keepAt(i);
      float stretched = 1.0f / (static_cast<float>(options.yarn->factor) * wavelength);
      frequency = stretched * (1.0f - keep) + frequency * keep;
    }
    if (options.llama3)
      frequency = stretch(frequency, *options.llama3);
    frequencies.push_back(frequency);
  }
  return frequencies;
}

Tensor ropeTable(const RopeTableOptions &options) {
  std::vector<float> frequencies = ropeFrequencies(options);
  int64_t half = options.dims / 2;
  float magnitude = static_cast<float>(options.magnitude);
  Tensor table = Tensor::floats({options.positions, options.dims});
  for (int64_t position = 0; position < options.positions; ++position) {
    float *cosines = table.row(position), *sines = cosines + half;
    for (int64_t i = 0; i < half; ++i) {
      // Rounded to float32 before cosine and sine, which are then as exact as float32 allows.
      float angle = static_cast<float>(position) * frequencies[static_cast<size_t>(i)];
      cosines[i] = static_cast<float>(std::cos(static_cast<double>(angle))) * magnitude;
      sines[i] = static_cast<float>(std::sin(static_cast<double>(angle))) * magnitude;
    }
  }
  return table;
}

} // namespace epigraph::reference
