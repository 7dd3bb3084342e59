// Experts: routing and the routed feed-forward network.
#ifndef EPIGRAPH_DIALECTS_EPI_EPIEXPERTOPS_TD
#define EPIGRAPH_DIALECTS_EPI_EPIEXPERTOPS_TD

include "dialects/epi/EpiBase.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Epi_RouteOp : Epi_Op<"route", [Pure, Epi_NamedResults]> {
  let summary = "chooses the experts of each token and their weights";
  let description = [{
    `logits` is [rows, experts] from the router. Per row:
    1. scores = sigmoid or softmax of the logits (`score`), or the logits themselves (`identity`: they are scores already);
    2. choice = scores + `bias` if there is one (DeepSeek-V3's correction bias: it moves the choice, not the weight);
    3. with `groups` > 1, experts lie in equal groups; a group's score is the sum of its two best choices or its best one
       (`group_score`), and only the best `top_groups` groups take part;
    4. the `top_k` experts with the highest choice are taken, in falling order; the lower id wins a tie;
    5. weights = scores of the chosen experts, divided by their sum (+ 1e-20) if `normalize`, times `scale`.
    `ids` and `weights` are [rows, top_k].

    (C1) `bias` has one element for each expert. (C2) `groups` divides the experts; 1 <= `top_groups` <= `groups`. (C3) 1 <= `top_k` <=
    experts in `top_groups` groups. (C4) `ids` and `weights` are [rows, top_k].

    ```mlir
    %ids, %w = epi.route %logits bias %b {score = #epi.score<sigmoid>, top_k = 8 : i64, groups = 8 : i64,
                 top_groups = 4 : i64, group_score = #epi.group_score<top2_sum>, normalize, scale = 2.5 : f64}
             : tensor<?x256xf32> bias tensor<256xf32> -> tensor<?x8xi32>, tensor<?x8xf32>
    ```
  }];
  let arguments = (ins Epi_F32OfRank<[2]>:$logits, Optional<Epi_F32OfRank<[1]>>:$bias,
                       Epi_ScoreFunctionAttr:$score, I64Attr:$top_k, I64Attr:$groups, I64Attr:$top_groups,
                       Epi_GroupScoreAttr:$group_score, UnitAttr:$normalize, F64Attr:$scale);
  let results = (outs Epi_IntOfRank<[2]>:$ids, Epi_F32OfRank<[2]>:$weights);
  let assemblyFormat = [{
    $logits (`bias` $bias^)? attr-dict `:` type($logits) (`bias` type($bias)^)? `->` type($ids) `,` type($weights)
  }];
  let hasVerifier = 1;
}

def Epi_ExpertsOp : Epi_Op<"experts", [Pure, AllTypesMatch<["x", "result"]>]> {
  let summary = "the routed feed-forward network over all experts";
  let description = [{
    result[t] = sum over j of weights[t, j] * down[e] (silu(gate[e] x[t]) * (up[e] x[t])), with e = ids[t, j], summed in the order
    of j in float32. `gate` and `up` are [experts, inner, hidden], `down` is [experts, hidden, inner]. With `biases`, each
    projection adds its expert's row: [experts, inner] for gate and up, [experts, hidden] for down. With `clamp`, the
    activation is `epi.clamped_swiglu` of gate and up.

    (C1) `ids` and `weights` agree in shape. (C2) the three weights agree in experts and inner size, and with `x` in
    hidden size. (C3) there are no biases, or three: of gate, up and down.

    ```mlir
    %y = epi.experts %x, %ids, %w, %gate, %up, %down
        : tensor<?x64xbf16>, tensor<?x2xi32>, tensor<?x2xf32>, tensor<8x32x64xbf16>, tensor<8x32x64xbf16>, tensor<8x64x32xbf16>
    ```
  }];
  let arguments = (ins Epi_FloatOfRank<[2]>:$x, Epi_IntOfRank<[2]>:$ids, Epi_F32OfRank<[2]>:$weights,
                       Epi_FloatOfRank<[3]>:$gate, Epi_FloatOfRank<[3]>:$up, Epi_FloatOfRank<[3]>:$down,
                       Variadic<Epi_FloatOfRank<[2]>>:$biases, OptionalAttr<Epi_ClampedSwigluAttr>:$clamp);
  let results = (outs Epi_FloatOfRank<[2]>:$result);
  let assemblyFormat = [{
    $x `,` $ids `,` $weights `,` $gate `,` $up `,` $down (`biases` $biases^)? attr-dict `:` type($x) `,` type($ids) `,`
    type($weights) `,` type($gate) `,` type($up) `,` type($down) (`biases` type($biases)^)?
  }];
  let hasVerifier = 1;
}

def Epi_PermuteOp : Epi_Op<"permute", [Pure, Epi_NamedResults]> {
  let summary = "copies each token's row once for each of its experts, ordered by expert";
  let description = [{
    `x` is [rows, hidden], `ids` [rows, top_k]. `rows` is [rows * top_k, hidden], ordered by expert and, for one
    expert, by (token, j); `slots` [rows, top_k] says where the row of (t, j) went; `counts` [experts] how many rows each expert got.

    (C1) `rows` and `x` agree in hidden size and element type. (C2) `slots` and `ids` agree in shape.

    ```mlir
    %rows, %slots, %counts = epi.permute %x, %ids
        : tensor<?x64xbf16>, tensor<?x2xi32> -> tensor<?x64xbf16>, tensor<?x2xi32>, tensor<8xi32>
    ```
  }];
  let arguments = (ins Epi_AnyFloatOfRank<[2]>:$x, Epi_IntOfRank<[2]>:$ids);
  let results = (outs Epi_AnyFloatOfRank<[2]>:$rows, Epi_IntOfRank<[2]>:$slots, Epi_IntOfRank<[1]>:$counts);
  let assemblyFormat = "operands attr-dict `:` type(operands) `->` type($rows) `,` type($slots) `,` type($counts)";
  let hasVerifier = 1;
}

def Epi_UnpermuteOp : Epi_Op<"unpermute", [Pure]> {
  let summary = "the weighted sum of the rows that came back for each token";
  let description = [{
    result[t] = sum over j of weights[t, j] * rows[slots[t, j]], in the order of j, in float32.

    (C1) `slots` and `weights` agree in shape. (C2) `rows` and the result agree in hidden size.

    ```mlir
    %y = epi.unpermute %rows, %slots, %w : tensor<?x64xbf16>, tensor<?x2xi32>, tensor<?x2xf32> -> tensor<?x64xbf16>
    ```
  }];
  let arguments = (ins Epi_FloatOfRank<[2]>:$rows, Epi_IntOfRank<[2]>:$slots, Epi_F32OfRank<[2]>:$weights);
  let results = (outs Epi_FloatOfRank<[2]>:$result);
  let assemblyFormat = "operands attr-dict `:` type(operands) `->` type($result)";
  let hasVerifier = 1;
}

def Epi_GroupedLinearOp : Epi_Op<"grouped_linear", [Pure, AttrSizedOperandSegments]> {
  let summary = "each group of rows times its own expert's weight";
  let description = [{
    `x` is [rows, K] ordered by expert, `counts` [experts] the number of rows of each, `w` is [experts, N, K]; the
    result is [rows, N] in the same order. Groups of any size, zero included. Rows past the sum of the counts are undefined.
    `bias` [experts, N] is added in float32, before the result is rounded. `x` and `w` may be quantized, with scales as in
    `epi.linear`: `x_scale` is [rows, ceil(K/128)], `w_scale` is [experts, ceil(N/128), ceil(K/128)].

    (C1) `counts` has one element for each expert of `w`. (C2) K agrees. (C3) the result is [rows, N]. (C4) `bias` is
    [experts, N]. (C5) an operand has scales if and only if it is f8E4M3FN. (C6) `x` has scales only if `w` has. (C7) scales
    have the shapes above.

    ```mlir
    %y = epi.grouped_linear %x, %counts, %w
        : (tensor<?x64xbf16>, tensor<8xi32>, tensor<8x32x64xbf16>) -> tensor<?x32xbf16>
    %z = epi.grouped_linear %x8 scale %xs, %counts, %w8 scale %ws
        : (tensor<?x64xf8E4M3FN> scale tensor<?x1xf32>, tensor<8xi32>, tensor<8x32x64xf8E4M3FN> scale tensor<8x1x1xf32>)
        -> tensor<?x32xbf16>
    ```
  }];
  let arguments = (ins Epi_AnyFloatOfRank<[2]>:$x, Epi_IntOfRank<[1]>:$counts, Epi_AnyFloatOfRank<[3]>:$w,
                       Optional<Epi_FloatOfRank<[2]>>:$bias, Optional<Epi_F32OfRank<[2]>>:$x_scale,
                       Optional<Epi_F32OfRank<[3]>>:$w_scale);
  let results = (outs Epi_FloatOfRank<[2]>:$result);
  let assemblyFormat = [{
    $x (`scale` $x_scale^)? `,` $counts `,` $w (`scale` $w_scale^)? (`bias` $bias^)? attr-dict `:` `(` type($x)
    (`scale` type($x_scale)^)? `,` type($counts) `,` type($w) (`scale` type($w_scale)^)? `)` (`bias` type($bias)^)? `->`
    type($result)
  }];
  let hasVerifier = 1;
  let builders = [OpBuilder<(ins "::mlir::Type":$result, "::mlir::Value":$x, "::mlir::Value":$counts,
                                 "::mlir::Value":$w, CArg<"::mlir::Value", "{}">:$bias), [{
    build($_builder, $_state, result, x, counts, w, bias, ::mlir::Value(), ::mlir::Value());
  }]>];
}

#endif // EPIGRAPH_DIALECTS_EPI_EPIEXPERTOPS_TD
