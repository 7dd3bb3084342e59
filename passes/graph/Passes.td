// Passes on the graph of one model, before and after it is spread over ranks.
#ifndef EPIGRAPH_PASSES_GRAPH_PASSES_TD
#define EPIGRAPH_PASSES_GRAPH_PASSES_TD

include "mlir/Pass/PassBase.td"

def ElideDeadWeightsPass : Pass<"epi-elide-dead-weights", "::mlir::ModuleOp"> {
  let summary = "elides weights that nothing uses, with all that was computed from them";
  let description = [{
    Erases every chain of operations on weights whose result is unused, down to the tensors of the checkpoint, so that the packer
    neither reads nor stores them.

    Precondition: none. Postcondition: every `epi.weight` and `epi.weight_stack` has a use that reaches an
    operation on activations or a return. Leaves alone: unused computation on activations.

    Statistics: `weights` elided (each tensor of a stack counts), `bytes` of the checkpoint that they hold, `ops` erased.
  }];
}

def AbsorbMlaPass : Pass<"epi-absorb-mla", "::mlir::ModuleOp"> {
  let summary = "absorbs the up-projections of latent attention into its query and its result";
  let description = [{
    Expanded `epi.mla_attention` computes a key and a value for each head and each cached token. Because the score q . (U_k c)
    is (U_k^T q) . c, and the mean of U_v c is U_v times the mean of c, the two halves of kv_b_proj can be applied to the
    query and the result instead, once a token: `epi.head_linear`, the absorbed form, `epi.head_linear` (DeepSeek-V2, 2024, section
    2.1.2). The cache is then read as it is. Each head_linear is what a transpose, a batched matrix product and another
    transpose would be.

    Precondition: none. Postcondition: no `epi.mla_attention` has `up`. Leaves alone: absorbed attention,
    `epi.attention`. Results differ by rounding: the same sums are formed in another order.

    Statistic: `absorbed` attentions.
  }];
  let dependentDialects = ["::epigraph::epi::EpiDialect"];
}

def FuseProjectionsPass : Pass<"epi-fuse-projections", "::mlir::ModuleOp"> {
  let summary = "fuses projections of one value into one projection and a split";
  let description = [{
    Linears of one value become one linear whose weight is the concatenation of theirs, and an `epi.split` of its
    result: q and kv down-projections, q/k/v, gate and up. Grouped linears of the same rows and counts likewise. Every
    row of the result is computed as before, so the numbers are the same bit for bit.

    Precondition: none. Postcondition: no two projections that could be fused are left. Leaves alone: projections whose weight depends
    on an activation, and those that differ in the element type of weight or result (a router that gives float32).

    Statistics: `groups` formed, `projections` in them.
  }];
  let dependentDialects = ["::epigraph::epi::EpiDialect"];
}

def FuseResidualNormPass : Pass<"epi-fuse-residual-norm", "::mlir::ModuleOp"> {
  let summary = "fuses the sum of a residual stream with the norm that follows";
  let description = [{
    An `epi.rms_norm` of an `epi.add`, and adds that only feed it, become one `epi.fused` group "add_rms_norm" that reads its
    inputs once; it yields the sum too if that is used elsewhere. Rounding is as before: each operation keeps
    its types.

    Precondition: none. Postcondition: no rms_norm of an add is left outside a group, unless its weight is computed
    between the two. Leaves alone: norms of anything else, sums without a norm.

    Statistics: `groups` formed, `ops` in them.
  }];
  let dependentDialects = ["::epigraph::epi::EpiDialect"];
}

def FuseSwigluPass : Pass<"epi-fuse-swiglu", "::mlir::ModuleOp"> {
  let summary = "fuses silu(gate) * up into one operation";
  let description = [{
    An `epi.mul` of an `epi.silu` and another value becomes an `epi.fused` group "swiglu". If both are parts of one split
    value, as `--epi-fuse-projections` leaves them, the split moves into the group, which then takes gate and up as one.

    Precondition: none. Postcondition: no mul of a silu is left outside a group, unless the silu has other uses.
    Leaves alone: any other product.

    Statistics: `groups` formed, `ops` in them.
  }];
  let dependentDialects = ["::epigraph::epi::EpiDialect"];
}

#endif // EPIGRAPH_PASSES_GRAPH_PASSES_TD
