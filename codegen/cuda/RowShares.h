// What a row kernel stores, which of it is computed together, and by which threads.
//
// A kernel that rotates and appends mostly has results that have no operation in common: queries,
// keys, values. Each is a share with threads of its own, so that none waits for another. All other
// kernels are one share.
#ifndef EPIGRAPH_CODEGEN_CUDA_ROWSHARES_H
#define EPIGRAPH_CODEGEN_CUDA_ROWSHARES_H

#include "codegen/cuda/RowEvaluator.h"

#include "llvm/ADT/SetVector.h"

namespace epigraph::cuda {

/// A result of the kernel, or an operand of an append, which is stored in the cache.
struct RowSink {
  mlir::Value value;
  unsigned result = 0;     ///< which one of the kernel, unless
  epi::KvAppendOp append;  ///< it is a part of what this stores,
  int64_t entryOffset = 0; ///< from this element of an entry on

  void store(RowEvaluator &evaluator) const;
};

/// Sinks that are computed together, and the operations that they need, but views.
struct RowShare {
  llvm::SmallVector<RowSink> sinks;
  llvm::SmallSetVector<mlir::Operation *, 8> ops;
  RowThreads threads;
  /// In a kernel of several shares: the share's first thread, counted through all blocks of a row.
  int64_t begin = 0;

  /// That of the operations together (RowEvaluator.h).
  int64_t period() const { return periodOf(ops.getArrayRef()); }
  bool needsWholeRow() const;
  bool appends() const;
};

/// The shares of a kernel and its blocks.
struct RowPlan {
  llvm::SmallVector<RowShare> shares;
  int64_t threads = 1; ///< of a block
  int64_t rows = 1;    ///< of a block
  int64_t columns = 1; ///< blocks of a row
  /// The kernel rotates or appends: its rows are the step's tokens, and its threads are the
  /// shares'.
  bool ofTokens = false;

  /// The blocks of a row are a cluster.
  bool isClustered() const { return !ofTokens && columns > 1 && shares.front().needsWholeRow(); }
};

RowPlan planRows(exec::KernelOp kernel, RowLayout &layout);
/// `plan` for few rows; none if that is the same.
std::optional<RowPlan> planFewRows(const RowPlan &plan, RowLayout &layout);

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_ROWSHARES_H
