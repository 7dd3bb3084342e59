// Passes that prepare a schedule for the CPU code generator.
#ifndef EPIGRAPH_CODEGEN_CPU_PASSES_TD
#define EPIGRAPH_CODEGEN_CPU_PASSES_TD

include "mlir/Pass/PassBase.td"

def PackWeightsPass : Pass<"cpu-pack-weights", "::mlir::ModuleOp"> {
  let summary = "packs the weights of projections into the layout that CPU kernels read";
  let description = [{
    A weight that kernels use as `w` of linear, head_linear or grouped_linear gets an `exec.pack` at
    the end of its program: panels of 32 output columns, contiguous along K in groups of 32 bits.
    The encoded type goes through its loads, the launches and the kernels' signatures. A weight that
    is read both packed and as it is (a tied embedding) becomes two, the packed one named
    NAME.packed.

    Precondition: kernels are outlined, and every `w` is a kernel argument that all launches fill
    from `exec.load_weight`. Postcondition: every `w` of these operations is packed. Leaves alone:
    weights that are read otherwise (norms, embeddings, tables), and those that are packed already.

    Statistics: `weights` packed, `copies` made of weights that are also read unpacked,
    `padding-bytes` that packing adds.
  }];
  let dependentDialects = ["::epigraph::exec::ExecDialect"];
}

#endif // EPIGRAPH_CODEGEN_CPU_PASSES_TD
