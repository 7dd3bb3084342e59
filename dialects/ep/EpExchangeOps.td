// Dispatch and combine through memory that ranks write for each other, each cut into what sends and what receives. Part of
// EpOps.td.
#ifndef EPIGRAPH_DIALECTS_EP_EPEXCHANGEOPS_TD
#define EPIGRAPH_DIALECTS_EP_EPEXCHANGEOPS_TD

class Ep_ExchangeOp<string mnemonic, list<Trait> traits = []> :
    Ep_Op<mnemonic, !listconcat(traits, [DeclareOpInterfaceMethods<SymbolUserOpInterface>])> {
  let hasVerifier = 1;
}

def Ep_DispatchSendOp : Ep_ExchangeOp<"dispatch_send"> {
  let summary = "writes each token's row into the memory of the ranks that own its experts";
  let description = [{
    The first half of a dispatch over the memory of peers (ranks that can write each other's). `x` is [rows, hidden], with
    `x_scale` [rows, blocks] where it is quantized; `ids` and `weights` are [rows, top_k]. A rank gets a token's row once, in the
    slot that belongs to the token, however many of the token's experts it owns; and the ids and weights of its choices.

    What a rank has sent stays there until the rank sends the next but one time. On every rank, exchanges go through
    `ep.dispatch_send`, `ep.dispatch_receive`, `ep.combine_send` and `ep.combine_receive` in this order, one exchange after the other;
    other operations may come in between, and hide the time that rows are under way.

    `capacity` is the most rows that a rank sends: `x` has no more under the module's limits.

    (C1) `ids` and `weights` agree in shape. (C2) `x` has scales if and only if it is f8E4M3FN. (C3) `capacity` is positive.
    (C4) the placement's ranks are those of the mesh along `expert`.

    ```mlir
    ep.dispatch_send %x, %ids, %w on @world {placement = #ep.placement<experts = 32, ranks = 2>, capacity = 128 : i64}
        : tensor<?x64xbf16>, tensor<?x4xi32>, tensor<?x4xf32>
    ```
  }];
  let arguments = (ins Epi_AnyFloatOfRank<[2]>:$x, Epi_IntOfRank<[2]>:$ids, Epi_F32OfRank<[2]>:$weights,
                       Optional<Epi_F32OfRank<[2]>>:$x_scale, FlatSymbolRefAttr:$mesh, Ep_PlacementAttr:$placement,
                       I64Attr:$capacity);
  let assemblyFormat = [{
    $x `,` $ids `,` $weights (`scale` $x_scale^)? `on` $mesh attr-dict `:` type($x) `,` type($ids) `,` type($weights)
    (`scale` type($x_scale)^)?
  }];
}

def Ep_DispatchReceiveOp : Ep_ExchangeOp<"dispatch_receive", [Epi_NamedResults]> {
  let summary = "orders the rows that all ranks have sent here by expert";
  let description = [{
    The second half of a dispatch over the memory of peers; waits for what the last `ep.dispatch_send` of every rank has sent here.
    `rows` and `counts` are those of `ep.dispatch`: ordered by (local expert, source rank, token, j). `received` [1] is the number of
    rows. Line s * capacity + t of `places` says which row each choice of token t of rank s has become, -1 where the expert is
    another rank's; that of `weights`, the weight of each choice. Lines of tokens that have not been sent are undefined.
    `row_scales` are the scales of quantized rows.

    (C1) `counts` has one element for each local expert. (C2) `places` and `weights` are [ranks * capacity, top_k]. (C3) there are
    `row_scales` if and only if `rows` is f8E4M3FN. (C4) `capacity` is positive, and the placement's ranks are those of the
    mesh along `expert`.

    ```mlir
    %rows, %counts, %received, %places, %w = ep.dispatch_receive on @world
        {placement = #ep.placement<experts = 32, ranks = 2>, capacity = 128 : i64}
        : tensor<?x64xbf16>, tensor<16xi32>, tensor<1xi32>, tensor<256x4xi32>, tensor<256x4xf32>
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$mesh, Ep_PlacementAttr:$placement, I64Attr:$capacity);
  let results = (outs Epi_AnyFloatOfRank<[2]>:$rows, Epi_IntOfRank<[1]>:$counts, Epi_IntOfRank<[1]>:$received,
                      Epi_IntOfRank<[2]>:$places, Epi_F32OfRank<[2]>:$weights, Optional<Epi_F32OfRank<[2]>>:$row_scales);
  let assemblyFormat = [{
    `on` $mesh attr-dict `:` type($rows) `,` type($counts) `,` type($received) `,` type($places) `,` type($weights)
    (`scale` type($row_scales)^)?
  }];
}

def Ep_CombineSendOp : Ep_ExchangeOp<"combine_send"> {
  let summary = "sends what this rank's experts made of each token back to the token's rank";
  let description = [{
    The first half of a combine over the memory of peers. `rows` is ordered as those of the `ep.dispatch_receive` that gave `places`
    and `weights`. To each other rank goes, for each of its tokens with an expert here, the sum of the token's rows here
    times their weights: in the order of j, in float32, rounded once to the element type of `rows`.

    (C1) `places` and `weights` agree in shape. (C2) the lines of `places` are `capacity` for each rank of the mesh along
    `expert`.

    ```mlir
    ep.combine_send %y, %places, %w on @world {capacity = 128 : i64} : tensor<?x64xbf16>, tensor<256x4xi32>, tensor<256x4xf32>
    ```
  }];
  let arguments = (ins Epi_FloatOfRank<[2]>:$rows, Epi_IntOfRank<[2]>:$places, Epi_F32OfRank<[2]>:$weights,
                       FlatSymbolRefAttr:$mesh, I64Attr:$capacity);
  let assemblyFormat = "$rows `,` $places `,` $weights `on` $mesh attr-dict `:` type($rows) `,` type($places) `,` type($weights)";
}

def Ep_CombineReceiveOp : Ep_ExchangeOp<"combine_receive"> {
  let summary = "adds up what all ranks' experts made of this rank's tokens";
  let description = [{
    The second half of a combine over the memory of peers. `ids` and `weights` are those of the dispatch; `rows` and `places` as in
    `ep.combine_send`. result[t] is the sum, in float32, of this rank's rows of the token times their weights, in the order of j,
    and of the other ranks' sums, in the order of ranks; rounded once. That is `ep.combine` but for the rounding of the other
    ranks' sums, and the order of the terms.

    (C1) `ids` and `weights` agree in shape. (C2) the lines of `places` are `capacity` for each rank of the placement, which
    are those of the mesh along `expert`. (C3) the result is [rows of ids, hidden], of the element type of `rows`.

    ```mlir
    %r = ep.combine_receive %y, %places, %ids, %w on @world {placement = #ep.placement<experts = 32, ranks = 2>, capacity = 128 : i64}
        : tensor<?x64xbf16>, tensor<256x4xi32>, tensor<?x4xi32>, tensor<?x4xf32> -> tensor<?x64xbf16>
    ```
  }];
  let arguments = (ins Epi_FloatOfRank<[2]>:$rows, Epi_IntOfRank<[2]>:$places, Epi_IntOfRank<[2]>:$ids,
                       Epi_F32OfRank<[2]>:$weights, FlatSymbolRefAttr:$mesh, Ep_PlacementAttr:$placement, I64Attr:$capacity);
  let results = (outs Epi_FloatOfRank<[2]>:$result);
  let assemblyFormat = [{
    $rows `,` $places `,` $ids `,` $weights `on` $mesh attr-dict `:` type($rows) `,` type($places) `,` type($ids) `,` type($weights)
    `->` type($result)
  }];
}

#endif // EPIGRAPH_DIALECTS_EP_EPEXCHANGEOPS_TD
