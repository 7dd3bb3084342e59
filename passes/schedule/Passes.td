// Passes that turn a partitioned graph into a schedule: weights, kernels, memory.
#ifndef EPIGRAPH_PASSES_SCHEDULE_PASSES_TD
#define EPIGRAPH_PASSES_SCHEDULE_PASSES_TD

include "mlir/Pass/PassBase.td"

def HoistWeightsPass : Pass<"exec-hoist-weights", "::mlir::ModuleOp"> {
  let summary = "hoists all computation on weights out of the step, into the weight program";
  let description = [{
    Every maximal expression over weights alone (`epi.weight`, `epi.weight_stack`, `epi.rope_table`, and cast, concat,
    split, reshape, transpose and `ep.local_experts` of these) becomes an `exec.weight`, which the packer evaluates once;
    `exec.load_weight` stands where it was used.

    Names are those of the checkpoint. Several tensors that become one weight are joined where they differ
    (`model.layers.0.self_attn.q_a_proj+kv_a_proj_with_mqa.weight`), a stack of experts loses its number, and parts of a
    split tensor get `.part0`, `.part1`. Equal expressions are one weight, across functions too.

    Precondition: none. Postcondition: no weight operation stands in a function. Leaves alone: everything that
    depends on an input, a cache or the step.

    Statistics: `weights` made, `hoisted-ops` (operations moved out of the step), `uses` of weights by operations.
  }];
  let dependentDialects = ["::epigraph::exec::ExecDialect"];
}

def MaterializeSamplePass : Pass<"epi-materialize-sample", "::mlir::ModuleOp"> {
  let summary = "gives the tokens that are chosen as a result of their own";
  let description = [{
    Every function with a result called "logits" (`epi.name`) gets an `epi.sample` of it, and a result "chosen" behind the others.
    A step of generation then copies one number for each sequence from the device to the host, and not a whole row of logits.

    Precondition: run before `--exec-outline-kernels`, which makes it a kernel; the target has one for it. Postcondition: every
    function with logits gives tokens. Leaves alone: functions that give them already, functions without a step, and those with
    an argument called "hidden", such as an MTP layer, whose tokens nobody asks for.

    Statistic: `functions` changed.
  }];
  let dependentDialects = ["::epigraph::epi::EpiDialect"];
}

def OutlineKernelsPass : Pass<"exec-outline-kernels", "::mlir::ModuleOp"> {
  let summary = "outlines every computation into a kernel and a launch";
  let description = [{
    Each compute operation and each `epi.fused` group becomes an `exec.kernel` and an `exec.launch` in its place; the body of
    a group is inlined into its kernel. Each launch has a kernel of its own, named after what it does;
    `--exec-deduplicate-kernels` merges equal ones.

    Views (`epi.split`, `epi.reshape`) cost nothing: they are cloned into the kernels that read through them, whose
    argument is then the whole value. A view that a collective or a return needs as a value of its own is copied by a
    kernel.

    Precondition: weights are hoisted (`--exec-hoist-weights`), dispatches decomposed
    (`--ep-decompose-dispatch`). Postcondition: functions hold only `exec.load_weight`, `epi.kv_cache`, `exec.launch`,
    exchanges of rows between ranks, and the return. Leaves alone: the order of operations, and launches that are there already.

    Statistics: `launches` made, `views` that kernels read in place, `copies` of views.
  }];
  let dependentDialects = ["::epigraph::exec::ExecDialect"];
}

def DeduplicateKernelsPass : Pass<"exec-deduplicate-kernels", "::mlir::ModuleOp"> {
  let summary = "merges equal kernels, so that each is compiled once and not once a layer";
  let description = [{
    Kernels with equal bodies, types and attributes become the first of them, whatever they are called, and all launches use it.
    A kernel of a model's layers is then compiled once. Names stay as they are, so numbers may be missing.

    Precondition: none. Postcondition: no two kernels are equal. Leaves alone: kernels that differ in any type,
    attribute, operand order or operation; locations do not count.

    Statistics: `merged` kernels, `kernels` left, `redirected` launches.
  }];
}

def PlanMemoryPass : Pass<"exec-plan-memory", "::mlir::ModuleOp"> {
  let summary = "plans where every value of a step lies in the arena";
  let description = [{
    Each tensor that a launch or an exchange gives gets an offset in its function's arena (`exec.buffers`, in the
    order of the tensor results), large enough under the module's `exec.limits`; values that are never needed at
    once share memory. An operation's results never overlap its operands; a function's results stay to its end, and what
    a collective under way reads or gives to its wait.
    `exec.arena_bytes` on the function says how large the arena is. The plan is checked before the pass ends.

    Precondition: kernels are outlined, waits inserted; the module has `exec.limits`. Postcondition: `--exec-verify-memory-plan`
    holds. Leaves alone: arguments (the runtime owns them), weights, caches (updated in place).

    Statistics, one set for each function: `buffers` planned, `peak-bytes` of the arena, `naive-bytes` if no memory were shared.
  }];
  let dependentDialects = ["::epigraph::exec::ExecDialect"];
}

def VerifyMemoryPlanPass : Pass<"exec-verify-memory-plan", "::mlir::ModuleOp"> {
  let summary = "verifies that no two values of a memory plan overlap while both are needed";
  let description = [{
    Recomputes sizes and lifetimes and compares every pair of values that live at once. Fails, at the operation whose
    result is misplaced, if a buffer is missing, too small, outside the arena, or overlaps another.

    Precondition: `--exec-plan-memory` has run. Changes nothing. Statistic: `buffers` checked.
  }];
}

def StartCollectivesPass : Pass<"exec-start-collectives", "::mlir::ModuleOp"> {
  let summary = "starts collectives without waiting for them";
  let description = [{
    Each collective that moves rows between ranks gets a token: it only starts, and other work may stand between it and the
    first reader of its results. What stands there, `--ep-overlap` decides, and where it is waited for
    `--exec-insert-waits`.

    Precondition: none. Postcondition: every collective has a token; the function is valid only with waits. Leaves alone:
    `ep.shard_rows` and `ep.shard_columns`, which move nothing, and the order of operations.

    Statistic: `started`, collectives that got a token.
  }];
  let dependentDialects = ["::epigraph::ep::EpDialect"];
}

def SplitBatchesPass : Pass<"ep-split-batches", "::mlir::ModuleOp"> {
  let summary = "splits the routed part of a layer into two half batches";
  let description = [{
    What lies between sorting rows by expert and putting results back (permute, scatter, the experts' projections,
    gather, unpermute) is done twice, each time on half of the tokens, so that `--ep-overlap` can run one half's
    exchange behind the other's projections. Rows are copied apart and together by kernels of `epi.halve_rows` and
    `epi.join_rows`; weights are read twice. Each row's numbers stay the same, bit by bit.

    With `batches=auto`, a layer is split where estimates for a step at the batch limit (`exec.limits`) on the module's
    target (`exec.target`) say that the two halves, scheduled with the work beside them, take at least 5 % less time, all copies and second reads counted; with
    `batches=2`, wherever possible; with `batches=1`, nowhere. Estimates take the link to work beside the device, which no link between ranks of one process does.

    Precondition: kernels are outlined, collectives started (`--exec-start-collectives`); the module has
    `exec.limits`. Postcondition: none. Leaves alone: dispatches whose collectives have no token; those whose
    rows something else reads too, or that read other rows than one for each token of a rank.

    Statistics: layers `split`, `dispatches` seen, `saved-ns` of a step at the batch limit, estimated (in auto).
  }];
  let dependentDialects = ["::epigraph::exec::ExecDialect"];
  let options = [
    Option<"batches", "batches", "::epigraph::BatchSplit", "::epigraph::BatchSplit::Auto", "Batches of each layer",
           [{::llvm::cl::values(
             clEnumValN(::epigraph::BatchSplit::Auto, "auto", "Two where estimates say that it is faster"),
             clEnumValN(::epigraph::BatchSplit::One, "1", "One"),
             clEnumValN(::epigraph::BatchSplit::Two, "2", "Two wherever possible"))}]>
  ];
}

def OverlapPass : Pass<"ep-overlap", "::mlir::ModuleOp"> {
  let summary = "schedules independent work behind collectives under way";
  let description = [{
    Orders each function so that what a collective under way is not needed for runs before what needs it: shared experts
    and the other half of a batch (`--ep-split-batches`) run while rows are dispatched and combined. List scheduling by
    dependencies, on estimates of what launches and collectives take at the batch limit (`exec.limits`) on the module's target (`exec.target`): kernels take the device one
    after the other, exchanges the link one after the other, both at once. (Between ranks of one process
    nothing works in the background: there, what is hidden is the time until the other ranks arrive.)

    Precondition: kernels are outlined, collectives started (`--exec-start-collectives`), no waits yet. Postcondition: the same
    operations in an order that respects all dependencies. Leaves alone: functions that have no tokens, or that the new order would not make
    faster; the order of launches that touch one cache.

    Statistics: operations `moved` (the fewest that explain the new order), `exchange-ns` of a step at the batch limit, estimated, and
    of these `hidden-ns`.
  }];
  let dependentDialects = ["::epigraph::ep::EpDialect"];
}

def InsertWaitsPass : Pass<"exec-insert-waits", "::mlir::ModuleOp"> {
  let summary = "materializes the fewest waits for collectives under way";
  let description = [{
    A wait stands before the first operation that reads a result of a collective, as late as that allows, and one before
    the function's end if anything is under way there. It waits for the latest collective that the reader needs, and with that for all that
    started before; what started after goes on. No wait is redundant: without any one of them,
    `--exec-verify-waits` fails. A collective whose wait would stand right behind it loses its token and waits by itself.
    Waits that are there already count; those that wait for nothing are erased.

    Precondition: memory is not planned yet (`--exec-plan-memory` keeps memory in flight until the waits).
    Postcondition: `--exec-verify-waits` holds. Leaves alone: functions without tokens, and the order of operations.

    Statistics: `started`, collectives that keep their token; `waits` inserted; `naive-waits`, if every collective had its
    own; `tokens-taken` from collectives that are waited for at once.
  }];
  let dependentDialects = ["::epigraph::ep::EpDialect"];
}

def VerifyWaitsPass : Pass<"exec-verify-waits", "::mlir::ModuleOp"> {
  let summary = "verifies that nothing touches what a collective under way needs";
  let description = [{
    Follows each function with the collectives that have started and those that have finished: a wait orders what comes
    before a collective's end before what comes after. Fails, at the operation that a wait is missing before, if it reads a
    result of a collective under way; if memory is planned, also if it writes memory that one reads, or touches
    memory that one writes. Fails at the end of a function with a collective under way, and at a wait that waits
    for nothing.

    Precondition: none. Changes nothing. Statistics: collectives `started`, `waits`.
  }];
}

#endif // EPIGRAPH_PASSES_SCHEDULE_PASSES_TD
