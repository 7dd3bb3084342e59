// Generators are written out (FNV-1a for the name, SplitMix64 for the values): the same numbers on
// every machine and standard library.
#include <cmath>

#include "codegen/reference/Dense.h"
#include "codegen/reference/Quantization.h"
#include "codegen/reference/WeightSource.h"
#include "dialects/epi/Scales.h"

namespace epigraph::reference {
namespace {

uint64_t hashOf(std::string_view name, uint64_t seed) {
  uint64_t hash = 0xcbf29ce484222325ULL ^ (seed * 0x9e3779b97f4a7c15ULL);
  for (char c : name)
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return hash;
}

/// SplitMix64 (Steele, Lea and Flood, 2014).
uint64_t nextOf(uint64_t &state) {
  uint64_t z = state += 0x9e3779b97f4a7c15ULL;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

/// In [-1, 1).
float uniform(uint64_t &state) {
  return static_cast<float>(static_cast<int64_t>(nextOf(state) >> 40)) * 0x1p-23f - 1.0f;
}

/// Quantized weights fill the range of their type, so it is their scales that give them their size.
bool isScale(std::string_view name) { return name.ends_with("_scale_inv"); }

/// Half the width of the uniform distribution of a matrix: over [-a, a), variance is a^2 / 3.
float spreadOf(std::string_view name, mlir::RankedTensorType type) {
  if (llvm::isa<mlir::Float8E4M3FNType>(type.getElementType()))
    return epi::kLargestF8E4M3;
  const int64_t depth = type.getShape().back() * (isScale(name) ? epi::kScaleBlock : 1);
  return std::sqrt(3.0f / static_cast<float>(depth));
}

Tensor roundToType(Tensor values, mlir::Type type) {
  if (type.isBF16())
    return roundToBFloat16(values);
  return llvm::isa<mlir::Float8E4M3FNType>(type) ? roundToFloat8(values) : values;
}

} // namespace

absl::StatusOr<Tensor> RandomWeights::load(std::string_view name, mlir::RankedTensorType expected) {
  Shape shape(expected.getShape().begin(), expected.getShape().end());
  uint64_t state = hashOf(name, seed);
  if (expected.getElementType().isInteger())
    return absl::InvalidArgumentError("random weights are floating-point, the graph asks for i32");
  // Vectors lie around 1, and scales around what brings quantized values to a matrix's spread.
  bool vector = shape.size() < 2, scale = isScale(name);
  float spread = vector ? 1.0f : spreadOf(name, expected);
  if (scale)
    spread /= epi::kLargestF8E4M3;
  const bool aroundOne = vector || scale;
  Tensor result = Tensor::floats(std::move(shape));
  for (int64_t i = 0; i < result.elements(); ++i)
    result.data()[i] = spread * (aroundOne ? 1.0f + 0.25f * uniform(state) : uniform(state));
  return roundToType(std::move(result), expected.getElementType());
}

} // namespace epigraph::reference
