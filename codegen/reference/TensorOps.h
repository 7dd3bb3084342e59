// Operations whose results depend on their tensor operands and attributes alone, by name of the
// operation.
#ifndef EPIGRAPH_CODEGEN_REFERENCE_TENSOROPS_H
#define EPIGRAPH_CODEGEN_REFERENCE_TENSOROPS_H

#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "mlir/IR/Operation.h"

#include "codegen/reference/Tensor.h"
#include "codegen/reference/Workers.h"

namespace epigraph::reference {

/// Values are never changed after they are made, so that they can be shared.
using TensorRef = std::shared_ptr<const Tensor>;
using TensorRefs = llvm::SmallVector<TensorRef>;

inline TensorRef shared(Tensor tensor) { return std::make_shared<const Tensor>(std::move(tensor)); }

/// The results of `op` on `operands` (one for each operand; null for those that are no tensors), or
/// nothing when it is not such an operation. Errors: those of the operation's function.
absl::StatusOr<std::optional<TensorRefs>>
evaluateTensorOp(mlir::Operation *op, llvm::ArrayRef<TensorRef> operands, const Workers &workers);

} // namespace epigraph::reference

#endif // EPIGRAPH_CODEGEN_REFERENCE_TENSOROPS_H
