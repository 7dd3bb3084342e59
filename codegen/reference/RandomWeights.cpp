#include <cmath>

#include "codegen/reference/Dense.h"
#include "codegen/reference/Quantization.h"
#include "codegen/reference/WeightSource.h"
#include "dialects/epi/Scales.h"

namespace epigraph::reference {
namespace {

/// Biases are small beside what they are added to.
constexpr float kBiasSpread = 0.05f;

bool isScale(std::string_view name) { return name.ends_with("_scale_inv"); }

/// Half the width of the uniform distribution of a matrix: over [-a, a), variance is a^2 / 3.
float spreadOf(std::string_view name, mlir::RankedTensorType type) {
  if (llvm::isa<mlir::Float8E4M3FNType>(type.getElementType()))
    return epi::kLargestF8E4M3;
  if (name.ends_with("embed_tokens.weight"))
    return std::sqrt(3.0f);
  const int64_t depth = type.getShape().back() * (isScale(name) ? epi::kScaleBlock : 1);
  return std::sqrt(3.0f / static_cast<float>(depth));
}

Tensor roundToType(Tensor values, mlir::Type type) {
  if (type.isBF16())
    return roundToBFloat16(values);
  return llvm::isa<mlir::Float8E4M3FNType>(type) ? roundToFloat8(values) : values;
}

} // namespace

RandomRange randomRange(std::string_view name, mlir::RankedTensorType type) {
  constexpr float kSpreadAroundOne = 0.25f;
  if (isScale(name)) {
    const float size = spreadOf(name, type) / epi::kLargestF8E4M3;
    return {size, size * kSpreadAroundOne};
  }
  if (type.getRank() >= 2)
    return {0, spreadOf(name, type)};
  return name.ends_with("bias") ? RandomRange{0, kBiasSpread} : RandomRange{1, kSpreadAroundOne};
}

absl::StatusOr<Tensor> RandomWeights::load(std::string_view name, mlir::RankedTensorType expected) {
  if (expected.getElementType().isInteger())
    return absl::InvalidArgumentError("random weights are floating-point, the graph asks for i32");
  const uint64_t key = randomKey(name, seed);
  const RandomRange range = randomRange(name, expected);
  Tensor result = Tensor::floats(Shape(expected.getShape().begin(), expected.getShape().end()));
  for (int64_t i = 0; i < result.elements(); ++i)
    result.data()[i] = randomValue(key, static_cast<uint64_t>(i), range);
  return roundToType(std::move(result), expected.getElementType());
}

} // namespace epigraph::reference
