// What the weights of an artifact are called, how they are stored, and in which file.
#ifndef EPIGRAPH_COMPILER_DRIVER_WEIGHTLAYOUT_H
#define EPIGRAPH_COMPILER_DRIVER_WEIGHTLAYOUT_H

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dialects/exec/Exec.h"
#include "mlir/IR/BuiltinOps.h"
#include "runtime/artifact/DType.h"

namespace epigraph {

/// One `exec.weight` as it lies in a file.
struct StoredWeight {
  exec::WeightOp op;
  std::string name;
  DType dtype = DType::F32;     ///< F32, BF16, F8_E4M3 or I32
  std::vector<int64_t> shape;   ///< of the values, as the type says
  exec::PanelAttr panel;        ///< null: row-major
  std::vector<uint64_t> stored; ///< the shape in the file: `shape` unless in panels
  bool shared = true;           ///< equal on all ranks

  uint64_t bytes() const;
};

/// The DType of a tensor's elements (f32, bf16, f8E4M3FN or i32).
DType dtypeOf(mlir::Type elementType);

/// The weights of `module`, in its order.
std::vector<StoredWeight> collectStoredWeights(mlir::ModuleOp module);

} // namespace epigraph

#endif // EPIGRAPH_COMPILER_DRIVER_WEIGHTLAYOUT_H
