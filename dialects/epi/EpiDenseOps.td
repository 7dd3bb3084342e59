// Dense: projections, norms, rope, elementwise, shape.
#ifndef EPIGRAPH_DIALECTS_EPI_EPIDENSEOPS_TD
#define EPIGRAPH_DIALECTS_EPI_EPIDENSEOPS_TD

include "dialects/epi/EpiBase.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Epi_LinearOp : Epi_Op<"linear", [Pure, AttrSizedOperandSegments]> {
  let summary = "y = x W^T, accumulated in float32";
  let description = [{
    `x` is [rows, K], `w` is [N, K] as checkpoints store it, the result is [rows, N]. Products are summed in float32 and
    rounded once to the result's type.

    A quantized (f8E4M3FN) `w` comes with `w_scale`, [ceil(N/128), ceil(K/128)]: one scale for each 128x128 block, the last
    of a row or column may be partial. A quantized `x` comes with `x_scale`, [rows, ceil(K/128)]: one scale for each row's 128
    columns. Values are multiplied by their scales in float32, so y = (x x_scale) (w w_scale)^T.

    (C1) K of `x` and `w` agree. (C2) the result is [rows, N]. (C3) an operand has scales if and only if it is f8E4M3FN.
    (C4) `x` has scales only if `w` has. (C5) scales have the shapes above.

    ```mlir
    %y = epi.linear %x, %w : (tensor<?x7168xbf16>, tensor<1536x7168xbf16>) -> tensor<?x1536xbf16>
    %z = epi.linear %x, %w8 scale %ws
        : (tensor<?x7168xbf16>, tensor<1536x7168xf8E4M3FN> scale tensor<12x56xf32>) -> tensor<?x1536xbf16>
    %u = epi.linear %x8 scale %xs, %w8 scale %ws
        : (tensor<?x7168xf8E4M3FN> scale tensor<?x56xf32>, tensor<1536x7168xf8E4M3FN> scale tensor<12x56xf32>)
        -> tensor<?x1536xbf16>
    ```
  }];
  let arguments = (ins Epi_AnyFloatOfRank<[2]>:$x, Epi_AnyFloatOfRank<[2]>:$w, Optional<Epi_F32OfRank<[2]>>:$x_scale,
                       Optional<Epi_F32OfRank<[2]>>:$w_scale);
  let results = (outs Epi_FloatOfRank<[2]>:$result);
  let assemblyFormat = [{
    $x (`scale` $x_scale^)? `,` $w (`scale` $w_scale^)? attr-dict `:` `(` type($x) (`scale` type($x_scale)^)? `,` type($w)
    (`scale` type($w_scale)^)? `)` `->` type($result)
  }];
  let hasVerifier = 1;
  let builders = [OpBuilder<(ins "::mlir::Type":$result, "::mlir::Value":$x, "::mlir::Value":$w), [{
    build($_builder, $_state, result, x, w, ::mlir::Value(), ::mlir::Value());
  }]>];
}

def Epi_HeadLinearOp : Epi_Op<"head_linear", [Pure]> {
  let summary = "a projection of its own for each head";
  let description = [{
    `x` is [rows, heads, K], `w` is [heads, N, K], the result is [rows, heads, N]: result[t, h] = w[h] x[t, h]. It
    stands for a batched matrix product between two transpositions and needs neither.

    (C1) heads and K of `x` and `w` agree. (C2) the result is [rows, heads, N].

    ```mlir
    %y = epi.head_linear %x, %w : (tensor<?x6x32xbf16>, tensor<6x64x32xbf16>) -> tensor<?x6x64xbf16>
    ```
  }];
  let arguments = (ins Epi_FloatOfRank<[3]>:$x, Epi_FloatOfRank<[3]>:$w);
  let results = (outs Epi_FloatOfRank<[3]>:$result);
  let assemblyFormat = "$x `,` $w attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Epi_EmbeddingOp : Epi_Op<"embedding", [Pure]> {
  let summary = "the table's row of each token id";
  let description = [{
    `ids` is [rows], `table` is [vocabulary, hidden], the result is [rows, hidden]. Ids lie in the vocabulary; the
    runtime refuses a batch in which they do not.

    (C1) the result is [rows, hidden]. (C2) the element types of table and result agree.

    ```mlir
    %x = epi.embedding %ids, %table : (tensor<?xi32>, tensor<2048x192xbf16>) -> tensor<?x192xbf16>
    ```
  }];
  let arguments = (ins Epi_IntOfRank<[1]>:$ids, Epi_FloatOfRank<[2]>:$table);
  let results = (outs Epi_FloatOfRank<[2]>:$result);
  let assemblyFormat = "$ids `,` $table attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Epi_RmsNormOp : Epi_Op<"rms_norm", [Pure, AllTypesMatch<["x", "result"]>]> {
  let summary = "x / sqrt(mean(x^2) + eps) * w, row by row";
  let description = [{
    The mean is over the last dimension, in float32 (Zhang and Sennrich, 2019). `x` is [rows, columns], or [rows, heads,
    columns] where each head is normalised by itself.

    (C1) `w` has one element for each of the last dimension of `x`. (C2) `eps` is positive.

    ```mlir
    %y = epi.rms_norm %x, %w {eps = 1.0e-6 : f64} : tensor<?x7168xbf16>, tensor<7168xbf16>
    ```
  }];
  let arguments = (ins Epi_FloatOfRank<[2, 3]>:$x, Epi_FloatOfRank<[1]>:$w, F64Attr:$eps);
  let results = (outs Epi_FloatOfRank<[2, 3]>:$result);
  let assemblyFormat = "$x `,` $w attr-dict `:` type($x) `,` type($w)";
  let hasVerifier = 1;
}

def Epi_RopeTableOp : Epi_Op<"rope_table", [Pure]> {
  let summary = "cosines and sines of the rotary embedding, for every position";
  let description = [{
    The result is [positions, dims]: row p holds magnitude * cos(p f_i) for i < dims/2, then magnitude * sin(p f_i), with
    f_i = theta^(-2i/dims), stretched as `yarn` or `llama3` says if it is there. It depends on nothing, so it is part of the weight
    program.

    (C1) the result has a static shape and an even second dimension. (C2) `theta` and `magnitude` are positive. (C3) there is
    `yarn` or `llama3` or neither.

    ```mlir
    %t = epi.rope_table {theta = 1.0e4 : f64, magnitude = 1.0 : f64} : tensor<4096x64xf32>
    ```
  }];
  let arguments = (ins F64Attr:$theta, F64Attr:$magnitude, OptionalAttr<Epi_YarnAttr>:$yarn,
                       OptionalAttr<Epi_Llama3RopeAttr>:$llama3);
  let results = (outs Epi_F32OfRank<[2]>:$result);
  let assemblyFormat = "attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Epi_RopeOp : Epi_Op<"rope", [Pure, AllTypesMatch<["x", "result"]>]> {
  let summary = "rotary position embedding of the last dimension";
  let description = [{
    Rotates pairs of the first `dims` elements of the last dimension by the angle of the row's position, and leaves the
    rest. Pairs are (2i, 2i+1) if `interleaved`, else (i, i + dims/2). `x` is [rows, columns] or [rows, heads, columns];
    `table` is an `epi.rope_table` [positions, dims].

    (C1) the last dimension of `x` is at least the table's second.

    ```mlir
    %y = epi.rope %x, %table, %step {interleaved} : tensor<?x128x64xbf16>, tensor<4096x64xf32>
    ```
  }];
  let arguments = (ins Epi_FloatOfRank<[2, 3]>:$x, Epi_F32OfRank<[2]>:$table, Epi_StepType:$step,
                       UnitAttr:$interleaved);
  let results = (outs Epi_FloatOfRank<[2, 3]>:$result);
  let assemblyFormat = "$x `,` $table `,` $step attr-dict `:` type($x) `,` type($table)";
  let hasVerifier = 1;
}

class Epi_BinaryOp<string mnemonic, string what> : Epi_Op<mnemonic, [
    Pure, SameOperandsAndResultElementType, AllTypesMatch<["lhs", "result"]>]> {
  let summary = what;
  let arguments = (ins Epi_FloatTensor:$lhs, Epi_FloatTensor:$rhs);
  let results = (outs Epi_FloatTensor:$result);
  let assemblyFormat = "$lhs `,` $rhs attr-dict `:` type($result) custom<BroadcastType>(type($rhs), ref(type($result)))";
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// How `rhs` meets `lhs`.
    ::epigraph::epi::Broadcast getBroadcast();
  }];
}

def Epi_AddOp : Epi_BinaryOp<"add", "elementwise sum"> {
  let description = [{
    `rhs` has the type of `lhs`, or is a vector [columns] that meets every row (a bias), or [rows, 1], one value that meets
    the whole row.

    (C1) `rhs` is one of the three.

    ```mlir
    %z = epi.add %x, %y : tensor<?x64xbf16>
    %b = epi.add %x, %bias : tensor<?x64xbf16>, tensor<64xbf16>
    ```
  }];
}

def Epi_MulOp : Epi_BinaryOp<"mul", "elementwise product"> {
  let description = [{
    `rhs` as in `epi.add`.

    (C1) `rhs` is one of the three.

    ```mlir
    %z = epi.mul %x, %y : tensor<?x64xbf16>
    %s = epi.mul %x, %gate : tensor<?x64xbf16>, tensor<?x1xbf16>
    ```
  }];
}

def Epi_SigmoidOp : Epi_Op<"sigmoid", [Pure, Elementwise, SameOperandsAndResultType]> {
  let summary = "1 / (1 + exp(-x)), elementwise";
  let description = [{
    ```mlir
    %y = epi.sigmoid %x : tensor<?x1xbf16>
    ```
  }];
  let arguments = (ins Epi_FloatTensor:$x);
  let results = (outs Epi_FloatTensor:$result);
  let assemblyFormat = "$x attr-dict `:` type($result)";
}

def Epi_SoftmaxOp : Epi_Op<"softmax", [Pure, AllTypesMatch<["x", "result"]>]> {
  let summary = "exp(x) / sum(exp(x)) over the last dimension, row by row";
  let description = [{
    In float32, with the row's maximum taken off first.

    ```mlir
    %y = epi.softmax %x : tensor<?x64xf32>
    ```
  }];
  let arguments = (ins Epi_FloatOfRank<[2]>:$x);
  let results = (outs Epi_FloatOfRank<[2]>:$result);
  let assemblyFormat = "$x attr-dict `:` type($result)";
}

def Epi_ClampedSwigluOp : Epi_Op<"clamped_swiglu", [Pure, Elementwise, SameOperandsAndResultType]> {
  let summary = "the gated activation of gpt-oss, elementwise";
  let description = [{
    With g = min(gate, limit) and u = clamp(up, -limit, limit): (u + 1) * g / (1 + exp(-alpha g)) (OpenAI, gpt-oss, 2025).

    ```mlir
    %y = epi.clamped_swiglu %gate, %up {clamp = #epi.clamp<alpha = 1.702, limit = 7.0>} : tensor<?x64xbf16>
    ```
  }];
  let arguments = (ins Epi_FloatTensor:$gate, Epi_FloatTensor:$up, Epi_ClampedSwigluAttr:$clamp);
  let results = (outs Epi_FloatTensor:$result);
  let assemblyFormat = "$gate `,` $up attr-dict `:` type($result)";
}

def Epi_SiluOp : Epi_Op<"silu", [Pure, Elementwise, SameOperandsAndResultType]> {
  let summary = "x / (1 + exp(-x)), elementwise";
  let description = [{
    ```mlir
    %y = epi.silu %x : tensor<?x64xbf16>
    ```
  }];
  let arguments = (ins Epi_FloatTensor:$x);
  let results = (outs Epi_FloatTensor:$result);
  let assemblyFormat = "$x attr-dict `:` type($result)";
}

def Epi_CastOp : Epi_Op<"cast", [Pure, Elementwise, SameOperandsAndResultShape]> {
  let summary = "the same values in another element type";
  let description = [{
    f32 to bf16 rounds to nearest even; bf16 to f32 is exact.

    ```mlir
    %y = epi.cast %x : tensor<64x64xbf16> to tensor<64x64xf32>
    ```
  }];
  let arguments = (ins Epi_FloatTensor:$x);
  let results = (outs Epi_FloatTensor:$result);
  let assemblyFormat = "$x attr-dict `:` type($x) `to` type($result)";
  let hasFolder = 1;
}

def Epi_ReshapeOp : Epi_Op<"reshape", [Pure]> {
  let summary = "the same elements under another shape";
  let description = [{
    Row-major order is kept, and so are the rows if their number is dynamic: only static dimensions are regrouped.

    (C1) the element types agree. (C2) a dynamic dimension is the first of both types or of neither. (C3) the static
    dimensions have equal products.

    ```mlir
    %y = epi.reshape %x : tensor<?x288xbf16> to tensor<?x6x48xbf16>
    ```
  }];
  let arguments = (ins Epi_Tensor:$x);
  let results = (outs Epi_Tensor:$result);
  let assemblyFormat = "$x attr-dict `:` type($x) `to` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

def Epi_TransposeOp : Epi_Op<"transpose", [Pure]> {
  let summary = "dimensions in another order";
  let description = [{
    Dimension i of the result is dimension `permutation[i]` of `x`.

    (C1) `permutation` is one of the dimensions of `x`. (C2) the shapes agree under it.

    ```mlir
    %y = epi.transpose %x [0, 2, 1] : tensor<6x32x64xbf16> to tensor<6x64x32xbf16>
    ```
  }];
  let arguments = (ins Epi_Tensor:$x, DenseI64ArrayAttr:$permutation);
  let results = (outs Epi_Tensor:$result);
  let assemblyFormat = "$x $permutation attr-dict `:` type($x) `to` type($result)";
  let hasVerifier = 1;
}

def Epi_SplitOp : Epi_Op<"split", [Pure]> {
  let summary = "consecutive parts along one dimension";
  let description = [{
    The sizes are the results' own. Parts of activations are read in place by the kernels that use them; nothing is copied.

    (C1) there are two or more results. (C2) `dim` is a static dimension of `x`. (C3) the results agree with `x`
    but for `dim`, where their sizes add up to it.

    ```mlir
    %c, %k = epi.split %x dim 1 : tensor<?x576xbf16> to tensor<?x512xbf16>, tensor<?x64xbf16>
    ```
  }];
  let arguments = (ins Epi_Tensor:$x, I64Attr:$dim);
  let results = (outs Variadic<Epi_Tensor>:$results);
  let assemblyFormat = "$x `dim` $dim attr-dict `:` type($x) `to` type($results)";
  let hasVerifier = 1;
  let hasCanonicalizer = 1;
  let extraClassDeclaration = [{
    /// First index along `dim` of result `index`.
    int64_t getOffset(unsigned index);
  }];
}

def Epi_ConcatOp : Epi_Op<"concat", [Pure]> {
  let summary = "values one after the other along one dimension";
  let description = [{
    (C1) there are one or more operands. (C2) `dim` is a static dimension. (C3) the operands agree with the
    result but for `dim`, where their sizes add up to it.

    ```mlir
    %w = epi.concat %q, %kv dim 0 : tensor<96x192xbf16>, tensor<80x192xbf16> to tensor<176x192xbf16>
    ```
  }];
  let arguments = (ins Variadic<Epi_Tensor>:$inputs, I64Attr:$dim);
  let results = (outs Epi_Tensor:$result);
  let assemblyFormat = "$inputs `dim` $dim attr-dict `:` type($inputs) `to` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

#endif // EPIGRAPH_DIALECTS_EPI_EPIDENSEOPS_TD
