// The ep dialect: where things are. Meshes, expert placement, and operations that move data between ranks.
#ifndef EPIGRAPH_DIALECTS_EP_EPOPS_TD
#define EPIGRAPH_DIALECTS_EP_EPOPS_TD

include "dialects/ep/EpEnums.td"
include "dialects/epi/EpiBase.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Ep_Dialect : Dialect {
  let name = "ep";
  let cppNamespace = "::epigraph::ep";
  let summary = "Where a model is computed: ranks, placement, dispatch and combine";
  let description = [{
    Every rank runs the same function (single program, multiple data). A value of the same SSA name may differ from rank to
    rank; operations of this dialect say how. All ranks execute the same collectives in the same order.
  }];
  let useDefaultTypePrinterParser = 1;
  let useDefaultAttributePrinterParser = 1;
}

def Ep_ExchangeType : TypeDef<Ep_Dialect, "Exchange"> {
  let mnemonic = "exchange";
  let summary = "which rows went where in a dispatch: what `ep.combine` needs to bring them back";
}

def Ep_TokenType : TypeDef<Ep_Dialect, "Token"> {
  let mnemonic = "token";
  let summary = "a collective under way: `ep.wait` for it";
  let description = [{
    An operation that gives a token only starts. Until an `ep.wait` for the token, or for that of a collective started
    later (they finish in the order in which they start), its operands must keep their values and its results may not be
    read. `--exec-verify-waits` checks that.
  }];
}

def Ep_AxisAttr : EnumAttr<Ep_Dialect, Ep_Axis, "axis"> {
  let assemblyFormat = "`<` $value `>`";
}

def Ep_AttentionModeAttr : EnumAttr<Ep_Dialect, Ep_AttentionMode, "attention"> {
  let assemblyFormat = "`<` $value `>`";
}

def Ep_PlacementAttr : AttrDef<Ep_Dialect, "Placement"> {
  let mnemonic = "placement";
  let summary = "which rank owns which expert";
  let description = [{
    Experts lie in slots; every rank has the same number of them, rank 0 the first. Without `slots`, expert e lies in
    slot e. With it, slot s holds expert `slots[s]`, so that experts may lie anywhere and a busy one in several slots: its
    replicas. Operations that move rows count in slots; `ep.assign_replicas` turns experts into slots.

    (C1) `ranks` divides the number of slots. (C2) each expert has a slot, and each slot one of the experts.

    Example: `#ep.placement<experts = 256, ranks = 8>`, `#ep.placement<experts = 3, ranks = 2, slots = [0, 1, 2, 0]>`
  }];
  let parameters = (ins "int64_t":$experts, "int64_t":$ranks, OptionalParameter<"::mlir::DenseI64ArrayAttr">:$slots);
  let assemblyFormat = "`<` `experts` `=` $experts `,` `ranks` `=` $ranks (`,` `slots` `=` $slots^)? `>`";
  let genVerifyDecl = 1;
  let builders = [AttrBuilder<(ins "int64_t":$experts, "int64_t":$ranks), [{
    return $_get($_ctxt, experts, ranks, ::mlir::DenseI64ArrayAttr());
  }]>];
  let extraClassDeclaration = [{
    /// Slots of all ranks: the experts, and their replicas.
    int64_t getNumSlots() const { return getSlots() ? getSlots().size() : getExperts(); }
    /// Slots of each rank.
    int64_t getLocalExperts() const { return getNumSlots() / getRanks(); }
    /// The rank that `slot` belongs to.
    int64_t getOwner(int64_t slot) const { return slot / getLocalExperts(); }
    /// The expert in `slot`.
    int64_t getExpertOf(int64_t slot) const { return getSlots() ? getSlots()[slot] : slot; }
    /// The slots of `expert`, ascending.
    ::llvm::SmallVector<int64_t> getReplicas(int64_t expert) const;
    /// The most slots that one expert has.
    int64_t getMostReplicas() const;
  }];
}

class Ep_Op<string mnemonic, list<Trait> traits = []> : Op<Ep_Dialect, mnemonic, traits>;

def Ep_MeshOp : Ep_Op<"mesh", [Symbol]> {
  let summary = "the ranks, as a named mesh";
  let description = [{
    `expert` groups of `tensor` ranks; rank r is member r % tensor of group r / tensor. The groups share the experts among
    them; the members of a group share the heads and columns of each projection. `attention` says whether all groups
    run attention on all tokens (`replicated`) or each on sequences of its own (`data`).

    A collective runs along one axis: along `expert` among the ranks that are the same member of their groups, along
    `tensor` among the members of one group.

    (C1) `expert` and `tensor` are positive.

    ```mlir
    ep.mesh @world {expert = 4 : i64, tensor = 2 : i64, attention = #ep.attention<replicated>}
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, I64Attr:$expert, DefaultValuedAttr<I64Attr, "1">:$tensor,
                       Ep_AttentionModeAttr:$attention);
  let assemblyFormat = "$sym_name attr-dict";
  let hasVerifier = 1;
  let builders = [OpBuilder<(ins "::llvm::StringRef":$name, "int64_t":$expert, "int64_t":$tensor,
                                 "AttentionMode":$attention)>];
  let extraClassDeclaration = [{
    /// Ranks of all groups.
    int64_t getRanks() { return getExpert() * getTensor(); }
    /// Ranks along `axis`.
    int64_t getSize(Axis axis) { return axis == Axis::Expert ? getExpert() : getTensor(); }
  }];
}

def Ep_LocalExpertsOp : Ep_Op<"local_experts", [Pure]> {
  let summary = "this rank's experts of a stack of weights";
  let description = [{
    Row i of the result is that of the expert in this rank's i-th slot.

    | rank | w, 4 experts on 2 ranks | result |
    |---|---|---|
    | 0 | e0 e1 e2 e3 | e0 e1 |
    | 1 | e0 e1 e2 e3 | e2 e3 |

    (C1) the first dimension of `w` is the placement's experts; that of the result its local experts; the others agree.

    ```mlir
    %l = ep.local_experts %w {placement = #ep.placement<experts = 32, ranks = 2>} : tensor<32x64x192xbf16> to tensor<16x64x192xbf16>
    ```
  }];
  let arguments = (ins Epi_Tensor:$w, Ep_PlacementAttr:$placement);
  let results = (outs Epi_Tensor:$result);
  let assemblyFormat = "$w attr-dict `:` type($w) `to` type($result)";
  let hasVerifier = 1;
}

def Ep_LocalShardOp : Ep_Op<"local_shard", [Pure]> {
  let summary = "this rank's part of a weight that several ranks share";
  let description = [{
    Dimension `dim` of `w` is cut into `parts` equal parts; of n ranks along `axis`, that at place i takes part
    i * parts / n, rounded down: with fewer parts than ranks, neighbours hold the same one. `parts` divides n.

    | place | w | result |
    |---|---|---|
    | 0 | a b c d | a b |
    | 1 | a b c d | c d |

    (C1) `dim` is a dimension of `w`, which `parts` divides; the result has one part of it, and the others agree.

    ```mlir
    %l = ep.local_shard %w {axis = #ep.axis<tensor>, dim = 0 : i64, parts = 2 : i64} : tensor<384x64xbf16> to tensor<192x64xbf16>
    ```
  }];
  let arguments = (ins Epi_Tensor:$w, Ep_AxisAttr:$axis, I64Attr:$dim, I64Attr:$parts);
  let results = (outs Epi_Tensor:$result);
  let assemblyFormat = "$w attr-dict `:` type($w) `to` type($result)";
  let hasVerifier = 1;
}

def Ep_ReplicaTableOp : Ep_Op<"replica_table", [Pure]> {
  let summary = "the slots of each expert, as a table for `ep.assign_replicas`";
  let description = [{
    Row e is [n, s_0, ..., s_n-1, 0, ...]: the number of replicas of expert e and their slots, ascending. It depends on nothing,
    so it is part of the weight program.

    (C1) the result is [experts, 1 + the most replicas of an expert].

    ```mlir
    %t = ep.replica_table {placement = #ep.placement<experts = 3, ranks = 2, slots = [0, 1, 2, 0]>} : tensor<3x3xi32>
    ```
  }];
  let arguments = (ins Ep_PlacementAttr:$placement);
  let results = (outs Epi_IntOfRank<[2]>:$result);
  let assemblyFormat = "attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Ep_AssignReplicasOp : Ep_Op<"assign_replicas", [Pure, AllTypesMatch<["ids", "result"]>]> {
  let summary = "chooses for each token and expert one of the expert's slots";
  let description = [{
    result[t, j] = slot t mod n of the n replicas of expert ids[t, j], so that the tokens of a batch take turns. `table` is
    an `ep.replica_table`.

    (C1) `table` has two or more columns.

    ```mlir
    %slots = ep.assign_replicas %ids, %table : tensor<?x4xi32>, tensor<32x3xi32>
    ```
  }];
  let arguments = (ins Epi_IntOfRank<[2]>:$ids, Epi_IntOfRank<[2]>:$table);
  let results = (outs Epi_IntOfRank<[2]>:$result);
  let assemblyFormat = "$ids `,` $table attr-dict `:` type($ids) `,` type($table)";
  let hasVerifier = 1;
}

def Ep_WaitOp : Ep_Op<"wait"> {
  let summary = "waits until collectives have finished";
  let description = [{
    All collectives up to and including those that gave `tokens` have finished when this has.

    (C1) there is a token.

    ```mlir
    ep.wait %t
    ```
  }];
  let arguments = (ins Variadic<Ep_TokenType>:$tokens);
  let assemblyFormat = "$tokens attr-dict";
  let hasVerifier = 1;
}

class Ep_MeshCollective<string mnemonic, string what, list<Trait> traits = [AllTypesMatch<["x", "result"]>]> :
    Ep_Op<mnemonic, !listconcat(traits, [DeclareOpInterfaceMethods<SymbolUserOpInterface>])> {
  let summary = what;
  let arguments = (ins Epi_Tensor:$x, FlatSymbolRefAttr:$mesh, DefaultValuedAttr<Ep_AxisAttr, "Axis::Expert">:$axis);
  let results = (outs Epi_Tensor:$result, Optional<Ep_TokenType>:$token);
  let assemblyFormat = "$x `on` $mesh attr-dict `:` type($x) (`,` type($token)^)?";
  let builders = [OpBuilder<(ins "::mlir::Value":$x, "::llvm::StringRef":$mesh, CArg<"Axis", "Axis::Expert">:$axis), [{
    build($_builder, $_state, x.getType(), ::mlir::Type(), x, mesh, axis);
  }]>];
}

def Ep_GatherColumnsOp : Ep_MeshCollective<"gather_columns", "all ranks' columns, in the order of ranks", []> {
  let description = [{
    | rank | x | result |
    |---|---|---|
    | 0 | a b | a b c d |
    | 1 | c d | a b c d |

    (C1) the result is [rows, columns of x times the ranks along `axis`].

    ```mlir
    %y = ep.gather_columns %x on @world {axis = #ep.axis<tensor>} : tensor<?x32xbf16> to tensor<?x64xbf16>
    ```
  }];
  let assemblyFormat = "$x `on` $mesh attr-dict `:` type($x) `to` type($result) (`,` type($token)^)?";
  let builders = [OpBuilder<(ins "::mlir::Type":$result, "::mlir::Value":$x, "::llvm::StringRef":$mesh, "Axis":$axis), [{
    build($_builder, $_state, result, ::mlir::Type(), x, mesh, axis);
  }]>];
}

def Ep_ShardColumnsOp : Ep_MeshCollective<"shard_columns", "this rank's share of replicated columns", []> {
  let description = [{
    What `ep.gather_columns` undoes. Nothing moves between ranks, so it gives no token.

    | rank | x | result |
    |---|---|---|
    | 0 | a b c d | a b |
    | 1 | a b c d | c d |

    (C1) the ranks along `axis` divide the columns of x; the result is [rows, columns / ranks].

    ```mlir
    %y = ep.shard_columns %x on @world {axis = #ep.axis<expert>} : tensor<?x64xbf16> to tensor<?x32xbf16>
    ```
  }];
  let assemblyFormat = "$x `on` $mesh attr-dict `:` type($x) `to` type($result) (`,` type($token)^)?";
  let builders = [OpBuilder<(ins "::mlir::Type":$result, "::mlir::Value":$x, "::llvm::StringRef":$mesh, "Axis":$axis), [{
    build($_builder, $_state, result, ::mlir::Type(), x, mesh, axis);
  }]>];
}

def Ep_ShardRowsOp : Ep_MeshCollective<"shard_rows", "this rank's share of replicated rows"> {
  let description = [{
    Rank r of R takes rows [T r / R, T (r + 1) / R) of the T rows that all ranks hold. Nothing moves between ranks, so
    it gives no token.

    | rank | x | result |
    |---|---|---|
    | 0 | a b c | a |
    | 1 | a b c | b c |

    ```mlir
    %y = ep.shard_rows %x on @world : tensor<?x64xbf16>
    ```
  }];
}

def Ep_AllGatherOp : Ep_MeshCollective<"all_gather", "all ranks' rows, in the order of ranks"> {
  let description = [{
    | rank | x | result |
    |---|---|---|
    | 0 | a | a b c |
    | 1 | b c | a b c |

    ```mlir
    %y = ep.all_gather %x on @world : tensor<?x64xbf16>
    ```
  }];
}

def Ep_AllReduceOp : Ep_MeshCollective<"all_reduce", "the sum over ranks, on all ranks"> {
  let description = [{
    Added in the order of ranks, in float32.

    | rank | x | result |
    |---|---|---|
    | 0 | a | a + b |
    | 1 | b | a + b |

    ```mlir
    %y = ep.all_reduce %x on @world : tensor<?x64xbf16>
    ```
  }];
}

def Ep_ReduceScatterOp : Ep_MeshCollective<"reduce_scatter", "this rank's share of the sum over ranks"> {
  let description = [{
    The rows that `ep.shard_rows` would take of what `ep.all_reduce` gives.

    | rank | x | result |
    |---|---|---|
    | 0 | a0 a1 | a0 + b0 |
    | 1 | b0 b1 | a1 + b1 |

    ```mlir
    %y = ep.reduce_scatter %x on @world : tensor<?x64xbf16>
    ```
  }];
}

def Ep_DispatchOp : Ep_Op<"dispatch", [Epi_NamedResults, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "sends each token's row to the owners of its experts";
  let description = [{
    `x` is [rows, hidden], `ids` [rows, top_k]. `rows` holds what arrived, ordered by (local expert, source rank, token,
    j); `counts` how many rows each local expert got. `exchange` remembers the way back.

    With more slots than experts, `ids` are slots (`ep.assign_replicas`) and what is said of experts holds for slots.

    With 4 experts on 2 ranks and top_k = 1 (a:2 is row a routed to expert 2):

    | rank | x:ids | rows | counts |
    |---|---|---|---|
    | 0 | a:2 b:0 | b d | [1, 1] |
    | 1 | c:3 d:1 | a c | [1, 1] |

    (C1) `counts` has one element for each local expert. (C2) `rows` and `x` agree in hidden size and element type. (C3) the
    placement's ranks are those of the mesh along `expert`.

    ```mlir
    %rows, %counts, %back = ep.dispatch %x, %ids on @world {placement = #ep.placement<experts = 32, ranks = 2>}
        : tensor<?x64xbf16>, tensor<?x4xi32> -> tensor<?x64xbf16>, tensor<16xi32>
    ```
  }];
  let arguments = (ins Epi_AnyFloatOfRank<[2]>:$x, Epi_IntOfRank<[2]>:$ids, FlatSymbolRefAttr:$mesh,
                       Ep_PlacementAttr:$placement);
  let results = (outs Epi_AnyFloatOfRank<[2]>:$rows, Epi_IntOfRank<[1]>:$counts, Ep_ExchangeType:$exchange);
  let assemblyFormat = [{
    $x `,` $ids `on` $mesh attr-dict `:` type($x) `,` type($ids) `->` type($rows) `,` type($counts)
  }];
  let hasVerifier = 1;
}

def Ep_CombineOp : Ep_Op<"combine", [DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "brings expert results back and adds them up, weighted, at each token's own rank";
  let description = [{
    `rows` is ordered as the dispatch's rows; `weights` is [rows, top_k] at the token's own rank. result[t] = sum over j of
    weights[t, j] * (the row of (t, j)), in the order of j, in float32: the same on any number of ranks.

    | rank | rows | weights | result |
    |---|---|---|---|
    | 0 | B D | a:1 b:2 | 1 A, 2 B |
    | 1 | A C | c:3 d:4 | 3 C, 4 D |

    (C1) `rows` and the result agree in hidden size. (C2) `exchange` comes from a dispatch on the same mesh.

    ```mlir
    %y = ep.combine %rows, %w, %back on @world : tensor<?x64xbf16>, tensor<?x4xf32> -> tensor<?x64xbf16>
    ```
  }];
  let arguments = (ins Epi_FloatOfRank<[2]>:$rows, Epi_F32OfRank<[2]>:$weights, Ep_ExchangeType:$exchange,
                       FlatSymbolRefAttr:$mesh);
  let results = (outs Epi_FloatOfRank<[2]>:$result);
  let assemblyFormat = [{
    $rows `,` $weights `,` $exchange `on` $mesh attr-dict `:` type($rows) `,` type($weights) `->` type($result)
  }];
  let hasVerifier = 1;
}

def Ep_ScatterExpertsOp : Ep_Op<"scatter_experts", [Epi_NamedResults, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "the exchange inside a dispatch: rows ordered by expert go to the experts' owners";
  let description = [{
    `rows` and `counts` are results of `epi.permute`. `received` is ordered by (local expert, source rank, order sent);
    `received_counts` says how many rows each local expert got. `ep.dispatch` is `epi.permute` and this.

    (C1) `counts` has one element for each slot, `received_counts` one for each local slot. (C2) `rows` and
    `received` agree in hidden size and element type. (C3) the placement's ranks are the mesh's.

    ```mlir
    %r, %n = ep.scatter_experts %rows, %counts on @world {placement = #ep.placement<experts = 32, ranks = 2>}
        : tensor<?x64xbf16>, tensor<32xi32> -> tensor<?x64xbf16>, tensor<16xi32>
    ```
  }];
  let arguments = (ins Epi_AnyFloatOfRank<[2]>:$rows, Epi_IntOfRank<[1]>:$counts, FlatSymbolRefAttr:$mesh,
                       Ep_PlacementAttr:$placement);
  let results = (outs Epi_AnyFloatOfRank<[2]>:$received, Epi_IntOfRank<[1]>:$received_counts,
                      Optional<Ep_TokenType>:$token);
  let assemblyFormat = [{
    $rows `,` $counts `on` $mesh attr-dict `:` type($rows) `,` type($counts) `->` type($received) `,`
    type($received_counts) (`,` type($token)^)?
  }];
  let builders = [OpBuilder<(ins "::mlir::Type":$received, "::mlir::Type":$receivedCounts, "::mlir::Value":$rows,
                                 "::mlir::Value":$counts, "::mlir::FlatSymbolRefAttr":$mesh,
                                 "PlacementAttr":$placement), [{
    build($_builder, $_state, received, receivedCounts, ::mlir::Type(), rows, counts, mesh, placement);
  }]>];
  let hasVerifier = 1;
}

def Ep_GatherExpertsOp : Ep_Op<"gather_experts", [DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "the exchange inside a combine: rows go back to where they came from";
  let description = [{
    `rows` is ordered as `received` of the `ep.scatter_experts` that gave `received_counts`; `counts` is what that
    operation was given. `result` has this rank's rows back in the order it sent them. `ep.combine` is this and
    `epi.unpermute`.

    (C1) `rows` and the result agree in hidden size and element type. (C2) `received_counts` is a result of
    `ep.scatter_experts`, which got the same `counts`.

    ```mlir
    %back = ep.gather_experts %y, %counts, %n on @world : tensor<?x64xbf16>, tensor<32xi32>, tensor<16xi32> -> tensor<?x64xbf16>
    ```
  }];
  let arguments = (ins Epi_FloatOfRank<[2]>:$rows, Epi_IntOfRank<[1]>:$counts,
                       Epi_IntOfRank<[1]>:$received_counts, FlatSymbolRefAttr:$mesh);
  let results = (outs Epi_FloatOfRank<[2]>:$result, Optional<Ep_TokenType>:$token);
  let assemblyFormat = [{
    $rows `,` $counts `,` $received_counts `on` $mesh attr-dict `:` type($rows) `,` type($counts) `,`
    type($received_counts) `->` type($result) (`,` type($token)^)?
  }];
  let builders = [OpBuilder<(ins "::mlir::Type":$result, "::mlir::Value":$rows, "::mlir::Value":$counts,
                                 "::mlir::Value":$receivedCounts, "::mlir::FlatSymbolRefAttr":$mesh), [{
    build($_builder, $_state, result, ::mlir::Type(), rows, counts, receivedCounts, mesh);
  }]>];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// The exchange that this one undoes.
    ScatterExpertsOp getScatter();
  }];
}

include "dialects/ep/EpExchangeOps.td"

#endif // EPIGRAPH_DIALECTS_EP_EPOPS_TD
