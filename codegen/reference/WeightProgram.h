// Evaluates expressions over weights on demand: only what a value needs is read from the
// checkpoint, so that a rank's share of the experts costs that share alone.
#ifndef EPIGRAPH_CODEGEN_REFERENCE_WEIGHTPROGRAM_H
#define EPIGRAPH_CODEGEN_REFERENCE_WEIGHTPROGRAM_H

#include <map>
#include <mutex>

#include "codegen/reference/MeshShape.h"
#include "codegen/reference/TensorOps.h"
#include "codegen/reference/WeightSource.h"
#include "dialects/exec/Exec.h"
#include "llvm/ADT/DenseSet.h"

namespace epigraph::reference {

/// How a weight is evaluated.
struct WeightOptions {
  int rank = 0; ///< whose `ep.local_experts` and `ep.local_shard`
  MeshShape mesh;
  Workers workers;
  /// Round every result of type bf16 to bf16; else element types change nothing.
  bool roundToTypes = false;
};

/// The rows of the whole that `rank`'s part of `shard` has, along its dimension: [first, last).
std::pair<int64_t, int64_t> shardRange(ep::LocalShardOp shard, const MeshShape &mesh, int rank);

/// `value`, an expression over weights: `epi.weight`, `epi.weight_stack`, `epi.rope_table`,
/// `ep.replica_table` and whatever evaluateTensorOp knows over them. A failure has been reported at
/// the operation that failed. Memory: the operands of one operation at a time.
llvm::FailureOr<TensorRef> evaluateWeightExpression(mlir::Value value, WeightSource &source,
                                                    const WeightOptions &options);

/// What the program of `weight` makes on rank `options.rank`, in float32 whatever the weight's
/// type.
llvm::FailureOr<TensorRef> evaluateWeight(exec::WeightOp weight, WeightSource &source,
                                          const WeightOptions &options);

/// The weights that an interpreter's steps use, evaluated at their first use and kept. Values that
/// are the same on all ranks are kept once. Thread-safe.
class WeightValues {
public:
  WeightValues(mlir::ModuleOp module, WeightSource &source, WeightOptions options);

  /// Whether the results of `op` are expressions over weights, which `get` gives.
  bool contains(mlir::Operation *op) const { return operations.contains(op); }

  /// A failure has been reported.
  llvm::FailureOr<TensorRef> get(mlir::Value value, int rank);

private:
  void collect(mlir::Operation *op);

  WeightSource &source;
  WeightOptions options;
  mlir::SymbolTable symbols;
  llvm::DenseSet<mlir::Operation *> operations;
  llvm::DenseSet<mlir::Operation *> rankLocal; ///< those that differ from rank to rank
  std::mutex lock;
  /// By value and rank; guarded by `lock`. Rank 0 stands for all where they agree.
  llvm::DenseMap<std::pair<mlir::Value, int>, TensorRef> values;
};

} // namespace epigraph::reference

#endif // EPIGRAPH_CODEGEN_REFERENCE_WEIGHTPROGRAM_H
