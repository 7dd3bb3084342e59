// Passes that change the number formats of a model.
#ifndef EPIGRAPH_PASSES_QUANT_PASSES_TD
#define EPIGRAPH_PASSES_QUANT_PASSES_TD

include "mlir/Pass/PassBase.td"

def ConvertComputeTypePass : Pass<"epi-convert-compute-type", "::mlir::ModuleOp"> {
  let summary = "converts the type in which a model computes";
  let description = [{
    With `type=float32` every bf16 activation, cache, argument and result becomes f32; weights keep their type in the
    checkpoint and get an `epi.cast`, which the weight program evaluates. bf16 weights are exact in f32, so this
    computes what a float32 run of the checkpoint does. Casts that no longer change a type go.

    With `type=bfloat16` the graph stays in the types of its checkpoint: its bf16 values are rounded where the graph says,
    and what it computes in f32 (router, norms, softmax) is left so.

    Precondition: weights are not hoisted yet. Postcondition of `float32`: only tensors of the checkpoint are
    bf16. Leaves alone: integers.

    Statistics: `values` converted, `weights` cast, `casts` that went.
  }];
  let dependentDialects = ["::epigraph::epi::EpiDialect"];
  let options = [
    Option<"type", "type", "::epigraph::ComputeType", "::epigraph::ComputeType::BFloat16",
           "Type of activations and caches",
           [{::llvm::cl::values(
             clEnumValN(::epigraph::ComputeType::Float32, "float32", "32-bit floats throughout"),
             clEnumValN(::epigraph::ComputeType::BFloat16, "bfloat16", "As the checkpoint says"))}]>
  ];
}

#endif // EPIGRAPH_PASSES_QUANT_PASSES_TD
