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

def SpecializePhasesPass : Pass<"epi-specialize-phases", "::mlir::ModuleOp"> {
  let summary = "makes functions of their own for prefill and decode steps where attention differs";
  let description = [{
    Where some latent attention of @main is cheaper expanded in one phase and absorbed in the other (the cost is that of
    `--epi-choose-attention-form`), @main is cloned as @decode, of the same arguments, results, weights and caches, and the
    functions get the attribute `epi.phase`: "prefill" and "decode". Either computes any batch. The runtime takes @decode for
    steps in which some sequence has one new token, @main for all others.

    For DeepSeek-V3's sizes (128 heads, nope 128, rope 64, value 128, latent 512), 512 new tokens and 32 sequences at 2,048
    positions, expanded and absorbed take 28 and 54 Gflop a layer in a prefill step, 2,200 and 19 in a decode step: the phases
    differ.

    Memory: kv_b_proj is then stored in both forms, which the statistics count. All other weights are shared.

    Precondition: `exec.limits` on the module, else nothing is done. Postcondition: none. Leaves alone: modules without a function
    @main or with a @decode, a @main that has a phase, other functions, and attention that is absorbed already.

    Statistics: `functions` added, `extra-weight-bytes` of projections that are stored twice.
  }];
}

def ChooseAttentionFormPass : Pass<"epi-choose-attention-form", "::mlir::ModuleOp"> {
  let summary = "chooses the form of latent attention: expanded or absorbed";
  let description = [{
    Expanded `epi.mla_attention` computes a key and a value for each head and each cached token. Because the score q . (U_k c)
    is (U_k^T q) . c, and the mean of U_v c is U_v times the mean of c, the two halves of kv_b_proj can be applied to the
    query and the result instead, once a token: `epi.head_linear`, the absorbed form, `epi.head_linear` (DeepSeek-V2, 2024, section
    2.1.2). The cache is then read as it is. Each head_linear is what a transpose, a batched matrix product and another
    transpose would be.

    `form=absorbed` absorbs everywhere, `form=expanded` nowhere. `form=auto` takes what is cheaper for the function's
    `epi.phase`, and absorbs in functions without one, which any mix of prefill and decode runs through. The cost is
    max(flops / gflops, bytes / memory_gbps) of `exec.target` (without one, of 100 and 20), in the phase's typical step under
    `exec.limits`. Prefill: one sequence of n = batch_tokens new tokens, c = n (both at most the context). Decode: s = sequences
    (at most batch_tokens) of n = 1 new token at c = context / 2. With H heads, N nope, R rope, V value, L latent dimensions,
    elements of b bytes, p = s (n c - n (n - 1) / 2) pairs of a token and a position that it sees, and E positions expanded, s c
    once for each 512 rows of a sequence, up to the last of these rows:

        expanded: flops = 2 E H (N + V) L + 2 p H (N + R + V)
                  bytes = b (s c (L + R) + H (N + V) L)
        absorbed: flops = 2 s n H (N + V) L + 2 p H (2 L + R)
                  bytes = b (s c (L + R) + H (N + V) L + 4 s n H L)

    Precondition: with `auto`, `exec.limits` stands on a module that has functions with a phase. Postcondition of `absorbed`: no
    `epi.mla_attention` has `up`. Leaves alone: absorbed attention, `epi.attention`. Results differ by rounding: the same
    sums are formed in another order.

    Statistics: attentions that this pass has `absorbed`, and those that stay `expanded`.
  }];
  let dependentDialects = ["::epigraph::epi::EpiDialect"];
  let options = [
    Option<"form", "form", "::epigraph::AttentionForm", "::epigraph::AttentionForm::Auto",
           "Form of latent attention",
           [{::llvm::cl::values(
             clEnumValN(::epigraph::AttentionForm::Auto, "auto", "What is cheaper for the phase"),
             clEnumValN(::epigraph::AttentionForm::Absorbed, "absorbed", "Absorbed everywhere"),
             clEnumValN(::epigraph::AttentionForm::Expanded, "expanded", "Expanded, as imported"))}]>
  ];
}

def FuseProjectionsPass : Pass<"epi-fuse-projections", "::mlir::ModuleOp"> {
  let summary = "fuses projections of one value into one projection and a split";
  let description = [{
    Linears of one value become one linear whose weight is the concatenation of theirs, and an `epi.split` of its
    result: q and kv down-projections, q/k/v, gate and up. Grouped linears of the same rows and counts likewise; so are bias vectors that all of
    them add, before the split. Every
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

def FuseGatedEpiloguePass : Pass<"epi-fuse-gated-epilogue", "::mlir::ModuleOp"> {
  let summary = "fuses what combines the parts of a projection's columns with the projection";
  let description = [{
    A group that does nothing but to split what an `epi.linear` or `epi.grouped_linear` gives into equal parts, and to combine these element by
    element, takes the projection in: "linear_swiglu" of joined gate and up projections gives half of their columns, and
    the whole is never stored. For targets whose kernels have the parts of a tile's columns at once.

    Precondition: --epi-fuse-projections and --epi-fuse-swiglu have run. Postcondition: no such group reads a projection that nothing
    else reads. Leaves alone: groups with other operands, parts that something else reads, heads, parts of an FP8 projection that
    are no whole blocks of 128 columns.

    Statistics: `groups` that took a projection in, `row-bytes` no longer written and read for each row.
  }];
  let dependentDialects = ["::epigraph::epi::EpiDialect"];
}

def FusePermutationPass : Pass<"epi-fuse-permutation", "::mlir::ModuleOp"> {
  let summary = "fuses the ordering of rows by expert, and their sums, with what stands around them";
  let description = [{
    An `epi.quantize` that alone reads the rows of an `epi.permute` becomes one group with it, "permute_quantize": each token's
    row is quantized once, and copied as 8-bit floats to all of its places. The `epi.route` that gives a permutation its ids joins
    it, "route_permute": a kernel of both needs one launch less where tokens are few. An `epi.unpermute` whose sums one operation or
    group alone reads, and computes row by row, sinks into it: "unpermute_add_rms_norm" adds up the experts' rows of a token where their sum
    is added to the residual stream and normalized. For targets whose kernels can move rows and compute on them at once.

    Precondition: --ep-decompose-dispatch has run, and so have passes that form groups. Postcondition: no quantization alone
    reads permuted rows. Leaves alone: permuted rows, or sums, that something else reads, sums that are only viewed or
    returned or that a kernel reads which is not computed row by row, and routing that something reads before the permutation.

    Statistics: `routes`, quantized `permutes` and `unpermutes` that became part of a group, `row-bytes` no longer written and
    read for each token.
  }];
  let dependentDialects = ["::epigraph::epi::EpiDialect"];
}

def FuseRouterPass : Pass<"epi-fuse-router", "::mlir::ModuleOp"> {
  let summary = "fuses the norm and the projection to logits with the routing and the permutation behind them";
  let description = [{
    The group of an `epi.route` and the `epi.permute` by what it chooses takes in the `epi.linear` that gives the logits, and the
    `epi.rms_norm`, or the group around one, whose rows are projected and permuted: "rms_norm_linear_route_permute". Each of these is little
    work where tokens are few, so a kernel of all of them takes about as long as one of them. The group gives the norm's rows, the
    logits and what is chosen, too: a kernel of several launches leaves them for the next one. For targets that have such a kernel.

    Precondition: --epi-fuse-permutation has run. Postcondition: no plain projection stands between a norm and a group that routes and
    permutes its rows by the logits, unless a note says why. Leaves alone: quantized projections, logits that something else
    reads, groups that compute more than sums, a norm and its quantization, and what is read before the permutation.

    Statistics: `groups` formed, `row-bytes` of the norm and the logits that need not be written and read for each token where tokens are few.
  }];
  let dependentDialects = ["::epigraph::epi::EpiDialect"];
}

def EliminateCommonPass : Pass<"epi-eliminate-common", "::mlir::ModuleOp"> {
  let summary = "computes what is computed twice once, and erases what nothing uses";
  let description = [{
    Operations with equal operands, attributes and types become one (MLIR's common subexpression elimination), in functions and in
    the bodies of groups, kernels and weights: two reads of one weight, the same norm written out twice.

    Precondition: none. Postcondition: no two equal operations without effects are left where one sees the other.
    Leaves alone: operations that write (`epi.kv_append`), reads with a write between them (`epi.kv_cache` and attention
    around an append), and every exchange between ranks, which all ranks must meet as often as it stands in the graph.

    Statistics: `merged` operations, `dead` ones erased.
  }];
}

def ElideLayoutChangesPass : Pass<"epi-elide-layout-changes", "::mlir::ModuleOp"> {
  let summary = "elides moves of elements that cancel out or move nothing";
  let description = [{
    Rewrites, on activations and on weights:
    * a transpose of a transpose to one, and one that keeps the order to its operand;
    * a transpose that only moves dimensions of size 1 to a reshape, which moves nothing; a reshape of a reshape to one, and one to the same
      shape to its operand;
    * a concat that joins all parts of one split again, in order, to what was split; a concat of a concat to one;
    * a split whose borders are borders of the concat that it splits to the operands, or concats of some of them;
    * a cast from bf16 to f32 and back to its operand (the way there is exact);
    * a pack of a packed weight to one pack.

    The numbers are the same bit for bit. Precondition: none. Postcondition: none of these is left. Leaves alone: casts that
    round (f32 to bf16 and back), concats that another operation reads too.

    Statistics: `ops` that moved elements and are gone (less those made instead), `weight-bytes` that they would have written once,
    `row-bytes` for each row of a step.
  }];
  let dependentDialects = ["::epigraph::epi::EpiDialect", "::epigraph::exec::ExecDialect"];
}

def FuseRoutingPass : Pass<"epi-fuse-routing", "::mlir::ModuleOp"> {
  let summary = "takes the scores of a router, and its bias, into the choice of experts";
  let description = [{
    An `epi.route` with `score = identity` whose scores are an `epi.softmax` or `epi.sigmoid` that nothing else uses takes that over
    as its own score. A bias vector added to the scores becomes `bias` where that means the same: `bias` moves the choice
    and not the weights, the sum moves both, so nothing may use the weights. Both write and read the scores of every expert less.

    Precondition: none. Postcondition: none of these is left. Leaves alone: scores with other uses, biases on logits,
    sums of which the weights are used, routes that have a bias already.

    Statistics: `scores` and `biases` taken over.
  }];
  let dependentDialects = ["::epigraph::epi::EpiDialect"];
}

def FuseLinearEpiloguePass : Pass<"epi-fuse-linear-epilogue", "::mlir::ModuleOp"> {
  let summary = "fuses what happens to each element of a projection into the projection";
  let description = [{
    What follows an `epi.linear`, `epi.head_linear` or `epi.grouped_linear` element by element, where each result has no other
    use, becomes one `epi.fused` group with it, named after what it does ("linear_bias", "linear_residual",
    "linear_bias_silu"): a bias vector, silu and sigmoid, the sum or product with a value of the same type, casts. The group stands where
    its last operation stood, so every operand is there. Each operation keeps its types, so rounding is as before.

    A sum may feed an rms_norm too, and could join that instead (`--epi-fuse-residual-norm`). In units of one value of its type: the
    projection saves writing and reading its result, 2; the norm saves reading the sum, 1, and writing it, 1 more if nothing
    else uses it; an inner sum of a chain of sums saves 2 in either place. The projection takes a sum where that is strictly
    more: the sum of a residual stream, which the next layer reads again. In a tie it is the norm's, whose
    kernel is the cheaper one to enlarge.

    Precondition: run before `--epi-fuse-residual-norm`, which takes what it is left. Postcondition: no such operation follows a
    projection. Leaves alone: results with other uses; operands that hold one value for each row; sums with what an exchange
    between ranks or `epi.experts` gives, because the projection would have to wait for it.

    Statistics: `groups` formed, `ops` in them, `row-bytes` that a row of a step does not write and read.
  }];
  let dependentDialects = ["::epigraph::epi::EpiDialect"];
}

def FormFusionGroupsPass : Pass<"epi-form-fusion-groups", "::mlir::ModuleOp"> {
  let summary = "forms groups of row-wise operations where a cost model finds that they save time";
  let description = [{
    Row-wise operations (add, mul, silu, sigmoid, clamped_swiglu, cast, concat; rms_norm and softmax, which reduce a row) and
    groups of these that earlier passes formed are merged pairwise, the pair that saves most first: one reads what the other
    gives, through splits and reshapes or directly, or both read one value. A merge is done if

        saved = bytes / memory_gbps + launch_ns - flops / gflops

    exceeds `threshold` nanoseconds. bytes: what the merged group reads and writes less than the two, for a decoding step (one row for each of
    `exec.limits`' sequences). flops: what is computed more than once, because the group makes one pass over a row for each
    reduction and each result and keeps nothing between passes. The numbers are `exec.target`'s; without it, those of a nominal machine: 2 cores, 16
    registers, 1 MiB of cache for each core, 20 GB/s, 100 GFLOP/s, 2000 ns a launch. Without `exec.limits`, 32 rows.

    A group never has more operands and results than `max-operands`, nor more values alive at once than vector
    registers less those that exp takes; with several passes a row of all operands and results fits in half a core's cache.
    It stands where all operands are there and nothing needs its results yet, and is not formed where no such place is: so
    there are no cycles, and nothing else is moved but weights.

    `level` 0 and 1 change nothing; 2 is as above; 3 takes every merge that does not lose time and twice the registers.

    Precondition: none. Postcondition: no merge is left that saves more. Leaves alone: operations on static tensors,
    groups around a projection. The numbers are the same bit for bit.

    Statistics: `groups` formed or extended, `ops` in them, `bytes` and `ns` saved in a decoding step, as estimated.
  }];
  let dependentDialects = ["::epigraph::epi::EpiDialect"];
  let options = [
    Option<"threshold", "threshold", "double", /*default=*/"500.0", "nanoseconds that a merge must save">,
    Option<"level", "level", "int64_t", /*default=*/"2", "0 and 1: none; 2: what saves time; 3: what does not lose any">,
    Option<"maxOperands", "max-operands", "int64_t", /*default=*/"16", "operands and results of a group at most">
  ];
}

def FuseCacheAppendPass : Pass<"epi-fuse-cache-append", "::mlir::ModuleOp"> {
  let summary = "fuses an append to a cache with the norms and rotations of the same rows";
  let description = [{
    An `epi.kv_append` becomes one `epi.fused` group with what makes its parts, as far as that is computed row by row, and with what
    stands beside it: "rms_norm_x2_rope_x2_kv_append" is what lies between the projection of queries, keys and values and
    attention. Keys and values are then stored in the cache alone. The group gives the cache's new handle, which attention
    reads as before, and values that others read. For targets whose kernel of rows can rotate and append, as CUDA's; a
    decoding step of few sequences is as long as its kernels are many.

    Taken in, one by one: operations and groups that are row-wise (norms, also with a quantization) and make what a member reads, and
    each `epi.rope` of what a member reads or gives. A rotation must be of whole heads of a multiple of 16 elements, which lie
    together in what the group reads, and norms before it of these heads or of whole rows. A group stands before the first use of what it gives.
    What it reads must be there by then; weights and the cache are moved up, past no operation that reads or writes memory.

    Precondition: groups are formed otherwise. Postcondition: none. Leaves alone: appends of what no such operation makes, and what
    depends on a result of the group through another operation. The numbers are the same bit for bit.

    Statistics: `groups` formed, `ops` in them, `launches` less in a step.
  }];
  let dependentDialects = ["::epigraph::epi::EpiDialect"];
}

def FuseQueryRotationPass : Pass<"epi-fuse-query-rotation", "::mlir::ModuleOp"> {
  let summary = "rotates queries of latent attention in the kernel that attends";
  let description = [{
    An `epi.rope` of the last part of queries that an `epi.mla_attention` in absorbed form alone reads becomes one `epi.fused` group with
    it, "rope_mla_attention": the kernel turns the queries where it has them to attend, and they are not stored in between. For
    targets whose kernel of latent attention can do so, as CUDA's; a decoding step of few sequences is as long as its kernels are
    many.

    Precondition: forms of attention are chosen (--epi-choose-attention-form), and --epi-fuse-cache-append has run, which may take a
    rotation of queries, too. Postcondition: none. Leaves alone: attention of expanded keys and values, which reads queries once for each
    tile of keys, rotations that something else reads, and those that are not of whole heads of a multiple of 16 elements. The
    numbers are the same bit for bit.

    Statistics: `groups` formed, `row-bytes` no longer written and read for each row.
  }];
  let dependentDialects = ["::epigraph::epi::EpiDialect"];
}

#endif // EPIGRAPH_PASSES_GRAPH_PASSES_TD
