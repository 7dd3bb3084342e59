#include <cstring>

#include "absl/strings/str_join.h"

#include "codegen/reference/Structure.h"
#include "codegen/reference/WeightSource.h"
#include "runtime/artifact/Checkpoint.h"
#include "runtime/base/BFloat16.h"
#include "runtime/base/Float8.h"
#include "runtime/base/Status.h"

namespace epigraph::reference {
namespace {

/// Element `index` of `bytes`, which need not be aligned.
template <typename T> T elementAt(absl::Span<const uint8_t> bytes, size_t index) {
  T value;
  std::memcpy(&value, bytes.data() + index * sizeof(T), sizeof(T));
  return value;
}

absl::Status checkShape(const StoredTensor &view, mlir::RankedTensorType expected) {
  bool equal = view.shape.size() == static_cast<size_t>(expected.getRank());
  for (size_t i = 0; equal && i < view.shape.size(); ++i)
    equal = view.shape[i] == static_cast<uint64_t>(expected.getDimSize(static_cast<unsigned>(i)));
  if (equal)
    return absl::OkStatus();
  llvm::ArrayRef<int64_t> wanted = expected.getShape();
  return absl::InvalidArgumentError(
      absl::StrCat("weight \"", view.name, "\" has shape [", absl::StrJoin(view.shape, ", "),
                   "] in the checkpoint, the graph expects [",
                   absl::StrJoin(wanted.begin(), wanted.end(), ", "), "]"));
}

DType dtypeOf(mlir::Type elementType) {
  if (elementType.isBF16())
    return DType::BF16;
  if (llvm::isa<mlir::Float8E4M3FNType>(elementType))
    return DType::F8_E4M3;
  return elementType.isF32() ? DType::F32 : DType::I32;
}

/// Element `index` of `bytes`, which are floats of type `dtype`.
float floatAt(absl::Span<const uint8_t> bytes, DType dtype, size_t index) {
  switch (dtype) {
  case DType::F8_E4M3:
    return floatOfFloat8(bytes[index]);
  case DType::BF16:
    return floatOfBFloat16(elementAt<uint16_t>(bytes, index));
  default:
    return elementAt<float>(bytes, index);
  }
}

} // namespace

absl::StatusOr<Tensor> WeightSource::loadRows(std::string_view name,
                                              mlir::RankedTensorType expected, int64_t begin,
                                              int64_t end) {
  EPIGRAPH_ASSIGN_OR_RETURN(Tensor whole, load(name, expected));
  return sliceRows(whole, begin, end);
}

absl::StatusOr<Tensor> CheckpointWeights::load(std::string_view name,
                                               mlir::RankedTensorType expected) {
  return loadRows(name, expected, 0, expected.getRank() ? expected.getDimSize(0) : 1);
}

absl::StatusOr<Tensor> CheckpointWeights::loadRows(std::string_view name,
                                                   mlir::RankedTensorType expected, int64_t begin,
                                                   int64_t end) {
  const StoredTensor *view = checkpoint.find(name);
  if (!view)
    return absl::NotFoundError(
        absl::StrCat("weight \"", abslView(name), "\" is not in the checkpoint ",
                     checkpoint.directory().string(), "; was the graph imported from another?"));
  EPIGRAPH_RETURN_IF_ERROR(checkShape(*view, expected));
  DType wanted = dtypeOf(expected.getElementType());
  if (view->dtype != wanted)
    return absl::InvalidArgumentError(
        absl::StrCat("weight \"", abslView(name), "\" is ", abslView(dtypeName(view->dtype)),
                     " in the checkpoint, the graph expects ", abslView(dtypeName(wanted))));
  Shape shape(expected.getShape().begin(), expected.getShape().end());
  if (!shape.empty())
    shape.front() = end - begin;
  const bool isInt = wanted == DType::I32;
  Tensor result = isInt ? Tensor::ints(std::move(shape)) : Tensor::floats(std::move(shape));
  size_t first = static_cast<size_t>(begin * result.rowElements());
  size_t elements = static_cast<size_t>(result.elements());
  if (isInt) {
    std::memcpy(result.intData(), view->bytes.data() + first * sizeof(int32_t),
                elements * sizeof(int32_t));
    return result;
  }
  for (size_t i = 0; i < elements; ++i)
    result.data()[i] = floatAt(view->bytes, wanted, first + i);
  return result;
}

} // namespace epigraph::reference
