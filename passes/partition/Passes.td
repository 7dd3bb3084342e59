// Passes that spread a model over ranks.
#ifndef EPIGRAPH_PASSES_PARTITION_PASSES_TD
#define EPIGRAPH_PASSES_PARTITION_PASSES_TD

include "mlir/Pass/PassBase.td"

def PartitionExpertsPass : Pass<"ep-partition-experts", "::mlir::ModuleOp"> {
  let summary = "partitions the experts of every layer over a mesh of ranks";
  let description = [{
    Adds the mesh `@world` and turns each `epi.experts` into `ep.dispatch`, grouped linears over this rank's experts,
    and `ep.combine`. Rank r of R owns the experts [E r / R, E (r + 1) / R); weights are sliced right where they are named, so
    that no rank reads another's.

    With `attention=replicated` all ranks hold all tokens, so each dispatches its share of the rows (`ep.shard_rows`) and
    `ep.all_gather` rebuilds them; with `attention=data` each rank dispatches the tokens of its own sequences. One rank
    exchanges nothing and slices nothing.

    Precondition: no mesh yet; the ranks divide the experts of every layer. Postcondition: no `epi.experts`. Leaves alone:
    everything else, which every rank computes as before.

    Statistics: `layers` partitioned, `local-experts` of each rank over all layers.
  }];
  let dependentDialects = ["::epigraph::ep::EpDialect"];
  let options = [
    Option<"ranks", "ranks", "int64_t", "1", "Ranks that share the experts">,
    Option<"attention", "attention", "::epigraph::ep::AttentionMode",
           "::epigraph::ep::AttentionMode::Replicated", "How attention is shared among the ranks",
           [{::llvm::cl::values(
             clEnumValN(::epigraph::ep::AttentionMode::Replicated, "replicated", "All ranks attend to all tokens"),
             clEnumValN(::epigraph::ep::AttentionMode::Data, "data", "Each rank has sequences of its own"))}]>
  ];
}

def PartitionTensorPass : Pass<"ep-partition-tensor", "::mlir::ModuleOp"> {
  let summary = "cuts projections, heads and experts over the members of each group of ranks";
  let description = [{
    Adds the mesh `@world` of `expert` groups of `tensor` ranks, over which `--ep-partition-experts` still has to
    partition the experts, and shares the work of dense layers among the members of a group:

    `mode=auto`: chains from one projection to the next are cut between them (Shoeybi et al., Megatron-LM, 2019). The first
    projections' weights are cut by rows (`ep.local_shard` of dimension 0), so that their results have a part of the columns; what
    works on columns or heads apart follows; the last projection's weight is cut by columns, and `ep.all_reduce` adds up its
    results. So attention goes by heads (a cache of keys and values too; heads of keys and values that are fewer than the members
    are held by several; the latent vectors of MLA are held by all), dense layers and shared experts by their inner dimension. A
    bias is cut with the columns, or added after the reduction. Projections to the vocabulary are cut by rows and
    their logits put together (`ep.gather_columns`). Sums that an addition joins are reduced once.

    Where groups have the same tokens (`attention=replicated`), a projection that is cut over the members is cut over the groups
    besides, in its other dimension, if that saves time: of the rows that end a chain into `ep.gather_columns`, of the columns that begin one after
    `ep.shard_columns` into another `ep.all_reduce`. With n groups, the largest step saves
    max(bytes / memory_gbps, 2 elements * batch_tokens / gflops) * (1 - 1 / n) and pays what LinkCost.h says, all from
    `exec.target` and `exec.limits`; without these it is not done.

    `mode=column`, `row`, `2d`: each projection is cut by itself, by its outputs, by its inputs, or by its outputs over members and
    its inputs over groups; its result is put together at once.

    In every mode, experts are cut in their inner dimension and their sum is reduced; experts with biases are left whole.

    Precondition: no mesh yet, nothing fused, weights above projections. Refuses heads and inner dimensions that `tensor` does not
    divide. Leaves alone: projections whose results are needed whole (routers, latent projections), norms, embeddings.

    Statistics: projections cut by `column`, `row` and in `two-dimensional` form (of the first two, in mode=auto), layers of
    `experts` cut, `merged-reductions`.
  }];
  let dependentDialects = ["::epigraph::ep::EpDialect"];
  let options = [
    Option<"tensor", "tensor", "int64_t", "1", "Ranks of each group">,
    Option<"expert", "expert", "int64_t", "1", "Groups, which will share the experts">,
    Option<"attention", "attention", "::epigraph::ep::AttentionMode",
           "::epigraph::ep::AttentionMode::Replicated", "How attention is shared among the groups",
           [{::llvm::cl::values(
             clEnumValN(::epigraph::ep::AttentionMode::Replicated, "replicated", "All groups attend to all tokens"),
             clEnumValN(::epigraph::ep::AttentionMode::Data, "data", "Each group has sequences of its own"))}]>,
    Option<"mode", "mode", "::epigraph::TensorMode", "::epigraph::TensorMode::Auto", "How projections are cut",
           [{::llvm::cl::values(
             clEnumValN(::epigraph::TensorMode::Auto, "auto", "Chains by columns, then rows; both axes where it saves time"),
             clEnumValN(::epigraph::TensorMode::Column, "column", "Each by its outputs"),
             clEnumValN(::epigraph::TensorMode::Row, "row", "Each by its inputs"),
             clEnumValN(::epigraph::TensorMode::TwoDimensional, "2d", "Each by outputs over members, inputs over groups"))}]>
  ];
}

def DecomposeDispatchPass : Pass<"ep-decompose-dispatch", "::mlir::ModuleOp"> {
  let summary = "decomposes dispatch and combine into local permutations and exchanges";
  let description = [{
    `ep.dispatch` becomes `epi.permute` and `ep.scatter_experts`, `ep.combine` becomes `ep.gather_experts` and
    `epi.unpermute`: the local halves are kernels, the exchanges are the communicator's. On a mesh of one rank the
    exchanges vanish.

    Precondition: each combine takes the exchange of a dispatch in the same function. Postcondition: no `ep.dispatch`
    or `ep.combine`. Leaves alone: collectives.

    Statistics: `dispatches` decomposed, `exchanges` between ranks that are left.
  }];
  let dependentDialects = ["::epigraph::ep::EpDialect"];
}

#endif // EPIGRAPH_PASSES_PARTITION_PASSES_TD
