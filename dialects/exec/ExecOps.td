// The exec dialect: when things happen. Kernels, launches, packed weights and the memory plan.
#ifndef EPIGRAPH_DIALECTS_EXEC_EXECOPS_TD
#define EPIGRAPH_DIALECTS_EXEC_EXECOPS_TD

include "dialects/epi/EpiBase.td"
include "mlir/IR/RegionKindInterface.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/FunctionInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Exec_Dialect : Dialect {
  let name = "exec";
  let cppNamespace = "::epigraph::exec";
  let summary = "When a model is computed: kernels, launches and memory";
  let description = [{
    The schedule that the runtime walks, still in value semantics: operations run in the order of the block. Where a
    result lies in memory is an annotation (`exec.buffers`, one `#exec.buffer` for each result of a launch or
    collective; `exec.arena_bytes` on the function), made by `--exec-plan-memory` and honoured by the reference
    interpreter. The limits that buffers are sized for stand on the module as `exec.limits`.
  }];
  let useDefaultAttributePrinterParser = 1;
}

def Exec_LimitsAttr : AttrDef<Exec_Dialect, "Limits"> {
  let mnemonic = "limits";
  let summary = "the largest batch that an artifact can run";
  let description = [{
    Tokens and sequences of one rank's batch (output rows are at most `sequences`), and positions of one sequence.

    Example: `#exec.limits<batch_tokens = 512, sequences = 32, context = 4096>`
  }];
  let parameters = (ins "int64_t":$batchTokens, "int64_t":$sequences, "int64_t":$maxContext);
  let assemblyFormat = [{
    `<` `batch_tokens` `=` $batchTokens `,` `sequences` `=` $sequences `,` `context` `=` $maxContext `>`
  }];
  let genVerifyDecl = 1;
}

def Exec_TargetAttr : AttrDef<Exec_Dialect, "Target"> {
  let mnemonic = "target";
  let summary = "what passes need to know of the machine that a model is compiled for";
  let description = [{
    Stands on the module as `exec.target`; made of the target's description (docs/targets.md). Of one device: `cores` that
    take tiles of a kernel, vectors of `vector_bits` in `registers` registers, `cache_bytes` of fast memory for each
    core, memory of `memory_gbps` (1e9 bytes a second, all cores together), `gflops` in float32 (all cores), `launch_ns` from the
    end of one kernel to the start of the next. A link to another rank carries `link_gbps`, and a message takes `link_latency_ns`
    besides. Costs in passes come from here.

    (C1) all numbers are positive.

    Example: `#exec.target<name = "cpu:x86-64-v3", cores = 2, vector_bits = 256, registers = 16, cache_bytes = 1048576,
    memory_gbps = 20.0, gflops = 100.0, launch_ns = 2000, link_gbps = 10.0, link_latency_ns = 1000>`
  }];
  let parameters = (ins "::mlir::StringAttr":$name, "int64_t":$cores, "int64_t":$vectorBits, "int64_t":$registers,
                        "int64_t":$cacheBytes, "::mlir::FloatAttr":$memoryGbps, "::mlir::FloatAttr":$gflops,
                        "int64_t":$launchNs, "::mlir::FloatAttr":$linkGbps, "int64_t":$linkLatencyNs);
  let assemblyFormat = [{
    `<` `name` `=` $name `,` `cores` `=` $cores `,` `vector_bits` `=` $vectorBits `,` `registers` `=` $registers `,`
    `cache_bytes` `=` $cacheBytes `,` `memory_gbps` `=` custom<F64>($memoryGbps) `,` `gflops` `=` custom<F64>($gflops) `,`
    `launch_ns` `=` $launchNs `,` `link_gbps` `=` custom<F64>($linkGbps) `,` `link_latency_ns` `=` $linkLatencyNs `>`
  }];
  let genVerifyDecl = 1;
}

def Exec_BufferAttr : AttrDef<Exec_Dialect, "Buffer"> {
  let mnemonic = "buffer";
  let summary = "where a value lies in the arena of its rank";
  let description = [{
    `offset` and `bytes` (the capacity under the limits), in bytes; offsets are multiples of 64.

    Example: `#exec.buffer<offset = 4096, bytes = 196608>`
  }];
  let parameters = (ins "int64_t":$offset, "int64_t":$bytes);
  let assemblyFormat = "`<` `offset` `=` $offset `,` `bytes` `=` $bytes `>`";
  let genVerifyDecl = 1;
}

def Exec_TilingAttr : AttrDef<Exec_Dialect, "Tiling"> {
  let mnemonic = "tiling";
  let summary = "how a launch of a kernel divides into independent tiles";
  let description = [{
    ceil(rows / `rows`) * `columns` tiles, or `columns` tiles where `rows` is 0 (the kernel itself loops over rows).

    Example: `#exec.tiling<rows = 16, columns = 6>`
  }];
  let parameters = (ins "int64_t":$rows, "int64_t":$columns);
  let assemblyFormat = "`<` `rows` `=` $rows `,` `columns` `=` $columns `>`";
  let genVerifyDecl = 1;
}

def Exec_PanelAttr : AttrDef<Exec_Dialect, "Panel"> {
  let mnemonic = "panel";
  let summary = "the packed layout of a projection's weight, as the encoding of its type";
  let description = [{
    A weight [..., N, K] is stored as [..., ceil(N / columns), ceil(K / depth), columns, depth], padded with zeros:
    panels of `columns` outputs, contiguous along K in groups of `depth` (the elements that make 32 bits). The type keeps
    the logical shape; the value is the same.

    Example: `tensor<96x192xbf16, #exec.panel<columns = 32, depth = 2>>`
  }];
  let parameters = (ins "int64_t":$columns, "int64_t":$depth);
  let assemblyFormat = "`<` `columns` `=` $columns `,` `depth` `=` $depth `>`";
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// The stored shape of a weight of the logical `shape` (rank 2 or more).
    ::llvm::SmallVector<int64_t> getStoredShape(::llvm::ArrayRef<int64_t> shape) const;
  }];
}

class Exec_Op<string mnemonic, list<Trait> traits = []> : Op<Exec_Dialect, mnemonic, traits>;

def Exec_WeightOp : Exec_Op<"weight", [IsolatedFromAbove, Symbol, SingleBlockImplicitTerminator<"YieldOp">]> {
  let summary = "a weight of the artifact, with the program that makes it from the checkpoint";
  let description = [{
    The region is evaluated once by the packer, for each rank if `rank_local`, and its value is stored in the artifact under the symbol's
    name. All of these together are the weight program.

    (C1) the region has no arguments and yields one value of the weight's type. (C2) the type's shape is static. (C3) the region
    holds `ep.local_experts` or `ep.local_shard` exactly if `rank_local`.

    ```mlir
    exec.weight @"model.layers.0.self_attn.q_kv_a" : tensor<176x192xbf16> {
      %0 = epi.weight "model.layers.0.self_attn.q_a_proj.weight" : tensor<96x192xbf16>
      %1 = epi.weight "model.layers.0.self_attn.kv_a_proj_with_mqa.weight" : tensor<80x192xbf16>
      %2 = epi.concat %0, %1 dim 0 : tensor<96x192xbf16>, tensor<80x192xbf16> to tensor<176x192xbf16>
      exec.yield %2 : tensor<176x192xbf16>
    }
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, TypeAttrOf<Epi_Tensor>:$type, UnitAttr:$rank_local);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "(`rank_local` $rank_local^)? $sym_name `:` $type attr-dict-with-keyword $body";
  let hasVerifier = 1;
}

def Exec_LoadWeightOp : Exec_Op<"load_weight", [Pure, Epi_NamedResults, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "a weight of the artifact";
  let description = [{
    (C1) the result has the type of the weight named.

    ```mlir
    %w = exec.load_weight @"model.layers.0.self_attn.q_kv_a" : tensor<176x192xbf16>
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$weight);
  let results = (outs Epi_Tensor:$result);
  let assemblyFormat = "$weight attr-dict `:` type($result)";
}

def Exec_PackOp : Exec_Op<"pack", [Pure]> {
  let summary = "the same weight in a kernel's layout";
  let description = [{
    The value does not change; the encoding of the result's type says how the packer stores it.

    (C1) the types agree but for the encoding. (C2) the weight has rank 2 or more, and the result an encoding.

    ```mlir
    %p = exec.pack %w : tensor<96x192xbf16> to tensor<96x192xbf16, #exec.panel<columns = 32, depth = 2>>
    ```
  }];
  let arguments = (ins Epi_AnyFloatTensor:$x);
  let results = (outs Epi_AnyFloatTensor:$result);
  let assemblyFormat = "$x attr-dict `:` type($x) `to` type($result)";
  let hasVerifier = 1;
}

def Exec_KernelOp : Exec_Op<"kernel", [FunctionOpInterface, IsolatedFromAbove]> {
  let summary = "what one launch computes";
  let description = [{
    A function whose body is `epi` operations, ended by `exec.yield`. Codegen builds its code from the body and
    says how it divides (`tiling`).

    (C1) the body is one block. (C2) the yielded values have the function's result types.

    ```mlir
    exec.kernel @linear_3(%x: tensor<?x192xbf16>, %w: tensor<176x192xbf16>) -> tensor<?x176xbf16> {
      %0 = epi.linear %x, %w : (tensor<?x192xbf16>, tensor<176x192xbf16>) -> tensor<?x176xbf16>
      exec.yield %0 : tensor<?x176xbf16>
    }
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, TypeAttrOf<FunctionType>:$function_type,
                       OptionalAttr<Exec_TilingAttr>:$tiling, OptionalAttr<StrAttr>:$sym_visibility,
                       OptionalAttr<DictArrayAttr>:$arg_attrs, OptionalAttr<DictArrayAttr>:$res_attrs);
  let regions = (region AnyRegion:$body);
  let builders = [OpBuilder<(ins "::llvm::StringRef":$name, "::mlir::FunctionType":$type)>];
  let skipDefaultBuilders = 1;
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    ::llvm::ArrayRef<::mlir::Type> getArgumentTypes() { return getFunctionType().getInputs(); }
    ::llvm::ArrayRef<::mlir::Type> getResultTypes() { return getFunctionType().getResults(); }
    ::mlir::Region *getCallableRegion() { return &getBody(); }
  }];
}

def Exec_YieldOp : Exec_Op<"yield", [Pure, ReturnLike, Terminator, ParentOneOf<["KernelOp", "WeightOp"]>]> {
  let summary = "ends a kernel or a weight's program with its values";
  let arguments = (ins Variadic<AnyType>:$values);
  let assemblyFormat = "($values^ `:` type($values))? attr-dict";
  let builders = [OpBuilder<(ins), "/* no values */">];
}

def Exec_LaunchOp : Exec_Op<"launch", [MemoryEffects<[MemRead, MemWrite]>,
                                       DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "runs a kernel";
  let description = [{
    (C1) operands and results have the types of the kernel's.

    ```mlir
    %y = exec.launch @linear_3(%x, %w) : (tensor<?x192xbf16>, tensor<176x192xbf16>) -> tensor<?x176xbf16>
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$kernel, Variadic<AnyType>:$inputs);
  let results = (outs Variadic<AnyType>:$results);
  let assemblyFormat = "$kernel `(` $inputs `)` attr-dict `:` functional-type($inputs, $results)";
}

#endif // EPIGRAPH_DIALECTS_EXEC_EXECOPS_TD
