#include "codegen/cuda/LinearProblem.h"

#include "codegen/cuda/LaunchOrder.h"

using namespace mlir;

namespace epigraph::cuda {
namespace {

/// Reads the operands of one projection, and keeps what went wrong.
class Reader {
public:
  Reader(KernelAssembly &assembly, Operation *op) : assembly(assembly), op(op) {}

  LogicalResult read(TensorView &into, Value operand, StringRef name) {
    FailureOr<TensorView> view = assembly.view(op, operand, name);
    if (failed(view))
      return failure();
    into = *view;
    return success();
  }

  LogicalResult readOptional(std::optional<TensorView> &into, Value operand, StringRef name) {
    return operand ? read(into.emplace(), operand, name) : success();
  }

  /// x in rows along K.
  LogicalResult readX(LinearProblem &problem, Value x) {
    if (failed(read(problem.x, x, "x")))
      return failure();
    if (problem.x.hasRows && (problem.x.strides.back() == 1 || problem.x.shape.back() == 1))
      return success();
    return op->emitError("CUDA kernel @")
           << assembly.kernel.getSymName()
           << " needs x with a dynamic number of rows whose last dimension is contiguous";
  }

  /// Matrices one after the other.
  LogicalResult readContiguous(TensorView &into, Value operand, StringRef name) {
    if (failed(read(into, operand, name)))
      return failure();
    if (into.isContiguous() && !into.hasRows)
      return success();
    return op->emitError("CUDA kernel @") << assembly.kernel.getSymName() << " needs a contiguous '"
                                          << name << "' of static shape; got " << operand.getType();
  }

  LogicalResult readContiguousOptional(std::optional<TensorView> &into, Value operand,
                                       StringRef name) {
    return operand ? readContiguous(into.emplace(), operand, name) : success();
  }

  /// Scales of x lie by columns over the room of a whole buffer: no part of one is such a matrix.
  LogicalResult readXScale(LinearProblem &problem, Value scale) {
    if (!scale || isa<BlockArgument>(scale))
      return readOptional(problem.xScale, scale, "x_scale");
    return op->emitError("CUDA kernel @")
           << assembly.kernel.getSymName() << " needs the scales of x as an argument of its own";
  }

private:
  KernelAssembly &assembly;
  Operation *op;
};

template <typename Op> LinearProblem begin(Op op, LinearKind kind) {
  auto w = cast<RankedTensorType>(op.getW().getType());
  LinearProblem problem;
  problem.kind = kind;
  problem.op = op;
  problem.matrices = w.getRank() == 3 ? w.getDimSize(0) : 1;
  problem.outputs = w.getDimSize(w.getRank() - 2);
  problem.depth = w.getShape().back();
  return problem;
}

} // namespace

Type LinearProblem::resultType() const {
  return cast<RankedTensorType>(op->getResult(0).getType()).getElementType();
}

int64_t LinearProblem::xRowBytes() const { return x.rowStride * bytesOf(x.elementType); }

FailureOr<LinearProblem> LinearProblem::create(KernelAssembly &assembly, epi::LinearOp op) {
  LinearProblem problem = begin(op, LinearKind::Linear);
  Reader reader(assembly, op);
  if (failed(reader.readX(problem, op.getX())) ||
      failed(reader.readContiguous(problem.w, op.getW(), "w")) ||
      failed(reader.readXScale(problem, op.getXScale())) ||
      failed(reader.readContiguousOptional(problem.wScale, op.getWScale(), "w_scale")))
    return failure();
  return problem;
}

FailureOr<LinearProblem> LinearProblem::create(KernelAssembly &assembly, epi::GroupedLinearOp op) {
  LinearProblem problem = begin(op, LinearKind::Grouped);
  Reader reader(assembly, op);
  if (failed(reader.readX(problem, op.getX())) ||
      failed(reader.readContiguous(problem.w, op.getW(), "w")) ||
      failed(reader.readContiguous(problem.counts.emplace(), op.getCounts(), "counts")) ||
      failed(reader.readXScale(problem, op.getXScale())) ||
      failed(reader.readContiguousOptional(problem.wScale, op.getWScale(), "w_scale")) ||
      failed(reader.readContiguousOptional(problem.bias, op.getBias(), "bias")))
    return failure();
  problem.hasOldCounts = followsProjectionOfGroups(assembly.kernel, problem.counts->argument);
  return problem;
}

FailureOr<LinearProblem> LinearProblem::create(KernelAssembly &assembly, epi::HeadLinearOp op) {
  LinearProblem problem = begin(op, LinearKind::Heads);
  Reader reader(assembly, op);
  if (failed(reader.readX(problem, op.getX())) ||
      failed(reader.readContiguous(problem.w, op.getW(), "w")))
    return failure();
  return problem;
}

} // namespace epigraph::cuda
