// Attention of Qwen3-30B-A3B.
exec.kernel @qwen3(%q: tensor<?x32x128xbf16>, %cache: !epi.kv_cache<heads = 4, key = 128, value = 128, bf16>, %step: !epi.step) -> tensor<?x32x128xbf16> {
  %o = epi.attention %q, %cache, %step {scale = 0.08838834764831845 : f64}
     : (tensor<?x32x128xbf16>, !epi.kv_cache<heads = 4, key = 128, value = 128, bf16>) -> tensor<?x32x128xbf16>
  exec.yield %o : tensor<?x32x128xbf16>
}
