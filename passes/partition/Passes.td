// Passes that spread a model over ranks.
#ifndef EPIGRAPH_PASSES_PARTITION_PASSES_TD
#define EPIGRAPH_PASSES_PARTITION_PASSES_TD

include "mlir/Pass/PassBase.td"

def PartitionExpertsPass : Pass<"ep-partition-experts", "::mlir::ModuleOp"> {
  let summary = "partitions the experts of every layer over a mesh of ranks";
  let description = [{
    Adds the mesh `@world` (or completes that of `--ep-partition-tensor`) and turns each `epi.experts` into `ep.dispatch`, grouped linears over this rank's experts,
    and `ep.combine`. Rank r of R owns the experts [E r / R, E (r + 1) / R); weights are sliced right where they are named, so
    that no rank reads another's. Where `--ep-place-experts` has planned a layer, experts lie in the slots of its placement, and
    `ep.assign_replicas` turns the ids of experts into slots.

    With `attention=replicated` all ranks hold all tokens, so each dispatches its share of the rows (`ep.shard_rows`) and
    `ep.all_gather` rebuilds them; with `attention=data` each rank dispatches the tokens of its own sequences. One rank
    exchanges nothing and slices nothing.

    Precondition: no mesh yet, or that of `--ep-partition-tensor`; the ranks divide the experts of every layer. Postcondition: no `epi.experts`. Leaves alone:
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

def PlaceExpertsPass : Pass<"ep-place-experts", "::mlir::ModuleOp"> {
  let summary = "plans where experts lie from measured loads, with replicas of busy ones";
  let description = [{
    Reads how many rows each expert of each layer was sent (`load`, a JSON file: docs/how-to/place-experts.md) and plans
    each layer by its own counts, as DeepSeek's EPLB does (passes/partition/ExpertPlacement.h): every rank has the
    same number of slots, busy experts get replicas in those left over, the busiest rank has as little work as can be
    found, and replicas of one expert lie on different ranks. With `nodes` > 1 the experts' `groups` are kept on one node each.
    The plan stands as `ep.placement` on the layer's `epi.experts`, for `--ep-partition-experts`. A layer that is best kept in order,
    or that the file does not have and that has no slots to spare, gets none.

    Precondition: experts are not partitioned yet. Refuses a file that is not one of loads or counts another number of experts;
    slots that do not hold the experts, or that the ranks cannot share equally. Leaves alone: everything else; results are the same
    with and without it, to the bit.

    Statistics: `layers` that have a placement now, `slots-per-rank`, and the load of the busiest rank over the mean, of
    the worst layer, in thousandths: `max-over-mean-permille-before` (experts in order) and `max-over-mean-permille`.
  }];
  let dependentDialects = ["::epigraph::ep::EpDialect"];
  let options = [
    Option<"load", "load", "std::string", "", "The file of measured loads">,
    Option<"ranks", "ranks", "int64_t", "1", "Ranks that share the experts">,
    Option<"slotsPerRank", "slots-per-rank", "int64_t", "0", "Slots of each rank; 0: the experts and `redundant` more, shared">,
    Option<"redundant", "redundant", "int64_t", "0", "Replicas of each layer, with slots-per-rank=0">,
    Option<"groups", "groups", "int64_t", "1", "Groups of neighbouring experts that a token chooses few of">,
    Option<"nodes", "nodes", "int64_t", "1", "Nodes that the ranks lie on, neighbours together">
  ];
}

def ChooseCollectivesPass : Pass<"ep-choose-collectives", "::mlir::ModuleOp"> {
  let summary = "turns reductions of long messages into a scatter and a gather, and moves the gathers down";
  let description = [{
    An `ep.all_reduce` makes each of R ranks read the rows of all others: L + (R - 1) n / B nanoseconds for a message of n bytes, with the
    link's latency L and bandwidth B (`exec.target`). An `ep.reduce_scatter` followed by an `ep.all_gather` takes
    2 L + 2 (R - 1) / R n / B, and each rank then needs to do only its share of the row-wise work in between: (1 - 1 / R) of the bytes
    that this reads and writes, over `memory_gbps`, is saved. Where the sum is less, for the largest step
    (`exec.limits`, n = batch_tokens * columns * bytes of an element), the reduction is taken apart. `threshold` >= 0 decides by n alone.

    Then each gather moves behind the operations that use it as long as all of them work row by row (norms, elementwise
    operations, fusion groups of them) and not more is gathered than before. Other operands of these are shared out
    (`ep.shard_rows`, which moves nothing between ranks). So the residual stream stays shared out (Korthikanti et al., 2022).

    Precondition: a mesh. Leaves alone: reductions of rows that are not the whole batch's, along one rank, or that carry a token;
    without `exec.target` all of them, unless there is a threshold.

    Statistics: `all-reduces` left, `reduce-scatters` made, operations that gathers have `sunk-past`.
  }];
  let dependentDialects = ["::epigraph::ep::EpDialect"];
  let options = [Option<"threshold", "threshold", "int64_t", "-1",
                        "Bytes from which a reduction is taken apart; -1: by cost">];
}

def LowerDispatchPass : Pass<"ep-lower-dispatch", "::mlir::ModuleOp"> {
  let summary = "lowers dispatch and combine to sends and receives through the memory of peers";
  let description = [{
    `ep.dispatch` becomes `ep.dispatch_send` and `ep.dispatch_receive`, its `ep.combine` becomes `ep.combine_send` and
    `ep.combine_receive`: kernels that write other ranks' memory, so that a rank gets a token's row once, and sends one row back for it,
    however many of the token's experts it has. There is room (`capacity`) for the largest batch that `exec.limits` allow: for
    `batch_tokens` rows of each rank, or for its share of them where all ranks have all tokens. Operations behind the combine that do
    not need it, such as shared experts, move between the first send and receive, to be computed while rows are under way. Rows that
    only an `epi.quantize` reads on the other side are quantized before they are sent, and go with their scales.

    Precondition: `exec.limits` on the module; each dispatch over several ranks has one combine, in its block, whose weights are computed
    before the dispatch. Postcondition: no dispatch over several ranks. Leaves alone: dispatches on one rank
    (`--ep-decompose-dispatch`). Results change by the rounding of what each rank sends back.

    Statistics: `exchanges` lowered, operations `hidden` behind dispatches, exchanges of `quantized` rows.
  }];
  let dependentDialects = ["::epigraph::ep::EpDialect"];
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
