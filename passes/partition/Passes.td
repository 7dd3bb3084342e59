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
