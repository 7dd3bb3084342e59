// How many rows each value of a scheduled function has, as a quantity that the runtime knows in
// every step.
#ifndef EPIGRAPH_PASSES_SCHEDULE_ROWEXTENTS_H
#define EPIGRAPH_PASSES_SCHEDULE_ROWEXTENTS_H

#include "dialects/exec/Exec.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace epigraph {

/// A number of rows: the quantity `kind`, or half of it, times `factor`. Mirrors `plan::Rows`.
struct RowExtent {
  enum class Kind {
    Static,      ///< 1: `factor` alone is the count
    Tokens,      ///< tokens of this rank's batch
    Outputs,     ///< rows whose logits were asked for
    LocalTokens, ///< this rank's share of Tokens along `axis`
    Received,    ///< rows that arrived in exchange `exchange` of this function
  };
  Kind kind = Kind::Static;
  unsigned exchange = 0;
  int64_t factor = 1;
  ep::Axis axis = ep::Axis::Expert; ///< of LocalTokens
  /// First: ceil(quantity / 2), Second: the rest; of Tokens and LocalTokens.
  enum class Half { Whole, First, Second };
  Half half = Half::Whole;

  /// Of `quantity`, the part that `half` says, times the factor.
  int64_t count(int64_t quantity) const {
    int64_t second = quantity / 2;
    int64_t part = half == Half::Whole   ? quantity
                   : half == Half::First ? quantity - second
                                         : second;
    return part * factor;
  }

  friend bool operator==(const RowExtent &, const RowExtent &) = default;
};

/// An exchange that makes rows arrive: an ep.scatter_experts, or the launch of a kernel around an
/// ep.dispatch_receive.
struct RowExchange {
  mlir::Operation *op;
  RowExtent sent;   ///< rows for experts that each rank sends
  int64_t received; ///< the most that can arrive at one
};

/// The row extents of the values of one function that holds launches and exchanges
/// (after --exec-outline-kernels). Valid until the function or its kernels change.
///
/// A tensor with a dynamic first dimension has symbolic rows; of any other the extent is Static
/// with the first dimension as its factor.
class RowExtents {
public:
  /// Fails, with a diagnostic at the operation, if the module has no `exec.limits` or an
  /// operation is not of the schedule.
  static mlir::FailureOr<RowExtents> compute(mlir::func::FuncOp function);

  /// The rows of `value`, a tensor of the function.
  RowExtent of(mlir::Value value) const { return extents.at(value); }

  /// The rows that a launch counts its tiles over: of its first result with dynamic rows; of a
  /// kernel that permutes or halves, of its input; of one without tensor results (kv_append), of
  /// what it appends.
  RowExtent ofLaunch(exec::LaunchOp launch) const { return launches.at(launch); }

  /// The most rows that `extent` can have under the module's limits.
  int64_t maxRows(RowExtent extent) const;

  /// The bytes that `value` needs under the module's limits.
  int64_t maxBytes(mlir::Value value) const;

  /// Exchanges of the function, numbered in their order.
  llvm::ArrayRef<RowExchange> getExchanges() const { return exchanges; }

  /// Elements of one row of a tensor.
  static int64_t getRowElements(mlir::RankedTensorType type);

private:
  mlir::LogicalResult visit(mlir::Operation &op);
  mlir::LogicalResult visitLaunch(exec::LaunchOp launch);
  void set(mlir::Value value, RowExtent rows);
  /// Numbers an exchange in which every rank sends `sent`, and gives what arrives.
  RowExtent addExchange(mlir::Operation *op, RowExtent sent, int64_t localExperts);
  mlir::FailureOr<RowExtent> ofShare(mlir::Operation *op, RowExtent rows, ep::Axis axis) const;

  exec::LimitsAttr limits;
  int64_t expert = 1, tensor = 1; ///< ranks along each axis
  llvm::DenseMap<mlir::Value, RowExtent> extents;
  llvm::DenseMap<mlir::Operation *, RowExtent> launches;
  llvm::SmallVector<RowExchange> exchanges;
  RowExtent sent; ///< by the last ep.dispatch_send
};

} // namespace epigraph

#endif // EPIGRAPH_PASSES_SCHEDULE_ROWEXTENTS_H
