// Norm, projection to the logits of experts, routing and permutation. Few tokens take one launch
// (RouterBlock.h); more take those that the operations have by themselves (KernelParts.h): the
// rows, the projection, and routing with the permutation.
#include "codegen/cuda/KernelBuilders.h"
#include "codegen/cuda/KernelParts.h"
#include "codegen/cuda/RouterBlock.h"

using namespace mlir;

namespace epigraph::cuda {
namespace {

/// Numbers of tokens up to which there is a form of its own.
constexpr int64_t kFewTokens[] = {1, 2, 4};
/// Choices of all of these tokens: a lane orders one.
constexpr int64_t kMostChoices = 32;
/// Blocks of the cluster: as many as every GPU has room for together.
constexpr int64_t kBlocks = 8;

/// The operations of the kernel, by part.
struct RouterOps {
  epi::PermuteOp permute;
  epi::RouteOp route;
  epi::LinearOp projection;
  SmallVector<Operation *> ofRows;        ///< what the projection and the permutation read
  SmallVector<Operation *> ofPermutation; ///< with the routing and what reads the permuted rows

  explicit RouterOps(epi::PermuteOp op) : permute(op) {
    route = permute.getIds().getDefiningOp<epi::RouteOp>();
    projection = route.getLogits().getDefiningOp<epi::LinearOp>();
    for (Operation &other : op->getBlock()->without_terminator()) {
      const bool isPermuted = &other == route || &other == permute ||
                              llvm::is_contained(other.getOperands(), permute.getRows());
      if (&other != projection)
        (isPermuted ? ofPermutation : ofRows).push_back(&other);
    }
  }
};

/// How a cluster shares the projection of `tokens`; none if it cannot, or has no room for the
/// weights.
std::optional<RouterLayout> layoutFor(KernelAssembly &assembly, const RouterProblem &problem,
                                      int64_t tokens) {
  const TensorView &weights = problem.weights;
  const RouterLayout layout{tokens, kBlocks, weights.shape[0], weights.shape[1]};
  if (tokens * problem.topK() > kMostChoices || layout.experts % (layout.blocks * 16) ||
      layout.depth % 32 || !fitsRegisters(problem, layout))
    return std::nullopt;
  if (routerSharedBytes(assembly.kernel, problem, layout) > assembly.target.sharedBytes)
    return std::nullopt;
  return layout;
}

bool isOf(Value value, llvm::function_ref<bool(Type)> is) {
  return is(cast<RankedTensorType>(value.getType()).getElementType());
}

/// Whether `op` is one of the operations on rows that a cluster computes: sums before the norm, the
/// norm, and quantizations of what it gives.
bool isOfCluster(Operation *op, epi::RmsNormOp norm, epi::PermuteOp permute) {
  if (auto quantize = dyn_cast<epi::QuantizeOp>(op))
    return quantize.getX() == norm.getResult() || quantize.getX() == permute.getRows();
  return op == norm || isa<epi::AddOp, epi::RouteOp, epi::PermuteOp>(op);
}

/// What a launch of a cluster computes; none if it cannot.
FailureOr<std::optional<RouterProblem>> describe(KernelAssembly &assembly, const RouterOps &ops) {
  epi::LinearOp linear = ops.projection;
  epi::PermuteOp permute = ops.permute;
  FailureOr<Routing> routing = Routing::describe(assembly, ops.route);
  FailureOr<unsigned> logits = assembly.yieldedAs(linear, linear.getResult());
  FailureOr<unsigned> slots = assembly.yieldedAs(permute, permute.getSlots());
  FailureOr<unsigned> counts = assembly.yieldedAs(permute, permute.getCounts());
  FailureOr<TensorView> weights = assembly.view(linear, linear.getW(), "w");
  if (failed(routing) || failed(logits) || failed(slots) || failed(counts) || failed(weights))
    return failure();
  auto norm = linear.getX().getDefiningOp<epi::RmsNormOp>();
  auto isKnown = [&](Operation *op) { return isOfCluster(op, norm, permute); };
  const bool fits = norm && permute.getX() == norm.getResult() &&
                    llvm::all_of(ops.ofRows, isKnown) && llvm::all_of(ops.ofPermutation, isKnown) &&
                    weights->isContiguous() && isOf(linear.getX(), llvm::IsaPred<BFloat16Type>) &&
                    isOf(linear.getW(), llvm::IsaPred<BFloat16Type>) &&
                    isOf(linear.getResult(), llvm::IsaPred<Float32Type>);
  if (!fits)
    return std::optional<RouterProblem>();
  return std::optional(RouterProblem{norm.getResult(), permute.getRows(), *routing, *weights,
                                     *logits, *slots, *counts});
}

/// Adds the launches of clusters. Returns up to how many tokens there is one.
FailureOr<int64_t> addFewTokens(KernelAssembly &assembly, const RouterOps &ops) {
  const FailureOr<std::optional<RouterProblem>> problem = describe(assembly, ops);
  if (failed(problem))
    return failure();
  int64_t most = 0;
  if (!*problem)
    return most;
  for (int64_t tokens : kFewTokens) {
    const std::optional<RouterLayout> layout = layoutFor(assembly, **problem, tokens);
    if (!layout)
      return most;
    assembly.beginVariant(tokens);
    if (failed(addRouter(assembly, **problem, *layout, "of_" + std::to_string(tokens))))
      return failure();
    most = tokens;
  }
  return most;
}

} // namespace

LogicalResult buildRouter(KernelAssembly &assembly, epi::PermuteOp op) {
  const RouterOps ops(op);
  const FailureOr<int64_t> fewTokens = addFewTokens(assembly, ops);
  if (failed(fewTokens))
    return failure();
  SmallVector<DeviceKernel> parts;
  auto addPart = [&](ArrayRef<Operation *> members, StringRef suffix) -> LogicalResult {
    if (members.empty())
      return success();
    FailureOr<DeviceKernel> part = buildPart(assembly, members, suffix);
    if (succeeded(part))
      parts.push_back(std::move(*part));
    return part;
  };
  epi::LinearOp projection = ops.projection;
  if (failed(addPart(ops.ofRows, "rows")) || failed(addPart(projection.getOperation(), "logits")) ||
      failed(addPart(ops.ofPermutation, "permute")))
    return failure();
  addParts(assembly, parts, *fewTokens);
  return success();
}

} // namespace epigraph::cuda
