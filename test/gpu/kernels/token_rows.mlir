// What lies between the projection of queries, keys and values and attention: norms, rotations and the append to a cache.

// Qwen3-30B-A3B: norms of heads, halves are pairs.
exec.kernel @qwen3(%x: tensor<?x5120xbf16>, %q_norm: tensor<128xbf16>, %k_norm: tensor<128xbf16>, %table: tensor<8192x128xf32>,
                   %step: !epi.step, %cache: !epi.kv_cache<heads = 4, key = 128, value = 128, bf16>)
    -> (tensor<?x32x128xbf16>, !epi.kv_cache<heads = 4, key = 128, value = 128, bf16>) {
  %q, %k, %v = epi.split %x dim 1 : tensor<?x5120xbf16> to tensor<?x4096xbf16>, tensor<?x512xbf16>, tensor<?x512xbf16>
  %0 = epi.reshape %q : tensor<?x4096xbf16> to tensor<?x32x128xbf16>
  %1 = epi.rms_norm %0, %q_norm {eps = 1.0e-6 : f64} : tensor<?x32x128xbf16>, tensor<128xbf16>
  %2 = epi.reshape %k : tensor<?x512xbf16> to tensor<?x4x128xbf16>
  %3 = epi.rms_norm %2, %k_norm {eps = 1.0e-6 : f64} : tensor<?x4x128xbf16>, tensor<128xbf16>
  %4 = epi.rope %1, %table, %step : tensor<?x32x128xbf16>, tensor<8192x128xf32>
  %5 = epi.rope %3, %table, %step : tensor<?x4x128xbf16>, tensor<8192x128xf32>
  %6 = epi.reshape %v : tensor<?x512xbf16> to tensor<?x4x128xbf16>
  %new = epi.kv_append %cache, %5, %6, %step : !epi.kv_cache<heads = 4, key = 128, value = 128, bf16>, tensor<?x4x128xbf16>,
                                               tensor<?x4x128xbf16>
  exec.yield %4, %new : tensor<?x32x128xbf16>, !epi.kv_cache<heads = 4, key = 128, value = 128, bf16>
}

// Llama 3 8B: no norms.
exec.kernel @llama(%x: tensor<?x6144xbf16>, %table: tensor<8192x128xf32>, %step: !epi.step,
                   %cache: !epi.kv_cache<heads = 8, key = 128, value = 128, bf16>)
    -> (tensor<?x32x128xbf16>, !epi.kv_cache<heads = 8, key = 128, value = 128, bf16>) {
  %q, %k, %v = epi.split %x dim 1 : tensor<?x6144xbf16> to tensor<?x4096xbf16>, tensor<?x1024xbf16>, tensor<?x1024xbf16>
  %0 = epi.reshape %q : tensor<?x4096xbf16> to tensor<?x32x128xbf16>
  %1 = epi.rope %0, %table, %step : tensor<?x32x128xbf16>, tensor<8192x128xf32>
  %2 = epi.reshape %k : tensor<?x1024xbf16> to tensor<?x8x128xbf16>
  %3 = epi.rope %2, %table, %step : tensor<?x8x128xbf16>, tensor<8192x128xf32>
  %4 = epi.reshape %v : tensor<?x1024xbf16> to tensor<?x8x128xbf16>
  %new = epi.kv_append %cache, %3, %4, %step : !epi.kv_cache<heads = 8, key = 128, value = 128, bf16>, tensor<?x8x128xbf16>,
                                               tensor<?x8x128xbf16>
  exec.yield %1, %new : tensor<?x32x128xbf16>, !epi.kv_cache<heads = 8, key = 128, value = 128, bf16>
}

// DeepSeek-V3: norms of whole vectors, neighbours are pairs, queries are quantized.
exec.kernel @deepseek(%x: tensor<?x2112xbf16>, %q_norm: tensor<1536xbf16>, %kv_norm: tensor<512xbf16>, %table: tensor<8192x64xf32>,
                      %step: !epi.step, %cache: !epi.mla_cache<latent = 512, rope = 64, bf16>)
    -> (tensor<?x1536xf8E4M3FN>, tensor<?x12xf32>, !epi.mla_cache<latent = 512, rope = 64, bf16>) {
  %q, %kv = epi.split %x dim 1 : tensor<?x2112xbf16> to tensor<?x1536xbf16>, tensor<?x576xbf16>
  %0 = epi.rms_norm %q, %q_norm {eps = 1.0e-6 : f64} : tensor<?x1536xbf16>, tensor<1536xbf16>
  %latent, %k = epi.split %kv dim 1 : tensor<?x576xbf16> to tensor<?x512xbf16>, tensor<?x64xbf16>
  %1 = epi.rms_norm %latent, %kv_norm {eps = 1.0e-6 : f64} : tensor<?x512xbf16>, tensor<512xbf16>
  %2, %3 = epi.quantize %0 {block = array<i64: 1, 128>} : tensor<?x1536xbf16> -> tensor<?x1536xf8E4M3FN>, tensor<?x12xf32>
  %4 = epi.rope %k, %table, %step {interleaved} : tensor<?x64xbf16>, tensor<8192x64xf32>
  %new = epi.kv_append %cache, %1, %4, %step : !epi.mla_cache<latent = 512, rope = 64, bf16>, tensor<?x512xbf16>, tensor<?x64xbf16>
  exec.yield %2, %3, %new : tensor<?x1536xf8E4M3FN>, tensor<?x12xf32>, !epi.mla_cache<latent = 512, rope = 64, bf16>
}

// OLMoE's norms, of the row of all heads; the rotated keys are wanted, too.
exec.kernel @norms_of_rows(%x: tensor<?x1536xf32>, %q_norm: tensor<1024xf32>, %k_norm: tensor<256xf32>, %table: tensor<8192x64xf32>,
                           %step: !epi.step, %cache: !epi.kv_cache<heads = 4, key = 64, value = 64, f32>)
    -> (tensor<?x16x64xf32>, tensor<?x4x64xf32>, !epi.kv_cache<heads = 4, key = 64, value = 64, f32>) {
  %q, %k, %v = epi.split %x dim 1 : tensor<?x1536xf32> to tensor<?x1024xf32>, tensor<?x256xf32>, tensor<?x256xf32>
  %0 = epi.rms_norm %q, %q_norm {eps = 1.0e-5 : f64} : tensor<?x1024xf32>, tensor<1024xf32>
  %1 = epi.reshape %0 : tensor<?x1024xf32> to tensor<?x16x64xf32>
  %2 = epi.rms_norm %k, %k_norm {eps = 1.0e-5 : f64} : tensor<?x256xf32>, tensor<256xf32>
  %3 = epi.reshape %2 : tensor<?x256xf32> to tensor<?x4x64xf32>
  %4 = epi.rope %1, %table, %step : tensor<?x16x64xf32>, tensor<8192x64xf32>
  %5 = epi.rope %3, %table, %step : tensor<?x4x64xf32>, tensor<8192x64xf32>
  %6 = epi.reshape %v : tensor<?x256xf32> to tensor<?x4x64xf32>
  %new = epi.kv_append %cache, %5, %6, %step : !epi.kv_cache<heads = 4, key = 64, value = 64, f32>, tensor<?x4x64xf32>,
                                               tensor<?x4x64xf32>
  exec.yield %4, %5, %new : tensor<?x16x64xf32>, tensor<?x4x64xf32>, !epi.kv_cache<heads = 4, key = 64, value = 64, f32>
}

// Rows of which a block has several: one rotation, no append.
exec.kernel @narrow(%x: tensor<?x32xbf16>, %bias: tensor<32xbf16>, %table: tensor<8192x32xf32>, %step: !epi.step) -> tensor<?x32xbf16> {
  %0 = epi.add %x, %bias : tensor<?x32xbf16>, tensor<32xbf16>
  %1 = epi.rope %0, %table, %step : tensor<?x32xbf16>, tensor<8192x32xf32>
  exec.yield %1 : tensor<?x32xbf16>
}
