// One walk over each function in order. An operation's kernel is built from its operands backwards:
// views are cloned into it, and what they view becomes an argument; the body of a fusion group is
// spliced in behind them. Cost: linear. Unused views are erased at the end.
#include "dialects/epi/Sampling.h"
#include "dialects/exec/Exec.h"
#include "passes/PassRemarks.h"
#include "passes/schedule/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/StringSet.h"

namespace epigraph {
#define GEN_PASS_DEF_OUTLINEKERNELSPASS
#include "passes/schedule/Passes.h.inc"
} // namespace epigraph

using namespace mlir;
using namespace epigraph;

namespace {

bool isView(Operation *op) { return isa_and_nonnull<epi::SplitOp, epi::ReshapeOp>(op); }

/// Operations that move rows between ranks, which the runtime does itself.
bool isExchange(Operation &op) {
  return isa<ep::ShardRowsOp, ep::ShardColumnsOp, ep::AllGatherOp, ep::AllReduceOp,
             ep::ReduceScatterOp, ep::GatherColumnsOp, ep::ScatterExpertsOp, ep::GatherExpertsOp>(
      op);
}

/// Operations that are part of a schedule as they are.
bool isScheduled(Operation &op) {
  return isa<exec::LoadWeightOp, exec::LaunchOp, epi::KvCacheOp, ep::WaitOp>(op);
}

/// Operations that codegen builds a kernel around.
bool isCompute(Operation &op) {
  return isa<epi::FusedOp, epi::LinearOp, epi::HeadLinearOp, epi::GroupedLinearOp, epi::EmbeddingOp,
             epi::RopeOp, epi::KvAppendOp, epi::AttentionOp, epi::MlaAttentionOp, epi::RouteOp,
             epi::PermuteOp, epi::UnpermuteOp, epi::OutputRowsOp, epi::SampleOp, epi::AddOp,
             epi::MulOp, epi::SiluOp, epi::SigmoidOp, epi::SoftmaxOp, epi::ClampedSwigluOp,
             epi::CastOp, epi::QuantizeOp, epi::RmsNormOp, epi::ConcatOp, epi::HalveRowsOp,
             epi::JoinRowsOp, ep::AssignReplicasOp, ep::DispatchSendOp, ep::DispatchReceiveOp,
             ep::CombineSendOp, ep::CombineReceiveOp>(op);
}

/// Why an operation that no kernel can be built around stands here.
StringRef explainLeftover(Operation &op) {
  if (isa<epi::WeightOp, epi::WeightStackOp, epi::RopeTableOp, ep::LocalExpertsOp, ep::LocalShardOp,
          ep::ReplicaTableOp>(op))
    return "weights must be hoisted first (--exec-hoist-weights)";
  if (isa<epi::ExpertsOp>(op))
    return "experts must be partitioned first (--ep-partition-experts)";
  if (isa<ep::DispatchOp, ep::CombineOp>(op))
    return "dispatches must be decomposed first (--ep-decompose-dispatch)";
  return "there is no kernel for it";
}

/// A kernel under construction: arguments are added as they are met.
class KernelBody {
public:
  explicit KernelBody(exec::KernelOp kernel)
      : kernel(kernel), builder(OpBuilder::atBlockEnd(&kernel.getBody().emplaceBlock())) {}

  /// The value in the body that stands for `value`, seen through clones of its views.
  Value import(Value value) {
    if (Value known = mapping.lookupOrNull(value))
      return known;
    Operation *op = value.getDefiningOp();
    if (isView(op)) {
      import(op->getOperand(0));
      builder.clone(*op, mapping);
      ++views;
    } else {
      inputs.push_back(value);
      mapping.map(value, builder.getBlock()->addArgument(value.getType(), value.getLoc()));
    }
    return mapping.lookup(value);
  }

  /// Appends `op`, or its body if it is a fusion group; returns its results in the body.
  SmallVector<Value> append(Operation &op) {
    for (Value operand : op.getOperands())
      import(operand);
    auto fused = dyn_cast<epi::FusedOp>(op);
    if (!fused)
      return llvm::to_vector_of<Value>(builder.clone(op, mapping)->getResults());
    Block &group = fused.getBody().front();
    for (auto [argument, input] : llvm::zip_equal(group.getArguments(), fused.getInputs()))
      mapping.map(argument, mapping.lookup(input));
    for (Operation &inner : group.without_terminator())
      builder.clone(inner, mapping);
    return llvm::map_to_vector(group.getTerminator()->getOperands(),
                               [&](Value value) { return mapping.lookup(value); });
  }

  /// Ends the kernel with `results`.
  exec::KernelOp finish(ValueRange results) {
    exec::YieldOp::create(builder, kernel.getLoc(), results);
    kernel.setFunctionType(
        builder.getFunctionType(builder.getBlock()->getArgumentTypes(), results.getTypes()));
    return kernel;
  }

  /// What a launch gives the kernel, one for each argument.
  ArrayRef<Value> getInputs() const { return inputs; }
  unsigned getNumViews() const { return views; }

private:
  exec::KernelOp kernel;
  OpBuilder builder;
  IRMapping mapping;
  SmallVector<Value> inputs;
  unsigned views = 0;
};

/// Makes kernels and names them.
class KernelTable {
public:
  explicit KernelTable(ModuleOp module, Operation *insertionPoint) : builder(insertionPoint) {
    for (auto kernel : module.getOps<exec::KernelOp>())
      names.insert(kernel.getSymName());
  }

  /// An empty kernel, called "STEM_N", to be finished.
  KernelBody begin(StringRef stem, Location loc) {
    return KernelBody(
        exec::KernelOp::create(builder, loc, uniqueName(stem), builder.getFunctionType({}, {})));
  }

private:
  std::string uniqueName(StringRef stem) {
    std::string name;
    do
      name = (stem + "_" + Twine(next[stem]++)).str();
    while (!names.insert(name).second);
    return name;
  }

  OpBuilder builder;
  llvm::StringSet<> names;
  llvm::StringMap<unsigned> next;
};

struct OutlineKernelsPass : epigraph::impl::OutlineKernelsPassBase<OutlineKernelsPass> {
  void runOnOperation() override {
    numLaunches = numViews = numCopies = 0;
    auto functions = getOperation().getOps<func::FuncOp>();
    if (functions.empty())
      return;
    KernelTable kernels(getOperation(), *functions.begin());
    for (auto function : functions)
      if (failed(outline(function, kernels)))
        return signalPassFailure();
    reportStatistics(*this, getOperation())
        << metric("launches", numLaunches) << metric("views", numViews)
        << metric("copies", numCopies);
  }

  LogicalResult outline(func::FuncOp function, KernelTable &kernels) {
    SmallVector<Operation *> views;
    llvm::DenseMap<Value, Value> copies;
    for (Operation &op : llvm::make_early_inc_range(function.getOps())) {
      if (isView(&op))
        views.push_back(&op);
      else if (isCompute(op))
        launch(op, kernels);
      else if (isExchange(op) || isa<func::ReturnOp>(op))
        copyViewedOperands(op, kernels, copies);
      else if (!isScheduled(op))
        return op.emitOpError("cannot become a kernel: ") << explainLeftover(op);
    }
    for (Operation *view : llvm::reverse(views))
      view->erase();
    return success();
  }

  /// Replaces `op` by a launch of its kernel.
  void launch(Operation &op, KernelTable &kernels) {
    auto fused = dyn_cast<epi::FusedOp>(op);
    StringRef stem = fused ? fused.getName() : op.getName().stripDialect();
    KernelBody body = kernels.begin(stem, op.getLoc());
    exec::KernelOp kernel = body.finish(body.append(op));
    OpBuilder builder(&op);
    auto launch = exec::LaunchOp::create(builder, op.getLoc(), op.getResultTypes(),
                                         kernel.getSymName(), body.getInputs());
    op.replaceAllUsesWith(launch.getResults());
    op.erase();
    ++numLaunches;
    numViews += body.getNumViews();
  }

  /// Exchanges and returns need values that lie in memory as their type says, so a view is copied
  /// for them.
  void copyViewedOperands(Operation &op, KernelTable &kernels,
                          llvm::DenseMap<Value, Value> &copies) {
    for (OpOperand &operand : op.getOpOperands()) {
      Value view = operand.get();
      if (!isView(view.getDefiningOp()))
        continue;
      Value &copy = copies[view];
      if (!copy) {
        KernelBody body = kernels.begin("copy", view.getLoc());
        exec::KernelOp kernel = body.finish(body.import(view));
        OpBuilder builder(&op);
        copy = exec::LaunchOp::create(builder, view.getLoc(), view.getType(), kernel.getSymName(),
                                      body.getInputs())
                   .getResult(0);
        ++numLaunches;
        ++numCopies;
      }
      operand.set(copy);
    }
  }

  size_t numLaunches = 0, numViews = 0, numCopies = 0;
};

} // namespace
