#include "compiler/driver/CountWork.h"

#include <algorithm>

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include "passes/schedule/WorkEstimate.h"

using namespace mlir;

namespace epigraph {
namespace {

FailureOr<StepWork> countStep(func::FuncOp function, const StepShape &step) {
  FailureOr<WorkEstimate> estimate = WorkEstimate::compute(function, step);
  if (failed(estimate))
    return failure();
  StepWork result;
  result.function = function.getName().str();
  result.tokens = step.tokens;
  result.sequences = step.sequences;
  result.context = step.context;
  Work total = estimate->total();
  result.flops = total.flops;
  result.weightBytes = total.weightBytes;
  result.activationReadBytes = total.readBytes;
  result.activationWrittenBytes = total.writtenBytes;
  result.cacheBytes = total.cacheBytes;
  for (Operation &op : function.getOps()) {
    Traffic traffic = estimate->trafficOf(&op);
    if (traffic.messages == 0)
      continue;
    StepWork::Collective &collective = result.collectives[op.getName().stripDialect().str()];
    ++collective.count;
    collective.messages += traffic.messages;
    collective.bytes += traffic.bytes;
  }
  return result;
}

} // namespace

FailureOr<std::vector<StepWork>> countWork(ModuleOp module) {
  std::vector<StepWork> result;
  auto limits = module->getAttrOfType<exec::LimitsAttr>(exec::kLimitsAttrName);
  for (auto function : module.getOps<func::FuncOp>()) {
    // Without limits, the estimate says so itself.
    int64_t context = limits ? std::max<int64_t>(1, limits.getMaxContext() / 2) : 1;
    int64_t tokens = limits ? limits.getBatchTokens() : 1;
    int64_t sequences = limits ? std::min(limits.getSequences(), tokens) : 1;
    for (StepShape step :
         {StepShape{1, 1, 1, context}, StepShape{tokens, sequences, sequences, context}}) {
      FailureOr<StepWork> work = countStep(function, step);
      if (failed(work))
        return failure();
      result.push_back(std::move(*work));
    }
  }
  return result;
}

} // namespace epigraph
