// Cache entries: both kinds of cache, views, heads that are apart, widths that allow small accesses
// only.

exec.kernel @latent(%cache: !epi.mla_cache<latent = 512, rope = 64, bf16>, %c: tensor<?x512xbf16>, %r: tensor<?x64xbf16>, %step: !epi.step) -> !epi.mla_cache<latent = 512, rope = 64, bf16> {
  %new = epi.kv_append %cache, %c, %r, %step : !epi.mla_cache<latent = 512, rope = 64, bf16>, tensor<?x512xbf16>, tensor<?x64xbf16>
  exec.yield %new : !epi.mla_cache<latent = 512, rope = 64, bf16>
}

exec.kernel @latent_narrow(%cache: !epi.mla_cache<latent = 10, rope = 6, bf16>, %c: tensor<?x10xbf16>, %r: tensor<?x6xbf16>, %step: !epi.step) -> !epi.mla_cache<latent = 10, rope = 6, bf16> {
  %new = epi.kv_append %cache, %c, %r, %step : !epi.mla_cache<latent = 10, rope = 6, bf16>, tensor<?x10xbf16>, tensor<?x6xbf16>
  exec.yield %new : !epi.mla_cache<latent = 10, rope = 6, bf16>
}

exec.kernel @grouped(%cache: !epi.kv_cache<heads = 4, key = 128, value = 128, bf16>, %k: tensor<?x4x128xbf16>, %qkv: tensor<?x5120xbf16>, %step: !epi.step) -> !epi.kv_cache<heads = 4, key = 128, value = 128, bf16> {
  %q, %old, %flat = epi.split %qkv dim 1 : tensor<?x5120xbf16> to tensor<?x4096xbf16>, tensor<?x512xbf16>, tensor<?x512xbf16>
  %v = epi.reshape %flat : tensor<?x512xbf16> to tensor<?x4x128xbf16>
  %new = epi.kv_append %cache, %k, %v, %step : !epi.kv_cache<heads = 4, key = 128, value = 128, bf16>, tensor<?x4x128xbf16>, tensor<?x4x128xbf16>
  exec.yield %new : !epi.kv_cache<heads = 4, key = 128, value = 128, bf16>
}

exec.kernel @heads_apart(%cache: !epi.kv_cache<heads = 3, key = 24, value = 16, f32>, %kv: tensor<?x3x40xf32>, %step: !epi.step) -> !epi.kv_cache<heads = 3, key = 24, value = 16, f32> {
  %k, %v = epi.split %kv dim 2 : tensor<?x3x40xf32> to tensor<?x3x24xf32>, tensor<?x3x16xf32>
  %new = epi.kv_append %cache, %k, %v, %step : !epi.kv_cache<heads = 3, key = 24, value = 16, f32>, tensor<?x3x24xf32>, tensor<?x3x16xf32>
  exec.yield %new : !epi.kv_cache<heads = 3, key = 24, value = 16, f32>
}
