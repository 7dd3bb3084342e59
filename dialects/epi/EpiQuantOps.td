// Quantized values: from 8-bit floats and scales to wide floats, and back.
#ifndef EPIGRAPH_DIALECTS_EPI_EPIQUANTOPS_TD
#define EPIGRAPH_DIALECTS_EPI_EPIQUANTOPS_TD

include "dialects/epi/EpiBase.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Epi_DequantizeOp : Epi_Op<"dequantize", [Pure]> {
  let summary = "quantized values times the scale of their block";
  let description = [{
    `x` is [N, K] or [experts, N, K], cut along its last two dimensions into blocks of `block` elements, the last of which may be
    partial; `scales` is [ceil(N/block[0]), ceil(K/block[1])], after the experts. result[n, k] = x[n, k] * scales[n / block[0],
    k / block[1]], computed in float32 and rounded once. It is how a checkpoint's FP8 weights are imported; a product that
    takes scales itself (`epi.linear`) needs no dequantized copy.

    (C1) `block` has two positive sizes. (C2) `scales` has the shape above. (C3) `x` and the result agree in shape.

    ```mlir
    %w = epi.dequantize %q, %s {block = array<i64: 128, 128>}
        : tensor<576x7168xf8E4M3FN>, tensor<5x56xf32> -> tensor<576x7168xbf16>
    ```
  }];
  let arguments = (ins Epi_F8OfRank<[2, 3]>:$x, Epi_F32OfRank<[2, 3]>:$scales, DenseI64ArrayAttr:$block);
  let results = (outs Epi_FloatOfRank<[2, 3]>:$result);
  let assemblyFormat = "$x `,` $scales attr-dict `:` type($x) `,` type($scales) `->` type($result)";
  let hasVerifier = 1;
}

def Epi_QuantizeOp : Epi_Op<"quantize", [Pure, Epi_NamedResults]> {
  let summary = "activations as 8-bit floats, with a scale for each row's blocks of columns";
  let description = [{
    `x` is [rows, K]; each row is cut into blocks of `block[1]` columns, the last of which may be partial. In float32, for the
    block with largest magnitude amax: scale = max(amax, 1e-4) / 448, and each value is x / scale, rounded to the nearest
    f8E4M3FN, to even in a tie, and held to the largest, 448. The least amax keeps a block of zeros, or of almost nothing, from
    dividing by zero (as DeepSeek's act_quant and DeepGEMM do). `scales` is [rows, ceil(K/block[1])].

    (C1) `block` is one row and a positive number of columns. (C2) `quantized` and `x` agree in shape. (C3) `scales` has the
    shape above.

    ```mlir
    %q, %s = epi.quantize %x {block = array<i64: 1, 128>} : tensor<?x7168xbf16> -> tensor<?x7168xf8E4M3FN>, tensor<?x56xf32>
    ```
  }];
  let arguments = (ins Epi_FloatOfRank<[2]>:$x, DenseI64ArrayAttr:$block);
  let results = (outs Epi_F8OfRank<[2]>:$quantized, Epi_F32OfRank<[2]>:$scales);
  let assemblyFormat = "$x attr-dict `:` type($x) `->` type($quantized) `,` type($scales)";
  let hasVerifier = 1;
  let builders = [OpBuilder<(ins "::mlir::Value":$x), [{
    auto type = ::llvm::cast<::mlir::RankedTensorType>(x.getType());
    build($_builder, $_state, type.clone($_builder.getType<::mlir::Float8E4M3FNType>()),
          ::mlir::RankedTensorType::get(scaleShape(type.getShape(), {1, kScaleBlock}), $_builder.getF32Type()), x,
          $_builder.getDenseI64ArrayAttr({1, kScaleBlock}));
  }]>];
}

#endif // EPIGRAPH_DIALECTS_EPI_EPIQUANTOPS_TD
