#include "codegen/reference/TensorOps.h"

#include "codegen/reference/Dense.h"
#include "codegen/reference/Experts.h"
#include "codegen/reference/Quantization.h"
#include "codegen/reference/Replicas.h"
#include "codegen/reference/RopeTable.h"
#include "codegen/reference/Structure.h"
#include "dialects/exec/Exec.h"
#include "runtime/base/Status.h"
#include "llvm/ADT/TypeSwitch.h"

namespace epigraph::reference {
namespace {

using Results = absl::StatusOr<std::optional<TensorRefs>>;

/// A tensor, or the error of the function that made it, as the results of an operation.
Results one(absl::StatusOr<Tensor> tensor) {
  if (!tensor.ok())
    return tensor.status();
  return TensorRefs{shared(*std::move(tensor))};
}

/// The operands of one operation, read in order.
class Arguments {
public:
  explicit Arguments(llvm::ArrayRef<TensorRef> operands) : operands(operands) {}
  const Tensor &operator[](size_t index) const { return *operands[index]; }
  TensorRef shared(size_t index) const { return operands[index]; }
  llvm::SmallVector<const Tensor *> all() const {
    return llvm::map_to_vector(operands, [](const TensorRef &ref) { return ref.get(); });
  }

private:
  llvm::ArrayRef<TensorRef> operands;
};

/// The shape of a result whose first dimension may be dynamic, of `elements` elements.
Shape shapeOf(mlir::Type type, int64_t elements) {
  auto tensor = llvm::cast<mlir::RankedTensorType>(type);
  Shape shape(tensor.getShape().begin(), tensor.getShape().end());
  int64_t known = 1;
  for (int64_t size : shape)
    known *= mlir::ShapedType::isDynamic(size) ? 1 : size;
  for (int64_t &size : shape)
    if (mlir::ShapedType::isDynamic(size))
      size = known == 0 ? 0 : elements / known;
  return shape;
}

RopeTableOptions optionsOf(epi::RopeTableOp op) {
  auto type = llvm::cast<mlir::RankedTensorType>(op.getType());
  RopeTableOptions options{type.getDimSize(0),
                           type.getDimSize(1),
                           op.getTheta().convertToDouble(),
                           op.getMagnitude().convertToDouble(),
                           std::nullopt,
                           std::nullopt};
  if (std::optional<epi::YarnAttr> yarn = op.getYarn())
    options.yarn = Yarn{yarn->getFactor().getValueAsDouble(), yarn->getOriginal(),
                        yarn->getBetaFast().getValueAsDouble(),
                        yarn->getBetaSlow().getValueAsDouble(), yarn->getTruncate()};
  if (std::optional<epi::Llama3RopeAttr> llama3 = op.getLlama3())
    options.llama3 = Llama3Rope{llama3->getFactor().getValueAsDouble(), llama3->getOriginal(),
                                llama3->getLowFreqFactor().getValueAsDouble(),
                                llama3->getHighFreqFactor().getValueAsDouble()};
  return options;
}

Results evaluateSplit(epi::SplitOp op, const Tensor &x) {
  auto dim = static_cast<unsigned>(op.getDim());
  llvm::SmallVector<int64_t> sizes = llvm::map_to_vector(op.getResultTypes(), [&](mlir::Type type) {
    return llvm::cast<mlir::RankedTensorType>(type).getDimSize(dim);
  });
  TensorRefs results;
  for (Tensor &part : split(x, dim, {sizes.data(), sizes.size()}))
    results.push_back(shared(std::move(part)));
  return results;
}

Score scoreOf(epi::ScoreFunction score) {
  switch (score) {
  case epi::ScoreFunction::Sigmoid:
    return Score::Sigmoid;
  case epi::ScoreFunction::Softmax:
    return Score::Softmax;
  case epi::ScoreFunction::Identity:
    return Score::Identity;
  }
  llvm_unreachable("all score functions are covered");
}

SwigluClamp clampOf(epi::ClampedSwigluAttr clamp) {
  return {clamp.getAlpha().getValueAsDouble(), clamp.getLimit().getValueAsDouble()};
}

Results evaluateExperts(epi::ExpertsOp op, const Arguments &operand, const Workers &workers) {
  ExpertWeights network{.gate = operand[3], .up = operand[4], .down = operand[5]};
  if (!op.getBiases().empty()) {
    network.gateBias = &operand[6];
    network.upBias = &operand[7];
    network.downBias = &operand[8];
  }
  if (std::optional<epi::ClampedSwigluAttr> clamp = op.getClamp())
    network.clamp = clampOf(*clamp);
  return one(experts(operand[0], operand[1], operand[2], network, workers));
}

Results evaluateRoute(epi::RouteOp op, const Arguments &operand) {
  RouteOptions options{
      .score = scoreOf(op.getScore()),
      .groupScoreTop2 = op.getGroupScore() == epi::GroupScore::Top2Sum,
      .normalize = op.getNormalize(),
      .topK = static_cast<int64_t>(op.getTopK()),
      .groups = static_cast<int64_t>(op.getGroups()),
      .topGroups = static_cast<int64_t>(op.getTopGroups()),
      .scale = op.getScale().convertToDouble(),
  };
  EPIGRAPH_ASSIGN_OR_RETURN(Routing routing,
                            route(operand[0], op.getBias() ? &operand[1] : nullptr, options));
  return TensorRefs{shared(std::move(routing.ids)), shared(std::move(routing.weights))};
}

Results evaluatePermute(epi::PermuteOp op, const Arguments &operand) {
  int64_t experts = llvm::cast<mlir::RankedTensorType>(op.getCounts().getType()).getDimSize(0);
  EPIGRAPH_ASSIGN_OR_RETURN(Permutation result, permute(operand[0], operand[1], experts));
  return TensorRefs{shared(std::move(result.rows)), shared(std::move(result.slots)),
                    shared(std::move(result.counts))};
}

/// An operand and its scales, if it has any, as one tensor.
Tensor scaled(const Arguments &operand, size_t index, std::optional<size_t> scales,
              ScaleBlock block) {
  return scales ? dequantize(operand[index], operand[*scales], block) : operand[index];
}

/// Where in an operation's operands `value` is, which may be absent.
std::optional<size_t> indexOf(mlir::Operation *op, mlir::Value value) {
  if (!value)
    return std::nullopt;
  return std::distance(op->operand_begin(), llvm::find(op->getOperands(), value));
}

Results evaluateLinear(epi::LinearOp op, const Arguments &operand, const Workers &workers) {
  if (!op.getWScale())
    return one(linear(operand[0], operand[1], workers));
  Tensor x = scaled(operand, 0, indexOf(op, op.getXScale()), {1, epi::kScaleBlock});
  Tensor w = scaled(operand, 1, indexOf(op, op.getWScale()), {epi::kScaleBlock, epi::kScaleBlock});
  return one(linear(x, w, workers));
}

Results evaluateGroupedLinear(epi::GroupedLinearOp op, const Arguments &operand,
                              const Workers &workers) {
  const Tensor *bias = op.getBias() ? &operand[3] : nullptr;
  if (!op.getWScale())
    return one(groupedLinear(operand[0], operand[1], operand[2], bias, workers));
  Tensor x = scaled(operand, 0, indexOf(op, op.getXScale()), {1, epi::kScaleBlock});
  Tensor w = scaled(operand, 2, indexOf(op, op.getWScale()), {epi::kScaleBlock, epi::kScaleBlock});
  return one(groupedLinear(x, operand[1], w, bias, workers));
}

Results evaluateQuantize(epi::QuantizeOp op, const Tensor &x) {
  Quantized result = quantize(x, op.getBlock()[1], epi::kLeastAmax, epi::kLargestF8E4M3);
  return TensorRefs{shared(std::move(result.values)), shared(std::move(result.scales))};
}

} // namespace

absl::StatusOr<std::optional<TensorRefs>>
evaluateTensorOp(mlir::Operation *op, llvm::ArrayRef<TensorRef> operands, const Workers &workers) {
  Arguments operand(operands);
  auto toSpan = [](llvm::ArrayRef<int64_t> values) {
    return absl::Span<const int64_t>(values.data(), values.size());
  };
  auto same = [&](mlir::Operation *) { return Results(TensorRefs{operand.shared(0)}); };
  return llvm::TypeSwitch<mlir::Operation *, Results>(op)
      .Case([&](epi::LinearOp product) { return evaluateLinear(product, operand, workers); })
      .Case([&](epi::HeadLinearOp) { return one(headLinear(operand[0], operand[1], workers)); })
      .Case([&](epi::EmbeddingOp) { return one(embedding(operand[0], operand[1])); })
      .Case([&](epi::RmsNormOp norm) {
        return one(rmsNorm(operand[0], operand[1], norm.getEps().convertToDouble()));
      })
      .Case([&](epi::RopeTableOp table) { return one(ropeTable(optionsOf(table))); })
      .Case([&](epi::AddOp) { return one(add(operand[0], operand[1])); })
      .Case([&](epi::MulOp) { return one(mul(operand[0], operand[1])); })
      .Case([&](epi::SiluOp) { return one(silu(operand[0])); })
      .Case([&](epi::SigmoidOp) { return one(sigmoid(operand[0])); })
      .Case([&](epi::SoftmaxOp) { return one(softmax(operand[0])); })
      .Case([&](epi::ClampedSwigluOp gated) {
        return one(clampedSwiglu(operand[0], operand[1], clampOf(gated.getClamp())));
      })
      // Element types change nothing in float32; the evaluator rounds where it is asked to.
      .Case<epi::CastOp, exec::PackOp>(same)
      .Case([&](epi::ReshapeOp reshape) {
        Tensor copy = operand[0];
        Shape shape = shapeOf(reshape.getType(), copy.elements());
        return one(std::move(copy).reshaped(std::move(shape)));
      })
      .Case([&](epi::TransposeOp turn) {
        return one(transpose(operand[0], toSpan(turn.getPermutation())));
      })
      .Case([&](epi::SplitOp split) { return evaluateSplit(split, operand[0]); })
      .Case([&](epi::ConcatOp join) {
        auto parts = operand.all();
        return one(concat({parts.data(), parts.size()}, static_cast<int64_t>(join.getDim())));
      })
      .Case([&](epi::HalveRowsOp) {
        int64_t rows = operand[0].rows(), first = rows - rows / 2;
        return Results(TensorRefs{shared(sliceRows(operand[0], 0, first)),
                                  shared(sliceRows(operand[0], first, rows))});
      })
      .Case([&](epi::JoinRowsOp) { return one(concat({&operand[0], &operand[1]}, 0)); })
      .Case([&](epi::RouteOp route) { return evaluateRoute(route, operand); })
      .Case([&](epi::ExpertsOp routed) { return evaluateExperts(routed, operand, workers); })
      .Case([&](epi::PermuteOp permute) { return evaluatePermute(permute, operand); })
      .Case([&](ep::AssignReplicasOp) { return one(assignReplicas(operand[0], operand[1])); })
      .Case([&](epi::UnpermuteOp) { return one(unpermute(operand[0], operand[1], operand[2])); })
      .Case([&](epi::GroupedLinearOp product) {
        return evaluateGroupedLinear(product, operand, workers);
      })
      .Case([&](epi::DequantizeOp op) {
        return one(dequantize(operand[0], operand[1], {op.getBlock()[0], op.getBlock()[1]}));
      })
      .Case([&](epi::QuantizeOp op) { return evaluateQuantize(op, operand[0]); })
      .Default([](mlir::Operation *) { return Results(std::nullopt); });
}

} // namespace epigraph::reference
