// Attention: caches and the two attention forms.
#ifndef EPIGRAPH_DIALECTS_EPI_EPIATTENTIONOPS_TD
#define EPIGRAPH_DIALECTS_EPI_EPIATTENTIONOPS_TD

include "dialects/epi/EpiBase.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Epi_KvAppendOp : Epi_Op<"kv_append", [AllTypesMatch<["cache", "result"]>,
                                          MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "writes the entries of this step's tokens into a cache";
  let description = [{
    Each token's entry goes to its sequence and position; attention must read the handle that comes back. The first
    part is the latent vector [rows, latent] or the keys [rows, heads, key]; the second is the rotated key [rows,
    rope] or the values [rows, heads, value].

    (C1) the shapes are the cache's. (C2) the element types are the cache's.

    ```mlir
    %new = epi.kv_append %cache, %latent, %rope, %step : !epi.mla_cache<latent = 64, rope = 16, bf16>,
             tensor<?x64xbf16>, tensor<?x16xbf16>
    ```
  }];
  let arguments = (ins Epi_AnyCache:$cache, Epi_FloatOfRank<[2, 3]>:$first, Epi_FloatOfRank<[2, 3]>:$second,
                       Epi_StepType:$step);
  let results = (outs Epi_AnyCache:$result);
  let assemblyFormat = [{
    $cache `,` $first `,` $second `,` $step attr-dict `:` type($cache) `,` type($first) `,` type($second)
  }];
  let hasVerifier = 1;
}

def Epi_AttentionOp : Epi_Op<"attention", [MemoryEffects<[MemRead]>]> {
  let summary = "causal attention over cached keys and values";
  let description = [{
    `q` is [rows, query heads, key]; query head h reads key-value head h * heads / (query heads). A token at position p
    sees positions 0 to p of its own sequence, and with `window` = W only the last W of these, its own included. Scores
    are scale * (q . k), softmax in float32; the result is [rows, query heads, value].

    `sinks` [query heads] are scores that each take part in their head's softmax and belong to no position: they take weight
    away from all of them (OpenAI, gpt-oss, 2025).

    (C1) the query heads are a multiple of the cache's heads. (C2) the shapes are the cache's. (C3) `scale` is positive. (C4) `sinks`
    has one element for each query head. (C5) `window` is positive.

    ```mlir
    %o = epi.attention %q, %cache, %step {scale = 0.125 : f64}
        : (tensor<?x8x64xbf16>, !epi.kv_cache<heads = 2, key = 64, value = 64, bf16>) -> tensor<?x8x64xbf16>
    %p = epi.attention %q, %cache, %step sinks %s {scale = 0.125 : f64, window = 128 : i64}
        : (tensor<?x8x64xbf16>, !epi.kv_cache<heads = 2, key = 64, value = 64, bf16>)
          sinks tensor<8xbf16> -> tensor<?x8x64xbf16>
    ```
  }];
  let arguments = (ins Epi_FloatOfRank<[3]>:$q, Epi_KvCacheType:$cache, Epi_StepType:$step,
                       Optional<Epi_FloatOfRank<[1]>>:$sinks, F64Attr:$scale, OptionalAttr<I64Attr>:$window);
  let results = (outs Epi_FloatOfRank<[3]>:$result);
  let assemblyFormat = [{
    $q `,` $cache `,` $step (`sinks` $sinks^)? attr-dict `:` `(` type($q) `,` qualified(type($cache)) `)`
    (`sinks` type($sinks)^)? `->` type($result)
  }];
  let hasVerifier = 1;
}

def Epi_MlaAttentionOp : Epi_Op<"mla_attention", [MemoryEffects<[MemRead]>]> {
  let summary = "causal multi-head latent attention over cached latent vectors";
  let description = [{
    Multi-head latent attention (DeepSeek-V2, 2024, section 2.1). A token at position p sees positions 0 to p of its own
    sequence; softmax is in float32.

    Expanded form, with `up` = kv_b_proj of shape [heads * (nope + value), latent]: key and value of head h are rows of
    `up` times the cached latent vector c; `q` is [rows, heads, nope]; score = scale * (q . k + q_rope . k_rope); the result
    is [rows, heads, value].

    Absorbed form, without `up`: `q` is [rows, heads, latent], already multiplied by the key half of kv_b_proj;
    score = scale * (q . c + q_rope . k_rope); the result is [rows, heads, latent], the mean of latent vectors, to be multiplied by
    the value half.

    (C1) `q` and `q_rope` agree in heads, and `q_rope` with the cache in rope. (C2) expanded: `up` is [heads * (nope +
    value), latent]. (C3) absorbed: `q` and the result have the cache's latent size. (C4) `scale` is positive.

    ```mlir
    %o = epi.mla_attention %q, %qr, %cache, %step up %w {scale = 0.144 : f64}
        : (tensor<?x6x32xbf16>, tensor<?x6x16xbf16>, !epi.mla_cache<latent = 64, rope = 16, bf16>)
          up tensor<384x64xbf16> -> tensor<?x6x32xbf16>
    ```
  }];
  let arguments = (ins Epi_FloatOfRank<[3]>:$q, Epi_FloatOfRank<[3]>:$q_rope, Epi_MlaCacheType:$cache,
                       Epi_StepType:$step, Optional<Epi_FloatOfRank<[2]>>:$up, F64Attr:$scale);
  let results = (outs Epi_FloatOfRank<[3]>:$result);
  let assemblyFormat = [{
    $q `,` $q_rope `,` $cache `,` $step (`up` $up^)? attr-dict `:` `(` type($q) `,` type($q_rope) `,`
    qualified(type($cache)) `)` (`up` type($up)^)? `->` type($result)
  }];
  let hasVerifier = 1;
}

#endif // EPIGRAPH_DIALECTS_EPI_EPIATTENTIONOPS_TD
