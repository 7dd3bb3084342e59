// Which values the members of a group can hold in parts: those between projections that are cut by
// columns and projections that are cut by rows.
#ifndef EPIGRAPH_PASSES_PARTITION_SHARDCLOSURE_H
#define EPIGRAPH_PASSES_PARTITION_SHARDCLOSURE_H

#include <deque>
#include <string>

#include "dialects/epi/Epi.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringMap.h"

namespace epigraph {

/// Values cut along dimension 1 (columns of [rows, columns], heads of [rows, heads, ...], heads of
/// a cache of keys and values), each with the number of its parts.
///
/// A value that is cut drags others along: an elementwise operation's result with its operands, the
/// keys with the queries. The chain ends at a projection whose result is cut (its weight is, by
/// rows) and at one whose input is (its weight is, by columns, and its result is a sum over ranks).
/// Where it does not end, nothing of the chain is cut.
class ShardClosure {
public:
  /// Cuts over `ranks` ranks.
  ShardClosure(mlir::ModuleOp module, int64_t ranks);

  /// Why a chain cannot be cut.
  struct Obstacle {
    mlir::Operation *op = nullptr; ///< null: it can
    std::string reason;
    int64_t size = 0; ///< of the dimension that `ranks` does not divide; 0: another reason
  };

  /// Cuts `seed` and what it drags along, all of it or, with an obstacle, nothing.
  Obstacle cut(mlir::Value seed);

  bool isCut(mlir::Value value) const { return parts.contains(value); }
  /// The values cut so far, with their parts.
  const llvm::MapVector<mlir::Value, int64_t> &getParts() const { return parts; }

private:
  void require(mlir::Value value, int64_t count, mlir::Operation *op);
  void requireAll(mlir::ValueRange values, int64_t count, mlir::Operation *op);
  void visitProducer(mlir::Value value, int64_t count);
  void visitUse(mlir::OpOperand &use, int64_t count);
  void visitCaches(epi::KvCacheOp cache, int64_t count);
  int64_t cacheParts(epi::AttentionOp attention);
  bool has(mlir::Value value) const { return parts.contains(value) || trial.contains(value); }
  void fail(mlir::Operation *op, const llvm::Twine &reason);

  const int64_t ranks;
  llvm::StringMap<llvm::SmallVector<epi::KvCacheOp>> caches; ///< by name, of all functions
  llvm::MapVector<mlir::Value, int64_t> parts;
  // Of the chain at hand:
  llvm::MapVector<mlir::Value, int64_t> trial;
  std::deque<mlir::Value> next;
  Obstacle obstacle;
};

} // namespace epigraph

#endif // EPIGRAPH_PASSES_PARTITION_SHARDCLOSURE_H
