// Structure: weights, caches, fusion groups, rows of the step.
#ifndef EPIGRAPH_DIALECTS_EPI_EPISTRUCTUREOPS_TD
#define EPIGRAPH_DIALECTS_EPI_EPISTRUCTUREOPS_TD

include "dialects/epi/EpiBase.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Epi_WeightOp : Epi_Op<"weight", [Pure, Epi_NamedResults]> {
  let summary = "a tensor of the checkpoint, by name";
  let description = [{
    The type is the tensor's shape and type in the checkpoint; the importer has checked it.

    (C1) the result has a static shape.

    ```mlir
    %w = epi.weight "model.norm.weight" : tensor<7168xbf16>
    ```
  }];
  let arguments = (ins StrAttr:$name);
  let results = (outs Epi_Tensor:$result);
  let assemblyFormat = "$name attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Epi_WeightStackOp : Epi_Op<"weight_stack", [Pure, Epi_NamedResults]> {
  let summary = "equal tensors of the checkpoint stacked along a new first dimension";
  let description = [{
    Row `e` of the result is the tensor whose name is `pattern` with `{}` replaced by `e`: the experts of a layer as one
    value.

    (C1) the result has a static shape of rank 2 or more. (C2) `pattern` holds `{}` exactly once.

    ```mlir
    %up = epi.weight_stack "model.layers.3.mlp.experts.{}.up_proj.weight" : tensor<256x2048x7168xbf16>
    ```
  }];
  let arguments = (ins StrAttr:$pattern);
  let results = (outs Epi_Tensor:$result);
  let assemblyFormat = "$pattern attr-dict `:` type($result)";
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// The checkpoint's name of the tensor stacked at `index`.
    std::string getName(int64_t index);
  }];
}

def Epi_KvCacheOp : Epi_Op<"kv_cache", [MemoryEffects<[MemRead]>, Epi_NamedResults]> {
  let summary = "the named paged cache, as it was before this step";
  let description = [{
    Caches live across steps, one for each name; two functions that use one name share it.

    ```mlir
    %cache = epi.kv_cache "model.layers.3" : !epi.mla_cache<latent = 512, rope = 64, bf16>
    ```
  }];
  let arguments = (ins StrAttr:$name);
  let results = (outs Epi_AnyCache:$result);
  let assemblyFormat = "$name attr-dict `:` type($result)";
}

def Epi_OutputRowsOp : Epi_Op<"output_rows", [Pure, AllTypesMatch<["x", "result"]>]> {
  let summary = "the rows whose logits are asked for";
  let description = [{
    Row `i` of the result is row `output_rows[i]` of `x`, so that the vocabulary projection runs on the
    last token of a prompt and not on all of it.

    (C1) `x` and the result agree in type but for the number of rows.

    ```mlir
    %y = epi.output_rows %x, %step : tensor<?x7168xbf16>
    ```
  }];
  let arguments = (ins Epi_FloatOfRank<[2]>:$x, Epi_StepType:$step);
  let results = (outs Epi_FloatOfRank<[2]>:$result);
  let assemblyFormat = "$x `,` $step attr-dict `:` type($result)";
}

def Epi_HalveRowsOp : Epi_Op<"halve_rows", [Pure, AllTypesMatch<["x", "first", "second"]>]> {
  let summary = "the first half of the rows, and the rest";
  let description = [{
    Of T rows, `first` has the first ceil(T / 2) and `second` the others, so that two halves of a batch can be worked on in
    turn. `epi.join_rows` puts them back together.

    (C1) the three types are equal, with a dynamic number of rows.

    ```mlir
    %a, %b = epi.halve_rows %x : tensor<?x7168xbf16>
    ```
  }];
  let arguments = (ins Epi_Tensor:$x);
  let results = (outs Epi_Tensor:$first, Epi_Tensor:$second);
  let assemblyFormat = "$x attr-dict `:` type($x)";
  let hasVerifier = 1;
  let builders = [OpBuilder<(ins "::mlir::Value":$x), [{
    build($_builder, $_state, {x.getType(), x.getType()}, x);
  }]>];
}

def Epi_JoinRowsOp : Epi_Op<"join_rows", [Pure, AllTypesMatch<["first", "second", "result"]>]> {
  let summary = "the rows of both halves, one after the other";
  let description = [{
    (C1) the type has a dynamic number of rows. (C2) the halves descend from one `epi.halve_rows`: what they were made of
    has as many rows as the result.

    ```mlir
    %x = epi.join_rows %a, %b : tensor<?x7168xbf16>
    ```
  }];
  let arguments = (ins Epi_Tensor:$first, Epi_Tensor:$second);
  let results = (outs Epi_Tensor:$result);
  let assemblyFormat = "$first `,` $second attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Epi_FusedOp : Epi_Op<"fused", [IsolatedFromAbove, RecursiveMemoryEffects,
                                   SingleBlockImplicitTerminator<"YieldOp">]> {
  let summary = "operations that become one kernel";
  let description = [{
    A region of `epi` operations, computed row by row in one pass over its inputs: its intermediate values need no
    memory of their own. `name` says what was fused and names the kernel. Of a cache that it appends to it gives the new handle.

    (C1) block arguments and operands agree in number and type. (C2) yielded values and results agree in
    number and type.

    ```mlir
    %sum, %norm = epi.fused "add_rms_norm"(%x, %a, %w)
        : (tensor<?x64xbf16>, tensor<?x64xbf16>, tensor<64xbf16>) -> (tensor<?x64xbf16>, tensor<?x64xbf16>) {
    ^bb0(%0: tensor<?x64xbf16>, %1: tensor<?x64xbf16>, %2: tensor<64xbf16>):
      %3 = epi.add %0, %1 : tensor<?x64xbf16>
      %4 = epi.rms_norm %3, %2 {eps = 1.0e-6 : f64} : tensor<?x64xbf16>, tensor<64xbf16>
      epi.yield %3, %4 : tensor<?x64xbf16>, tensor<?x64xbf16>
    }
    ```
  }];
  let arguments = (ins StrAttr:$name, Variadic<AnyType>:$inputs);
  let results = (outs Variadic<AnyTypeOf<[Epi_Tensor, Epi_AnyCache]>>:$results);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$name `(` $inputs `)` attr-dict `:` functional-type($inputs, $results) $body";
  let hasVerifier = 1;
}

def Epi_YieldOp : Epi_Op<"yield", [Pure, ReturnLike, Terminator, ParentOneOf<["FusedOp"]>]> {
  let summary = "ends a fusion group with its results";
  let arguments = (ins Variadic<AnyType>:$values);
  let assemblyFormat = "($values^ `:` type($values))? attr-dict";
  let builders = [OpBuilder<(ins), "/* no values */">];
}

#endif // EPIGRAPH_DIALECTS_EPI_EPISTRUCTUREOPS_TD
