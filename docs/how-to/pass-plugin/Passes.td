// What the plugin's passes are: names, options, descriptions. Passes.h.inc is generated from this.
#ifndef DEMO_PASSES_TD
#define DEMO_PASSES_TD

include "mlir/Pass/PassBase.td"

def OrderAddendsPass : Pass<"demo-order-addends", "::mlir::ModuleOp"> {
  let summary = "orders the addends of every sum, the younger first";
  let description = [{
    Of the two addends of an `epi.add`, the one that was computed later comes first. Equal sums that were written
    in different orders become equal operations, which CSE then finds. Rounding does not depend on the order, so numbers are
    the same bit for bit.

    Precondition: none. Postcondition: the first addend of every sum of two values of one type is the
    younger. Leaves alone: sums that broadcast, whose operands mean different things.

    Statistic: `swapped` sums.
  }];
  let options = [Option<"limit", "limit", "int64_t", "-1",
                        "sums to swap at most; -1 for all, so that a search can find the one that matters">];
  let dependentDialects = ["::epigraph::epi::EpiDialect"];
}

#endif // DEMO_PASSES_TD
