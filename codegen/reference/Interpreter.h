// The reference target: runs a function of a module in plain float32, ranks as threads. It is the
// meaning of the IR; passes, kernels and communicators are tested against it.
//
// Any IR from import to codegen will do: epi graphs, partitioned graphs, and scheduled ones, whose
// kernels are run by their bodies and whose memory plan is honoured.
#ifndef EPIGRAPH_CODEGEN_REFERENCE_INTERPRETER_H
#define EPIGRAPH_CODEGEN_REFERENCE_INTERPRETER_H

#include <chrono>
#include <vector>

#include "codegen/reference/PagedCache.h"
#include "codegen/reference/WeightProgram.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "runtime/comm/LocalMesh.h"

namespace epigraph::reference {

class Tracer;

struct InterpreterOptions {
  /// Ranks to run where the module has no `ep.mesh`, which otherwise says.
  int ranks = 1;
  /// Threads of all ranks together; 0: one for each core.
  int threads = 0;
  /// Longest wait of one rank for another.
  std::chrono::milliseconds deadline = std::chrono::seconds(60);
  /// Round every value of type bf16 to bf16, as the CPU target does between kernels. Off, element
  /// types change nothing and everything is float32.
  bool roundToTypes = false;
  /// Told of every operation of every rank; may be null.
  Tracer *tracer = nullptr;
};

/// What lives from one run to the next: the caches of each rank.
class InterpreterState {
public:
  CacheSet &caches(int rank) { return perRank[rank]; }

private:
  std::map<int, CacheSet> perRank;
};

/// One rank's arguments: a tensor for each parameter that is not `!epi.step`, in order, and the
/// step.
struct RankInput {
  std::vector<Tensor> tensors;
  StepBatch step;
};

/// One rank's results, in order.
using RankResult = std::vector<TensorRef>;

/// Not thread-safe; keeps the weights it has evaluated. Module and source must outlive it, and the
/// module must not change.
class Interpreter {
public:
  Interpreter(mlir::ModuleOp module, WeightSource &source, InterpreterOptions options);

  const MeshShape &meshShape() const { return shape; }
  int ranks() const { return shape.ranks(); }

  /// Runs `function` on one input for each rank. A failure has been reported as diagnostics, on the
  /// operation that failed; the other ranks stop within the deadline.
  llvm::FailureOr<std::vector<RankResult>>
  run(llvm::StringRef function, llvm::ArrayRef<RankInput> inputs, InterpreterState &state);

private:
  llvm::LogicalResult check(mlir::func::FuncOp function, llvm::ArrayRef<RankInput> inputs);

  mlir::ModuleOp module;
  const InterpreterOptions options;
  const MeshShape shape;
  const int threadsPerRank;
  mlir::SymbolTable symbols;
  WeightValues weights;
  LocalMesh mesh;
};

} // namespace epigraph::reference

#endif // EPIGRAPH_CODEGEN_REFERENCE_INTERPRETER_H
