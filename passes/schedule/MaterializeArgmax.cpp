// One look at the return of each function: its operand that is called "logits", if there is one,
// gets an epi.argmax, which becomes a result behind the others.
#include "dialects/epi/Sampling.h"
#include "passes/PassRemarks.h"
#include "passes/schedule/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"

namespace epigraph {
#define GEN_PASS_DEF_MATERIALIZEARGMAXPASS
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

struct MaterializeArgmaxPass : epigraph::impl::MaterializeArgmaxPassBase<MaterializeArgmaxPass> {
  void runOnOperation() override {
    size_t numFunctions = 0;
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      const std::optional<unsigned> logits = resultNamed(function, "logits");
      if (!logits || function.isDeclaration() || resultNamed(function, "best"))
        continue;
      if (failed(addBest(function, *logits)))
        return signalPassFailure();
      ++numFunctions;
    }
    reportStatistics(*this, getOperation()) << metric("functions", numFunctions);
  }

  LogicalResult addBest(func::FuncOp function, unsigned logits) {
    Operation *end = function.getBody().front().getTerminator();
    Value x = end->getOperand(logits);
    OpBuilder builder(end);
    auto type = cast<RankedTensorType>(x.getType());
    auto best = epi::ArgmaxOp::create(
        builder, x.getLoc(), RankedTensorType::get({type.getDimSize(0)}, builder.getI32Type()), x);
    const unsigned index = function.getNumResults();
    auto name =
        builder.getDictionaryAttr(builder.getNamedAttr(kNameAttr, builder.getStringAttr("best")));
    if (failed(function.insertResult(index, best.getType(), name)))
      return function.emitError("takes no further result, which its best token would be");
    end->insertOperands(index, best.getResult());
    return success();
  }
};

} // namespace
