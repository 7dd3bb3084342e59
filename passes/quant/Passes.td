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

    FP8 weights keep their type and their scales: their `epi.dequantize` gives f32.

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

def FoldDequantizePass : Pass<"epi-fold-dequantize", "::mlir::ModuleOp"> {
  let summary = "folds the scales of FP8 weights into the products that read them";
  let description = [{
    A linear or grouped linear whose weight is an `epi.dequantize` takes the FP8 values and their scales itself, so that
    neither file nor memory holds a dequantized copy. Between the two may stand what makes a rank's part of a weight
    (`ep.local_experts`, `ep.local_shard`) and `epi.concat`: they are applied to values and scales apart.

    Values are divided into 128x128 blocks from their own first row and column on, so a cut must leave each tile of its
    part inside one block of the whole: parts of a multiple of 128, or parts that a block holds a whole number of. The
    scales are then those of these blocks, repeated where several parts share one. A cut that leaves no such tiles is
    refused: ranks would have to compute with other numbers than the checkpoint's. Of a concatenation each part but the last must end
    with a block; --epi-fuse-projections joins no others.

    A dequantized weight that anything else reads (the halves of an absorbed up-projection, an embedding) stays, is
    evaluated by the weight program, and a remark says which and why.

    Precondition: experts are partitioned (no `epi.experts`), weights are not hoisted yet. Postcondition: no linear or grouped linear
    reads a dequantized weight that it could read as values and scales. Leaves alone: weights that are not quantized.

    Statistics: `folded` products, `retiled` weights whose scales are repeated, `dequantized` operands that stay.
  }];
  let dependentDialects = ["::epigraph::epi::EpiDialect", "::epigraph::ep::EpDialect"];
}

def QuantizeActivationsPass : Pass<"epi-quantize-activations", "::mlir::ModuleOp"> {
  let summary = "quantizes the inputs of products with FP8 weights";
  let description = [{
    For targets whose matrix units multiply FP8 by FP8. The input of each linear and grouped linear that has an FP8 weight with scales
    is quantized in blocks of one row and 128 columns (`epi.quantize`), once for all products that read it. That
    rounds activations to four significant bits, as DeepSeek-V3 was trained to bear; products without FP8 weights (router, head, the
    absorbed up-projection) keep their inputs.

    Precondition: --epi-fold-dequantize has run. Postcondition: every product with an FP8 weight has an FP8 input. Leaves alone:
    everything else.

    Statistics: `products` whose input is quantized, `inputs` that became so.
  }];
  let dependentDialects = ["::epigraph::epi::EpiDialect"];
}

def FuseQuantizePass : Pass<"epi-fuse-quantize", "::mlir::ModuleOp"> {
  let summary = "quantizes activations in the kernels that make them";
  let description = [{
    An `epi.quantize` goes into the fusion group, or joins the operation, that makes its operand: row-wise operations and norms, and
    projections with what follows them. So a row is quantized where it is in registers, and what nothing else reads is
    never stored wide. It goes into an `epi.head_linear`, too, whose heads it alone reads one after the other
    ("head_linear_quantize"): where a head's columns are whole blocks of 128, and its matrix (bf16, up to 128 KiB, rows a multiple of 64 bytes) fits the
    fast memory that a block of a target's kernel has. Other kernels around heads, and those of attention, have no whole blocks of
    a row; what they make, and what is only viewed (split, reshape), is quantized by a kernel of its own.

    Precondition: kernels are fused otherwise. Postcondition: no quantization reads what a row-wise operation, projection or
    group of such made in its block. Leaves alone: everything else.

    Statistics: `groups` formed or extended, `row-bytes` no longer written or read for each row.
  }];
  let dependentDialects = ["::epigraph::epi::EpiDialect"];
}

#endif // EPIGRAPH_PASSES_QUANT_PASSES_TD
