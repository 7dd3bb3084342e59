// The tables of a plan that its functions share, as they fill, and the plan's words for the IR's.
#ifndef EPIGRAPH_COMPILER_DRIVER_PLANTABLES_H
#define EPIGRAPH_COMPILER_DRIVER_PLANTABLES_H

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/StringMap.h"

#include "dialects/exec/Exec.h"
#include "passes/schedule/RowExtents.h"
#include "runtime/artifact/Plan.h"

namespace epigraph {

/// The plan's name for the type of a tensor's elements (f32, bf16 or i32).
plan::DType planDType(mlir::Type elementType);

plan::Rows planRows(RowExtent extent);

/// Weights, kernels, caches and placements, each with its index in the plan.
class PlanTables {
public:
  /// Takes all weights and kernels of `module`. `device` describes the launches of each kernel, by
  /// name; null: they are a CPU's.
  PlanTables(mlir::ModuleOp module, const DeviceKernels *device);

  uint32_t weight(llvm::StringRef name) const { return weights_.at(name); }
  uint32_t kernel(llvm::StringRef name) const { return kernels_.at(name); }
  /// Whether the launches of a kernel are described by its variants.
  bool hasVariants(llvm::StringRef name) const {
    return !plan_.kernels[kernel(name)]->variants.empty();
  }
  /// The cache that `op` names, made at its first use. Fails, with a diagnostic, if two uses differ
  /// in type.
  mlir::FailureOr<uint32_t> cache(epi::KvCacheOp op);
  uint32_t placement(ep::PlacementAttr placement);

  uint64_t cacheBytesPerToken() const { return cacheBytesPerToken_; }
  plan::PlanT &plan() { return plan_; }

private:
  void addWeights(mlir::ModuleOp module);
  void addKernels(mlir::ModuleOp module);
  void addVariants(const DeviceKernels &device);

  plan::PlanT plan_;
  llvm::StringMap<uint32_t> weights_;
  llvm::StringMap<uint32_t> kernels_;
  llvm::StringMap<uint32_t> caches_;
  llvm::DenseMap<mlir::Attribute, uint32_t> placements_;
  uint64_t cacheBytesPerToken_ = 0;
};

} // namespace epigraph

#endif // EPIGRAPH_COMPILER_DRIVER_PLANTABLES_H
