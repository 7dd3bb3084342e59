// Where the values of `epi.weight` come from.
#ifndef EPIGRAPH_CODEGEN_REFERENCE_WEIGHTSOURCE_H
#define EPIGRAPH_CODEGEN_REFERENCE_WEIGHTSOURCE_H

#include <cstdint>
#include <string_view>

#include "absl/status/statusor.h"
#include "mlir/IR/BuiltinTypes.h"

#include "codegen/reference/Tensor.h"
#include "runtime/artifact/RandomWeights.h"

namespace epigraph {
class Checkpoint;
} // namespace epigraph

namespace epigraph::reference {

class WeightSource {
public:
  virtual ~WeightSource() = default;

  /// The tensor called `name`, in float32 (or int32), of the shape and element type that the IR
  /// expects. Errors name the tensor: NotFound, InvalidArgument for another shape or type.
  virtual absl::StatusOr<Tensor> load(std::string_view name, mlir::RankedTensorType expected) = 0;

  /// Rows [begin, end) of that tensor. Reads no others, where the source can help it.
  virtual absl::StatusOr<Tensor> loadRows(std::string_view name, mlir::RankedTensorType expected,
                                          int64_t begin, int64_t end);
};

/// Weights of a checkpoint, which must outlive this.
class CheckpointWeights : public WeightSource {
public:
  explicit CheckpointWeights(const Checkpoint &checkpoint) : checkpoint(checkpoint) {}
  absl::StatusOr<Tensor> load(std::string_view name, mlir::RankedTensorType expected) override;
  absl::StatusOr<Tensor> loadRows(std::string_view name, mlir::RankedTensorType expected,
                                  int64_t begin, int64_t end) override;

private:
  const Checkpoint &checkpoint;
};

/// The values of a random weight of `type` called `name`. Matrices have entries of variance
/// 1 / (last dimension), so that activations keep their size, but for the embedding, whose rows
/// have entries of variance 1: that tells tokens, and so their experts, apart. Vectors lie around
/// 1, biases around 0. FP8 weights fill the range of their type, and their scales ("..._scale_inv")
/// bring them to the size of other matrices.
RandomRange randomRange(std::string_view name, mlir::RankedTensorType type);

/// Values made of the seed and the weight's name, for tests without a checkpoint. bf16 and FP8
/// weights hold values that their type can express.
class RandomWeights : public WeightSource {
public:
  explicit RandomWeights(uint64_t seed) : seed(seed) {}
  absl::StatusOr<Tensor> load(std::string_view name, mlir::RankedTensorType expected) override;

private:
  uint64_t seed;
};

} // namespace epigraph::reference

#endif // EPIGRAPH_CODEGEN_REFERENCE_WEIGHTSOURCE_H
