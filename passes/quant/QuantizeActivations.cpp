// One walk: the first product that reads a value has it quantized, right after the value is made,
// so that what made it can take the quantization along; the others share it. Cost: linear.
#include "dialects/epi/Epi.h"
#include "passes/PassRemarks.h"
#include "passes/quant/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/DenseMap.h"

namespace epigraph {
#define GEN_PASS_DEF_QUANTIZEACTIVATIONSPASS
#include "passes/quant/Passes.h.inc"
} // namespace epigraph

using namespace mlir;
using namespace epigraph;

namespace {

struct QuantizeActivationsPass
    : epigraph::impl::QuantizeActivationsPassBase<QuantizeActivationsPass> {
  void runOnOperation() override {
    numProducts = 0;
    inputs.clear();
    for (auto function : getOperation().getOps<func::FuncOp>())
      for (Operation &op : llvm::make_early_inc_range(function.getOps())) {
        if (auto linear = dyn_cast<epi::LinearOp>(op))
          quantize(linear);
        else if (auto grouped = dyn_cast<epi::GroupedLinearOp>(op))
          quantize(grouped);
      }
    reportStatistics(*this, getOperation())
        << metric("products", numProducts) << metric("inputs", inputs.size());
  }

  template <typename Op> void quantize(Op product) {
    if (!product.getWScale() || product.getXScale())
      return;
    epi::QuantizeOp &input = inputs[product.getX()];
    if (!input) {
      OpBuilder builder(product);
      builder.setInsertionPointAfterValue(product.getX());
      input = epi::QuantizeOp::create(builder, product.getX().getLoc(), product.getX());
    }
    product.getXMutable().assign(input.getQuantized());
    product.getXScaleMutable().assign(input.getScales());
    ++numProducts;
  }

  llvm::DenseMap<Value, epi::QuantizeOp> inputs;
  size_t numProducts = 0;
};

} // namespace
