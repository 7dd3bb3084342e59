// Walks the operations of a function on one rank.
#ifndef EPIGRAPH_CODEGEN_REFERENCE_EVALUATOR_H
#define EPIGRAPH_CODEGEN_REFERENCE_EVALUATOR_H

#include <atomic>
#include <variant>

#include "codegen/reference/ArenaCheck.h"
#include "codegen/reference/Collectives.h"
#include "codegen/reference/PagedCache.h"
#include "codegen/reference/PeerExchange.h"
#include "codegen/reference/WeightProgram.h"
#include "runtime/comm/LocalMesh.h"

namespace epigraph::reference {

/// The value of an `!epi.step`; there is one for each run, so nothing tells them apart.
struct StepValue {};

/// The value of an `!ep.token`; FlightCheck knows what is under way.
struct TokenValue {};

/// The value of an `!ep.exchange`: what a combine needs of its dispatch.
struct ExchangeValue {
  Tensor slots;  ///< of the permutation before the exchange
  Tensor counts; ///< [experts] rows sent
};

using RuntimeValue = std::variant<StepValue, TensorRef, PagedCache *,
                                  std::shared_ptr<const ExchangeValue>, TokenValue>;
using RuntimeValues = llvm::SmallVector<RuntimeValue>;

class Tracer;

/// What one rank needs in one run.
struct RankContext {
  int rank;
  LocalMesh &mesh;
  const StepBatch &step;
  CacheSet &caches;
  WeightValues &weights;
  const mlir::SymbolTable &symbols;
  Workers workers;
  bool roundToTypes;
  /// Set by the first rank that reports an error; the others then say only that they stopped.
  std::atomic<bool> &errorReported;
  /// Told of every operation; may be null.
  Tracer *tracer = nullptr;
};

class Evaluator {
public:
  explicit Evaluator(const RankContext &context) : context(context) {}

  /// Runs `function` on `arguments` and returns what it returns. A failure has been reported, and
  /// fails the other ranks' exchanges.
  llvm::FailureOr<RuntimeValues> run(mlir::func::FuncOp function, RuntimeValues arguments);

  /// Runs the body of a kernel alone, as a launch does. A failure has been reported.
  llvm::FailureOr<RuntimeValues> runKernel(exec::KernelOp kernel, const RuntimeValues &arguments) {
    return runBlock(kernel.getBody().front(), arguments, /*arena=*/nullptr);
  }

private:
  /// The values of one block while it runs.
  using Frame = llvm::DenseMap<mlir::Value, RuntimeValue>;

  llvm::FailureOr<RuntimeValues> runBlock(mlir::Block &block, const RuntimeValues &arguments,
                                          ArenaCheck *arena);
  llvm::LogicalResult runOp(mlir::Operation *op, Frame &frame, ArenaCheck *arena);
  llvm::LogicalResult runOp(mlir::Operation *op, const RuntimeValues &operands, Frame &frame,
                            ArenaCheck *arena);
  llvm::FailureOr<RuntimeValues> operandsOf(mlir::Operation *op, const Frame &frame);
  absl::StatusOr<RuntimeValues> evaluate(mlir::Operation *op, const RuntimeValues &operands);
  absl::StatusOr<std::optional<RuntimeValues>> evaluateStepOp(mlir::Operation *op,
                                                              const RuntimeValues &operands);
  absl::StatusOr<std::optional<RuntimeValues>> evaluateRankOp(mlir::Operation *op,
                                                              const RuntimeValues &operands);
  /// The rank's seat along `axis`; `place` must outlive it.
  Member seat(ep::Axis axis, llvm::StringRef place);
  absl::StatusOr<RuntimeValues> dispatch(ep::DispatchOp op, const RuntimeValues &operands,
                                         const Member &member);
  /// The four parts of an exchange over the memory of peers.
  absl::StatusOr<std::optional<RuntimeValues>> evaluatePeerOp(mlir::Operation *op,
                                                              const RuntimeValues &operands);
  llvm::LogicalResult define(mlir::Operation *op, RuntimeValues results, Frame &frame,
                             ArenaCheck *arena);
  llvm::LogicalResult report(mlir::Operation *op, const absl::Status &status);

  RankContext context;
  PeerExchange peers; ///< the exchange under way
};

} // namespace epigraph::reference

#endif // EPIGRAPH_CODEGEN_REFERENCE_EVALUATOR_H
