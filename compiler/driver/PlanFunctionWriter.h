// One function of a plan: what became of each of its operations.
#ifndef EPIGRAPH_COMPILER_DRIVER_PLANFUNCTIONWRITER_H
#define EPIGRAPH_COMPILER_DRIVER_PLANFUNCTIONWRITER_H

#include <memory>

#include "compiler/driver/PlanTables.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace epigraph {

/// Walks a function; each value of it becomes a Ref: an input, a buffer, a weight, or a cache.
class PlanFunctionWriter {
public:
  PlanFunctionWriter(mlir::func::FuncOp function, const RowExtents &extents,
                     mlir::SymbolTable &symbols, PlanTables &tables)
      : function_(function), extents_(extents), symbols_(symbols), tables_(tables),
        result_(std::make_unique<plan::FunctionT>()) {}

  /// Fails with a diagnostic at the operation that a plan cannot express.
  mlir::FailureOr<std::unique_ptr<plan::FunctionT>> write();
  /// Bytes of all buffers side by side.
  uint64_t naiveBytes() const { return naiveBytes_; }

private:
  void addInputs();
  mlir::LogicalResult addBuffers(mlir::Operation *op);
  mlir::LogicalResult addOperation(mlir::Operation *op);
  mlir::LogicalResult addLaunch(exec::LaunchOp launch);
  mlir::LogicalResult mapCacheResults(exec::LaunchOp launch);
  template <typename Op> mlir::LogicalResult addCollective(Op op, plan::CollectiveKind kind);
  mlir::LogicalResult addScatter(ep::ScatterExpertsOp op);
  mlir::LogicalResult addGather(ep::GatherExpertsOp op);
  void addExchanges();
  void addOutputs(mlir::func::ReturnOp op);
  template <typename T> void addStep(mlir::Operation *op, T step);
  uint16_t exchangeOf(ep::ScatterExpertsOp op) const;
  plan::Ref ref(mlir::Value value) const { return refs_.at(value); }

  mlir::func::FuncOp function_;
  const RowExtents &extents_;
  mlir::SymbolTable &symbols_;
  PlanTables &tables_;
  std::unique_ptr<plan::FunctionT> result_;
  llvm::DenseMap<mlir::Value, plan::Ref> refs_;
  /// The steps of collectives that only start.
  llvm::DenseMap<mlir::Operation *, uint32_t> startedAt_;
  uint64_t naiveBytes_ = 0;
};

} // namespace epigraph

#endif // EPIGRAPH_COMPILER_DRIVER_PLANFUNCTIONWRITER_H
