// One look at the signature and the return of each function: the operand that is called "logits",
// if there is one, gets an epi.sample, which becomes a result behind the others.
#include "dialects/epi/Sampling.h"
#include "passes/PassRemarks.h"
#include "passes/schedule/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"

namespace epigraph {
#define GEN_PASS_DEF_MATERIALIZESAMPLEPASS
#include "passes/schedule/Passes.h.inc"
} // namespace epigraph

using namespace mlir;
using namespace epigraph;

namespace {

constexpr StringLiteral kNameAttr = "epi.name";

/// The result of `function` that is called `name`, if there is one.
std::optional<unsigned> resultNamed(func::FuncOp function, StringRef name) {
  for (unsigned i = 0; i < function.getNumResults(); ++i)
    if (auto found = function.getResultAttrOfType<StringAttr>(i, kNameAttr);
        found && found.getValue() == name)
      return i;
  return std::nullopt;
}

/// The argument of `function` that is the step; null in one that no token is generated with.
Value stepOf(func::FuncOp function) {
  Value step;
  for (BlockArgument argument : function.getArguments()) {
    auto name = function.getArgAttrOfType<StringAttr>(argument.getArgNumber(), kNameAttr);
    if (name && name.getValue() == "hidden")
      return {};
    if (isa<epi::StepType>(argument.getType()))
      step = argument;
  }
  return step;
}

struct MaterializeSamplePass : epigraph::impl::MaterializeSamplePassBase<MaterializeSamplePass> {
  void runOnOperation() override {
    size_t numFunctions = 0;
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      const std::optional<unsigned> logits = resultNamed(function, "logits");
      if (!logits || function.isDeclaration() || resultNamed(function, "chosen"))
        continue;
      Value step = stepOf(function);
      if (!step)
        continue;
      if (failed(addChosen(function, *logits, step)))
        return signalPassFailure();
      ++numFunctions;
    }
    reportStatistics(*this, getOperation()) << metric("functions", numFunctions);
  }

  LogicalResult addChosen(func::FuncOp function, unsigned logits, Value step) {
    Operation *end = function.getBody().front().getTerminator();
    Value x = end->getOperand(logits);
    OpBuilder builder(end);
    auto type = cast<RankedTensorType>(x.getType());
    auto chosen = epi::SampleOp::create(
        builder, x.getLoc(), RankedTensorType::get({type.getDimSize(0)}, builder.getI32Type()), x,
        step);
    const unsigned index = function.getNumResults();
    auto name =
        builder.getDictionaryAttr(builder.getNamedAttr(kNameAttr, builder.getStringAttr("chosen")));
    if (failed(function.insertResult(index, chosen.getType(), name)))
      return function.emitError("takes no further result, which its chosen token would be");
    end->insertOperands(index, chosen.getResult());
    return success();
  }
};

} // namespace
