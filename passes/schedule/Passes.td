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
    once share memory. An operation's results never overlap its operands; a function's results stay to its end.
    `exec.arena_bytes` on the function says how large the arena is. The plan is checked before the pass ends.

    Precondition: kernels are outlined; the module has `exec.limits`. Postcondition: `--exec-verify-memory-plan`
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

#endif // EPIGRAPH_PASSES_SCHEDULE_PASSES_TD
