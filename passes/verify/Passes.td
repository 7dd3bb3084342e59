// Passes that only look.
#ifndef EPIGRAPH_PASSES_VERIFY_PASSES_TD
#define EPIGRAPH_PASSES_VERIFY_PASSES_TD

include "mlir/Pass/PassBase.td"

def VerifyPhasePass : Pass<"epigraph-verify-phase", "::mlir::ModuleOp"> {
  let summary = "verifies what a phase of the compilation promises to the next";
  let description = [{
    Checks the postconditions of `phase`, beyond what the verifiers of operations say, and fails at the first operation that breaks
    one, with what was expected and which pass should have seen to it:

    * every phase up to partition: fusion groups are what kernels can be built around (one operation at most that is
      neither row-wise nor a view, no group and no weight inside); where `passes` says that a pass ran, what that pass
      promises: `epi-elide-dead-weights`, that no weight is unused (in the phase that runs it), and `epi-eliminate-common`, if it came
      last, that no operation is computed twice;
    * quantize and later: with `compute=float32`, no bf16 outside weight expressions;
    * partition and later: no `epi.experts`; at most one mesh, and everything between ranks is on it;
    * schedule and later: functions hold weights loaded, caches, launches, exchanges, waits and the return, and nothing else;
      kernels hold neither weights, groups, caches named, nor exchanges;
    * plan-memory: every function's memory is planned; with `plans`, memory and waits are right too (`--exec-verify-memory-plan`,
      `--exec-verify-waits`), which takes longer than all else and which the phase's own passes have checked;
    * codegen: every projection reads its weight packed, from an argument of its kernel.

    The pipeline runs it after the passes of each phase, and again without `passes` after inserted ones, which may leave what
    the phase's own passes would not, and with `plans`. `--disable-pass=epigraph-verify-phase` leaves it out. Changes nothing.

    Statistic: `ops` looked at.
  }];
  let options = [
    Option<"phase", "phase", "std::string", /*default=*/"", "the phase that has just run">,
    Option<"compute", "compute", "std::string", /*default=*/"\"bfloat16\"", "type of --compute: float32 or bfloat16">,
    Option<"plans", "plans", "bool", /*default=*/"true", "whether to check all of a memory plan">,
    ListOption<"passes", "passes", "std::string", "flags of the optimisations that ran in the phase, in order">
  ];
}

#endif // EPIGRAPH_PASSES_VERIFY_PASSES_TD
