// Kernels are followed operation by operation, with the rows that RowExtents gives to the launch's
// operands. What the launch reads is what the kernel's body reads of its arguments: of a weight of
// experts, those that get rows; of a table, the rows that are looked up; of a value that is only
// split, the parts that are used.
#include "passes/schedule/WorkEstimate.h"

#include "dialects/epi/Sampling.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace epigraph;
using Kind = RowExtent::Kind;

/// Operations for each score of attention: its maximum, exponential, sum and quotient.
static constexpr double kSoftmaxFlops = 4;
/// Operations for each element: square and sum, then two products.
static constexpr double kRmsNormFlops = 4;
/// Negation, exponential, sum, quotient.
static constexpr double kSiluFlops = 4;
/// Two products and a sum.
static constexpr double kRopeFlops = 3;
/// Two bounds and their sum on top of a silu, and a product.
static constexpr double kClampedSwigluFlops = 9;

Work &Work::operator+=(const Work &other) {
  flops += other.flops;
  weightBytes += other.weightBytes;
  readBytes += other.readBytes;
  writtenBytes += other.writtenBytes;
  cacheBytes += other.cacheBytes;
  return *this;
}

Traffic &Traffic::operator+=(const Traffic &other) {
  messages += other.messages;
  bytes += other.bytes;
  return *this;
}

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

/// Elements of one row of `value`.
static double rowElements(Value value) {
  return static_cast<double>(RowExtents::getRowElements(typeOf(value)));
}

static double elementBytes(Type type) {
  return static_cast<double>(getElementTypeOrSelf(type).getIntOrFloatBitWidth()) / 8;
}

static double entryBytes(Type cache) {
  if (auto mla = dyn_cast<epi::MlaCacheType>(cache))
    return static_cast<double>(mla.getEntryElements()) * elementBytes(mla.getElementType());
  auto kv = cast<epi::KvCacheType>(cache);
  return static_cast<double>(kv.getEntryElements()) * elementBytes(kv.getElementType());
}

/// Positions that a token of `op` sees.
static double visiblePositions(epi::AttentionOp op, const StepShape &step) {
  int64_t window = op.getWindow().value_or(step.context);
  return static_cast<double>(std::min(window, step.context));
}

static double attentionFlops(epi::AttentionOp op, double rows, const StepShape &step) {
  auto cache = cast<epi::KvCacheType>(op.getCache().getType());
  double heads = static_cast<double>(typeOf(op.getQ()).getDimSize(1));
  double products = 2.0 * static_cast<double>(cache.getKey() + cache.getValue());
  return rows * heads * visiblePositions(op, step) * (products + kSoftmaxFlops);
}

/// The expanded form makes keys and values of each sequence's latent vectors once.
static double mlaFlops(epi::MlaAttentionOp op, double rows, const StepShape &step) {
  auto cache = cast<epi::MlaCacheType>(op.getCache().getType());
  double heads = static_cast<double>(typeOf(op.getQ()).getDimSize(1));
  double context = static_cast<double>(step.context);
  double key = static_cast<double>(typeOf(op.getQ()).getDimSize(2) + cache.getRope());
  double value = static_cast<double>(typeOf(op.getResult()).getDimSize(2));
  double flops = rows * heads * context * (2 * (key + value) + kSoftmaxFlops);
  if (op.getUp())
    flops += 2.0 * static_cast<double>(step.sequences) * context *
             static_cast<double>(typeOf(op.getUp()).getNumElements());
  return flops;
}

double epigraph::countFlops(Operation *op, int64_t count, const StepShape &step) {
  double rows = static_cast<double>(count);
  auto elements = [&](Value value) { return rows * rowElements(value); };
  return llvm::TypeSwitch<Operation *, double>(op)
      .Case<epi::LinearOp, epi::GroupedLinearOp>([&](auto linear) {
        return 2 * elements(linear.getResult()) *
               static_cast<double>(typeOf(linear.getX()).getDimSize(1));
      })
      .Case([&](epi::HeadLinearOp linear) {
        return 2 * elements(linear.getResult()) *
               static_cast<double>(typeOf(linear.getX()).getDimSize(2));
      })
      .Case([&](epi::AttentionOp attention) { return attentionFlops(attention, rows, step); })
      .Case([&](epi::MlaAttentionOp attention) { return mlaFlops(attention, rows, step); })
      .Case([&](epi::ExpertsOp experts) {
        // Of each of a token's experts: three projections, then silu and product of two of them.
        auto gate = typeOf(experts.getGate());
        double inner = static_cast<double>(gate.getDimSize(1));
        double hidden = static_cast<double>(gate.getDimSize(2));
        return elements(experts.getIds()) * inner * (6 * hidden + kSiluFlops + 1);
      })
      .Case([&](epi::RouteOp route) {
        // A score for each expert, then one pass over them for each that is taken.
        return elements(route.getLogits()) * (kSoftmaxFlops + static_cast<double>(route.getTopK()));
      })
      .Case([&](epi::SampleOp sample) { return elements(sample.getX()); })
      .Case([&](epi::UnpermuteOp unpermute) {
        return 2 * elements(unpermute.getResult()) *
               static_cast<double>(typeOf(unpermute.getSlots()).getDimSize(1));
      })
      .Case([&](epi::RmsNormOp norm) { return kRmsNormFlops * elements(norm.getResult()); })
      .Case<epi::SiluOp, epi::SigmoidOp, epi::SoftmaxOp>(
          [&](auto activation) { return kSiluFlops * elements(activation.getResult()); })
      .Case([&](epi::ClampedSwigluOp swiglu) {
        return kClampedSwigluFlops * elements(swiglu.getResult());
      })
      .Case([&](epi::RopeOp rope) { return kRopeFlops * elements(rope.getResult()); })
      .Case<epi::SplitOp, epi::ReshapeOp, epi::ConcatOp, epi::TransposeOp, epi::CastOp,
            epi::EmbeddingOp, epi::PermuteOp, epi::OutputRowsOp, epi::KvAppendOp, epi::HalveRowsOp,
            epi::JoinRowsOp>([](auto) { return 0.0; })
      .Default([&](Operation *other) {
        double flops = 0;
        for (Value result : other->getResults())
          if (isa<RankedTensorType>(result.getType()))
            flops += elements(result);
        return flops;
      });
}

//===----------------------------------------------------------------------===//
// Collectives
//===----------------------------------------------------------------------===//

/// The ranks that take part in a collective along an axis of its mesh.
template <typename Collective> static double ranksOf(Collective op) {
  auto mesh = SymbolTable::lookupNearestSymbolFrom<ep::MeshOp>(op, op.getMeshAttr());
  return mesh ? static_cast<double>(mesh.getSize(op.getAxis())) : 1;
}

Traffic epigraph::countTraffic(Operation *op, int64_t rows) {
  auto bytesOf = [&](Value value) {
    return static_cast<double>(rows) * rowElements(value) * elementBytes(value.getType());
  };
  return llvm::TypeSwitch<Operation *, Traffic>(op)
      .Case<ep::AllGatherOp, ep::GatherColumnsOp>([&](auto gather) {
        double others = ranksOf(gather) - 1; // each gets a copy
        return Traffic{others, others * bytesOf(gather.getX())};
      })
      .Case([&](ep::ReduceScatterOp reduce) {
        double ranks = ranksOf(reduce); // each of the others gets its share
        return Traffic{ranks - 1, (ranks - 1) / ranks * bytesOf(reduce.getX())};
      })
      .Case([&](ep::AllReduceOp reduce) {
        double ranks = ranksOf(reduce); // a reduce-scatter, then an all-gather of the shares
        return Traffic{2 * (ranks - 1), 2 * (ranks - 1) / ranks * bytesOf(reduce.getX())};
      })
      .Case([&](ep::ScatterExpertsOp scatter) {
        double ranks = static_cast<double>(scatter.getPlacement().getRanks());
        double counts = static_cast<double>(typeOf(scatter.getCounts()).getNumElements()) *
                        elementBytes(scatter.getCounts().getType());
        return Traffic{ranks - 1, (ranks - 1) / ranks * (bytesOf(scatter.getRows()) + counts)};
      })
      .Case([&](ep::GatherExpertsOp gather) {
        double ranks = static_cast<double>(gather.getScatter().getPlacement().getRanks());
        return Traffic{ranks - 1, (ranks - 1) / ranks * bytesOf(gather.getRows())};
      })
      .Default([](Operation *) { return Traffic(); });
}

//===----------------------------------------------------------------------===//
// Launches
//===----------------------------------------------------------------------===//

int64_t WorkEstimate::rows(RowExtent extent) const {
  // Chosen evenly, experts get from all ranks as many rows as each rank sends.
  int64_t factor = 1;
  while (extent.kind == Kind::Received) {
    factor *= extent.factor;
    extent = extents.getExchanges()[extent.exchange].sent;
  }
  switch (extent.kind) {
  case Kind::Static:
    return factor * extent.factor;
  case Kind::Tokens:
    return factor * extent.count(step.tokens);
  case Kind::Outputs:
    return factor * step.outputs * extent.factor;
  case Kind::LocalTokens: {
    int64_t ranks = extent.axis == ep::Axis::Expert ? expertRanks : tensorRanks;
    return factor * extent.count(static_cast<int64_t>(llvm::divideCeil(step.tokens, ranks)));
  }
  case Kind::Received:
    break;
  }
  llvm_unreachable("all kinds of rows are covered");
}

namespace {

bool isView(Operation *op) { return isa<epi::SplitOp, epi::ReshapeOp>(op); }

/// Elements of one row of `value` that a body reads: all of them, unless it only splits it.
double readRowElements(Value value) {
  double sum = 0;
  for (Operation *user : value.getUsers()) {
    if (!isView(user))
      return rowElements(value);
    for (Value part : user->getResults())
      sum += readRowElements(part);
  }
  return std::min(sum, rowElements(value));
}

/// The bytes that a body reads of its argument, a weight.
double weightBytesRead(BlockArgument weight, int64_t launchRows) {
  auto type = typeOf(weight);
  double bytes = static_cast<double>(type.getNumElements()) * elementBytes(type);
  double first = type.getRank() ? static_cast<double>(type.getDimSize(0)) : 1;
  double share = 0;
  for (OpOperand &use : weight.getUses()) {
    // Rows of a table, or experts, that `launchRows` rows can ask for at most.
    bool lookedUp = isa<epi::EmbeddingOp, epi::RopeOp, epi::GroupedLinearOp>(use.getOwner()) &&
                    use.getOperandNumber() != 0;
    share = std::max(share, lookedUp ? std::min(1.0, static_cast<double>(launchRows) / first) : 1);
  }
  return bytes * share;
}

/// The bytes that pass between a body and the cache that is its argument.
double cacheBytesOf(BlockArgument cache, int64_t rows, const StepShape &step) {
  double bytes = 0, entry = entryBytes(cache.getType());
  for (Operation *user : cache.getUsers()) {
    if (isa<epi::KvAppendOp>(user))
      bytes += static_cast<double>(rows) * entry;
    else if (auto attention = dyn_cast<epi::AttentionOp>(user))
      bytes += static_cast<double>(step.sequences) * visiblePositions(attention, step) * entry;
    else if (isa<epi::MlaAttentionOp>(user))
      bytes += static_cast<double>(step.sequences * step.context) * entry;
  }
  return bytes;
}

} // namespace

/// Every operation of a body counts on the launch's rows, but those on permuted rows on theirs.
Work WorkEstimate::estimate(exec::LaunchOp launch) const {
  auto kernel =
      SymbolTable::lookupNearestSymbolFrom<exec::KernelOp>(launch, launch.getKernelAttr());
  Block &body = kernel.getBody().front();
  int64_t launchRows = rows(extents.ofLaunch(launch));
  Work work;
  for (Operation &op : body.without_terminator())
    work.flops += countFlops(&op, launchRows, step);
  for (auto [argument, operand] : llvm::zip_equal(body.getArguments(), launch.getInputs())) {
    auto type = dyn_cast<RankedTensorType>(operand.getType());
    if (isa<epi::KvCacheType, epi::MlaCacheType>(operand.getType()))
      work.cacheBytes += cacheBytesOf(argument, launchRows, step);
    else if (type && operand.getDefiningOp<exec::LoadWeightOp>())
      work.weightBytes += weightBytesRead(argument, launchRows);
    else if (type)
      work.readBytes += static_cast<double>(rows(extents.of(operand))) * readRowElements(argument) *
                        elementBytes(type);
  }
  for (Value result : launch.getResults())
    if (auto type = dyn_cast<RankedTensorType>(result.getType()))
      work.writtenBytes +=
          static_cast<double>(rows(extents.of(result))) * rowElements(result) * elementBytes(type);
  return work;
}

FailureOr<WorkEstimate> WorkEstimate::compute(func::FuncOp function, const StepShape &step) {
  FailureOr<RowExtents> extents = RowExtents::compute(function);
  if (failed(extents))
    return failure();
  WorkEstimate result(std::move(*extents), step);
  for (auto mesh : function->getParentOfType<ModuleOp>().getOps<ep::MeshOp>()) {
    result.expertRanks = mesh.getExpert();
    result.tensorRanks = mesh.getTensor();
  }
  for (Operation &op : function.getOps()) {
    if (auto launch = dyn_cast<exec::LaunchOp>(op)) {
      result.launches[launch] = result.estimate(launch);
    } else if (op.getDialect() && op.getDialect()->getNamespace() == "ep" &&
               op.getNumOperands() != 0 && isa<RankedTensorType>(op.getOperand(0).getType())) {
      result.collectives[&op] = countTraffic(&op, result.rows(result.extents.of(op.getOperand(0))));
    }
  }
  return result;
}

Work WorkEstimate::total() const {
  Work sum;
  for (const auto &[launch, work] : launches)
    sum += work;
  return sum;
}
