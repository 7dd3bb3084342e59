// Attention over cached keys and values: grouped queries, many heads of one key, windows, sinks, and
// head sizes that are not powers of two.
exec.kernel @qwen3(%q: tensor<?x32x128xbf16>, %cache: !epi.kv_cache<heads = 4, key = 128, value = 128, bf16>, %step: !epi.step)
    -> tensor<?x32x128xbf16> {
  %o = epi.attention %q, %cache, %step {scale = 0.08838834764831845 : f64}
     : (tensor<?x32x128xbf16>, !epi.kv_cache<heads = 4, key = 128, value = 128, bf16>) -> tensor<?x32x128xbf16>
  exec.yield %o : tensor<?x32x128xbf16>
}
exec.kernel @gpt_oss(%q: tensor<?x16x64xbf16>, %cache: !epi.kv_cache<heads = 2, key = 64, value = 64, bf16>, %step: !epi.step,
                     %sinks: tensor<16xbf16>) -> tensor<?x16x64xbf16> {
  %o = epi.attention %q, %cache, %step sinks %sinks {scale = 0.125 : f64, window = 128 : i64}
     : (tensor<?x16x64xbf16>, !epi.kv_cache<heads = 2, key = 64, value = 64, bf16>) sinks tensor<16xbf16> -> tensor<?x16x64xbf16>
  exec.yield %o : tensor<?x16x64xbf16>
}
exec.kernel @sinks_f32(%q: tensor<?x4x32xbf16>, %cache: !epi.kv_cache<heads = 4, key = 32, value = 16, bf16>, %step: !epi.step,
                       %sinks: tensor<4xf32>) -> tensor<?x4x16xf32> {
  %o = epi.attention %q, %cache, %step sinks %sinks {scale = 0.25 : f64}
     : (tensor<?x4x32xbf16>, !epi.kv_cache<heads = 4, key = 32, value = 16, bf16>) sinks tensor<4xf32> -> tensor<?x4x16xf32>
  exec.yield %o : tensor<?x4x16xf32>
}
exec.kernel @short_window(%q: tensor<?x6x48xbf16>, %cache: !epi.kv_cache<heads = 3, key = 48, value = 80, bf16>, %step: !epi.step)
    -> tensor<?x6x80xbf16> {
  %o = epi.attention %q, %cache, %step {scale = 0.2 : f64, window = 5 : i64}
     : (tensor<?x6x48xbf16>, !epi.kv_cache<heads = 3, key = 48, value = 80, bf16>) -> tensor<?x6x80xbf16>
  exec.yield %o : tensor<?x6x80xbf16>
}
exec.kernel @one_key(%q: tensor<?x40x192xbf16>, %cache: !epi.kv_cache<heads = 1, key = 192, value = 128, bf16>, %step: !epi.step)
    -> tensor<?x40x128xbf16> {
  %o = epi.attention %q, %cache, %step {scale = 0.072 : f64}
     : (tensor<?x40x192xbf16>, !epi.kv_cache<heads = 1, key = 192, value = 128, bf16>) -> tensor<?x40x128xbf16>
  exec.yield %o : tensor<?x40x128xbf16>
}
exec.kernel @widest(%q: tensor<?x4x256xbf16>, %cache: !epi.kv_cache<heads = 2, key = 256, value = 256, bf16>, %step: !epi.step)
    -> tensor<?x4x256xbf16> {
  %o = epi.attention %q, %cache, %step {scale = 0.0625 : f64}
     : (tensor<?x4x256xbf16>, !epi.kv_cache<heads = 2, key = 256, value = 256, bf16>) -> tensor<?x4x256xbf16>
  exec.yield %o : tensor<?x4x256xbf16>
}
// Queries at an odd place of a row.
exec.kernel @part(%x: tensor<?x99xbf16>, %cache: !epi.kv_cache<heads = 1, key = 32, value = 32, bf16>, %step: !epi.step)
    -> tensor<?x3x32xbf16> {
  %0:2 = epi.split %x dim 1 : tensor<?x99xbf16> to tensor<?x3xbf16>, tensor<?x96xbf16>
  %q = epi.reshape %0#1 : tensor<?x96xbf16> to tensor<?x3x32xbf16>
  %o = epi.attention %q, %cache, %step {scale = 0.2 : f64}
     : (tensor<?x3x32xbf16>, !epi.kv_cache<heads = 1, key = 32, value = 32, bf16>) -> tensor<?x3x32xbf16>
  exec.yield %o : tensor<?x3x32xbf16>
}
