// Types are changed in place: every operation of the graph is generic over f32 and bf16, so no
// operation needs rewriting. Tensors of the checkpoint keep their types, and a cast behind each one
// lets everything after it change (FP8 weights have their dequantization there already); function
// types follow their entry blocks. Cost: linear in the number of values.
#include "dialects/exec/Exec.h"
#include "passes/PassRemarks.h"
#include "passes/quant/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"

namespace epigraph {
#define GEN_PASS_DEF_CONVERTCOMPUTETYPEPASS
#include "passes/quant/Passes.h.inc"
} // namespace epigraph

using namespace mlir;
using namespace epigraph;

namespace {

/// `type` with f32 where it has bf16.
Type widen(Type type) {
  if (type.isBF16())
    return Float32Type::get(type.getContext());
  if (auto tensor = dyn_cast<RankedTensorType>(type))
    return tensor.clone(widen(tensor.getElementType()));
  if (auto cache = dyn_cast<epi::KvCacheType>(type))
    return epi::KvCacheType::get(type.getContext(), cache.getHeads(), cache.getKey(),
                                 cache.getValue(), widen(cache.getElementType()));
  if (auto cache = dyn_cast<epi::MlaCacheType>(type))
    return epi::MlaCacheType::get(type.getContext(), cache.getLatent(), cache.getRope(),
                                  widen(cache.getElementType()));
  return type;
}

struct ConvertComputeTypePass : epigraph::impl::ConvertComputeTypePassBase<ConvertComputeTypePass> {
  using ConvertComputeTypePassBase::ConvertComputeTypePassBase;

  void runOnOperation() override {
    numValues = numWeights = numCasts = 0;
    if (type == ComputeType::Float32) {
      for (Operation &op : *getOperation().getBody())
        if (isa<exec::WeightOp, exec::KernelOp>(op)) {
          op.emitOpError(
              "is scheduled already: convert the compute type before weights are hoisted "
              "(--exec-hoist-weights)");
          return signalPassFailure();
        }
      for (auto function : getOperation().getOps<func::FuncOp>())
        convert(function);
    }
    reportStatistics(*this, getOperation())
        << metric("values", numValues) << metric("weights", numWeights)
        << metric("casts", numCasts);
  }

  void convert(func::FuncOp function) {
    function.walk([&](Operation *op) {
      if (isa<epi::WeightOp, epi::WeightStackOp>(op))
        castWeight(op);
    });
    SmallVector<epi::CastOp> identities;
    function.walk([&](Operation *op) {
      if (!isa<epi::WeightOp, epi::WeightStackOp>(op))
        for (Value result : op->getResults())
          widenValue(result);
      for (Region &region : op->getRegions())
        for (Value argument : region.getArguments())
          widenValue(argument);
      if (auto cast = dyn_cast<epi::CastOp>(op); cast && cast.getX().getType() == cast.getType())
        identities.push_back(cast);
    });
    for (epi::CastOp cast : identities) {
      cast.replaceAllUsesWith(cast.getX());
      cast.erase();
    }
    numCasts += identities.size();
    widenSignature(function);
  }

  void castWeight(Operation *weight) {
    Value value = weight->getResult(0);
    Type wide = widen(value.getType());
    if (wide == value.getType())
      return;
    OpBuilder builder(weight->getContext());
    builder.setInsertionPointAfter(weight);
    auto cast = epi::CastOp::create(builder, weight->getLoc(), wide, value);
    value.replaceAllUsesExcept(cast, cast);
    ++numWeights;
  }

  void widenValue(Value value) {
    Type wide = widen(value.getType());
    if (wide == value.getType())
      return;
    value.setType(wide);
    ++numValues;
  }

  void widenSignature(func::FuncOp function) {
    auto widenAll = [](TypeRange types) { return llvm::map_to_vector(types, widen); };
    FunctionType type = function.getFunctionType();
    function.setType(
        FunctionType::get(&getContext(), widenAll(type.getInputs()), widenAll(type.getResults())));
  }

  size_t numValues = 0, numWeights = 0, numCasts = 0;
};

} // namespace
