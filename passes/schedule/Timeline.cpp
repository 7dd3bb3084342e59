#include "passes/schedule/Timeline.h"

#include "passes/schedule/UnderWay.h"

#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace epigraph;
using Kind = TimedStep::Kind;

namespace {

/// The device and the link while steps run.
struct Clock {
  double device = 0, link = 0; ///< when each is free
  llvm::SmallVector<double> finished;

  explicit Clock(size_t steps) : finished(steps) {}

  /// When `step` can start: its inputs are there, and the device is free to start it.
  double startOf(const TimedStep &step) const {
    double start = device;
    for (unsigned before : step.after)
      start = std::max(start, finished[before]);
    return start;
  }

  void run(unsigned index, const TimedStep &step) {
    double start = startOf(step);
    if (step.kind == Kind::Compute) {
      device = finished[index] = start + step.ns;
      return;
    }
    link = finished[index] = std::max(start, link) + step.ns;
    device = step.kind == Kind::Exchange ? start : link;
  }
};

/// The most time of exchanges on any way from each step to the end, its own included.
SmallVector<double> exchangeBehind(ArrayRef<TimedStep> steps) {
  SmallVector<double> behind(steps.size());
  for (size_t i = steps.size(); i-- != 0;) {
    if (steps[i].kind != Kind::Compute)
      behind[i] += steps[i].ns;
    for (unsigned before : steps[i].after)
      behind[before] = std::max(behind[before], behind[i]);
  }
  return behind;
}

} // namespace

double epigraph::timeOf(ArrayRef<TimedStep> steps, ArrayRef<unsigned> order) {
  Clock clock(steps.size());
  for (unsigned index : order)
    clock.run(index, steps[index]);
  return std::max(clock.device, clock.link);
}

double epigraph::timeWithoutOverlap(ArrayRef<TimedStep> steps) {
  double sum = 0;
  for (const TimedStep &step : steps)
    sum += step.ns;
  return sum;
}

SmallVector<unsigned> epigraph::scheduleSteps(ArrayRef<TimedStep> steps) {
  SmallVector<double> behind = exchangeBehind(steps);
  SmallVector<SmallVector<unsigned, 4>> successors(steps.size());
  SmallVector<unsigned> missing(steps.size()), ready, order;
  for (auto [i, step] : llvm::enumerate(steps)) {
    for (unsigned before : step.after)
      successors[before].push_back(static_cast<unsigned>(i));
    missing[i] = static_cast<unsigned>(step.after.size());
    if (missing[i] == 0)
      ready.push_back(static_cast<unsigned>(i));
  }

  Clock clock(steps.size());
  auto isBetter = [&](unsigned a, unsigned b) {
    auto rank = [&](unsigned i) {
      bool computes = steps[i].kind != Kind::Exchange;
      return std::tuple(clock.startOf(steps[i]), computes, -behind[i], i);
    };
    return rank(a) < rank(b);
  };
  while (!ready.empty()) {
    auto *best = llvm::min_element(ready, isBetter);
    unsigned index = *best;
    ready.erase(best);
    order.push_back(index);
    clock.run(index, steps[index]);
    for (unsigned next : successors[index])
      if (--missing[next] == 0)
        ready.push_back(next);
  }
  return order;
}

/// A machine as there are many: a few cores, and a network between the ranks.
static exec::TargetAttr defaultTarget(MLIRContext *context) {
  Builder builder(context);
  auto number = [&](double value) { return builder.getF64FloatAttr(value); };
  return exec::TargetAttr::get(context, builder.getStringAttr("default"), /*cores=*/8,
                               /*vectorBits=*/256, /*registers=*/16, /*cacheBytes=*/1 << 20,
                               number(40), number(400), /*launchNs=*/1000, number(10),
                               /*linkLatencyNs=*/5000);
}

FailureOr<StepCosts> StepCosts::compute(func::FuncOp function, int64_t tokens) {
  auto module = function->getParentOfType<ModuleOp>();
  auto target = module->getAttrOfType<exec::TargetAttr>(exec::kTargetAttrName);
  StepCosts costs(target ? target : defaultTarget(function.getContext()));
  StepShape shape{.tokens = tokens};
  if (auto limits = module->getAttrOfType<exec::LimitsAttr>(exec::kLimitsAttrName)) {
    shape.sequences = shape.outputs = std::min(tokens, limits.getSequences());
    shape.context = std::max<int64_t>(1, limits.getMaxContext() / 2);
  }
  FailureOr<WorkEstimate> work = WorkEstimate::compute(function, shape);
  if (failed(work))
    return failure();
  double memory = costs.target.getMemoryGbps().getValueAsDouble();
  double rate = costs.target.getGflops().getValueAsDouble();
  double link = costs.target.getLinkGbps().getValueAsDouble();
  for (Operation &op : function.getOps()) {
    if (auto launch = dyn_cast<exec::LaunchOp>(op)) {
      Work of = work->of(launch);
      costs.ns[launch] = std::max(of.bytes() / memory, of.flops / rate) +
                         static_cast<double>(costs.target.getLaunchNs());
    } else if (isCollective(&op)) {
      costs.ns[&op] =
          static_cast<double>(costs.target.getLinkLatencyNs()) + work->trafficOf(&op).bytes / link;
    }
  }
  return costs;
}

double StepCosts::ofCopy(double bytes) const {
  return 2 * bytes / target.getMemoryGbps().getValueAsDouble() +
         static_cast<double>(target.getLaunchNs());
}

TimedStep StepCosts::stepOf(Operation *op) const {
  Kind kind = Kind::Compute;
  if (isCollective(op))
    kind = tokenOf(op) ? Kind::Exchange : Kind::BlockingExchange;
  return {kind, of(op), {}};
}

/// The names of the caches that values stand for.
static Attribute cacheOf(Value value, llvm::DenseMap<Value, Attribute> &known) {
  if (auto named = value.getDefiningOp<epi::KvCacheOp>())
    return named.getNameAttr();
  return known.lookup(value);
}

/// Whether `op` launches a part of an exchange over the memory of peers. Such parts go in the order
/// in which they stand, though not all of them give anything to the next.
static bool usesPeers(Operation *op) {
  auto launch = dyn_cast<exec::LaunchOp>(op);
  if (!launch)
    return false;
  auto kernel =
      SymbolTable::lookupNearestSymbolFrom<exec::KernelOp>(launch, launch.getKernelAttr());
  return kernel && llvm::any_of(kernel.getBody().front(), [](Operation &inner) {
           return isa<ep::DispatchSendOp, ep::DispatchReceiveOp, ep::CombineSendOp,
                      ep::CombineReceiveOp>(inner);
         });
}

SmallVector<TimedStep> epigraph::stepsOf(ArrayRef<Operation *> ops, const StepCosts &costs) {
  llvm::DenseMap<Operation *, unsigned> indexOf;
  llvm::DenseMap<Value, Attribute> caches;
  llvm::DenseMap<Attribute, unsigned> lastUse; // of a cache
  std::optional<unsigned> lastOfPeers;
  SmallVector<TimedStep> steps;
  for (Operation *op : ops) {
    unsigned index = static_cast<unsigned>(steps.size());
    indexOf[op] = index;
    TimedStep step = costs.stepOf(op);
    llvm::SmallSetVector<unsigned, 8> after;
    if (usesPeers(op)) {
      if (lastOfPeers)
        after.insert(*lastOfPeers);
      lastOfPeers = index;
    }
    for (Value operand : op->getOperands()) {
      if (auto giver = indexOf.find(operand.getDefiningOp()); giver != indexOf.end())
        after.insert(giver->second);
      if (!isa<epi::KvCacheType, epi::MlaCacheType>(operand.getType()))
        continue;
      Attribute cache = cacheOf(operand, caches);
      if (auto last = lastUse.find(cache); last != lastUse.end() && last->second != index)
        after.insert(last->second);
      lastUse[cache] = index;
      for (Value result : op->getResults())
        if (result.getType() == operand.getType())
          caches[result] = cache;
    }
    step.after.assign(after.begin(), after.end());
    steps.push_back(std::move(step));
  }
  return steps;
}
