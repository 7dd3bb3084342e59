// Absorbed latent attention: DeepSeek-V3's sizes with whole and part head groups, queries that are
// views, and sizes that take the form of grouped queries.

exec.kernel @heads_128(%q: tensor<?x128x512xbf16>, %r: tensor<?x128x64xbf16>, %cache: !epi.mla_cache<latent = 512, rope = 64, bf16>, %step: !epi.step) -> tensor<?x128x512xbf16> {
  %o = epi.mla_attention %q, %r, %cache, %step {scale = 0.072 : f64} : (tensor<?x128x512xbf16>, tensor<?x128x64xbf16>, !epi.mla_cache<latent = 512, rope = 64, bf16>) -> tensor<?x128x512xbf16>
  exec.yield %o : tensor<?x128x512xbf16>
}

exec.kernel @heads_64(%q: tensor<?x64x512xbf16>, %r: tensor<?x64x64xbf16>, %cache: !epi.mla_cache<latent = 512, rope = 64, bf16>, %step: !epi.step) -> tensor<?x64x512xbf16> {
  %o = epi.mla_attention %q, %r, %cache, %step {scale = 0.072 : f64} : (tensor<?x64x512xbf16>, tensor<?x64x64xbf16>, !epi.mla_cache<latent = 512, rope = 64, bf16>) -> tensor<?x64x512xbf16>
  exec.yield %o : tensor<?x64x512xbf16>
}

exec.kernel @heads_72(%q: tensor<?x72x512xbf16>, %r: tensor<?x72x64xbf16>, %cache: !epi.mla_cache<latent = 512, rope = 64, bf16>, %step: !epi.step) -> tensor<?x72x512xbf16> {
  %o = epi.mla_attention %q, %r, %cache, %step {scale = 0.072 : f64} : (tensor<?x72x512xbf16>, tensor<?x72x64xbf16>, !epi.mla_cache<latent = 512, rope = 64, bf16>) -> tensor<?x72x512xbf16>
  exec.yield %o : tensor<?x72x512xbf16>
}

exec.kernel @heads_16_of_views(%x: tensor<?x9216xbf16>, %cache: !epi.mla_cache<latent = 512, rope = 64, bf16>, %step: !epi.step) -> tensor<?x16x512xbf16> {
  %heads = epi.reshape %x : tensor<?x9216xbf16> to tensor<?x16x576xbf16>
  %q, %r = epi.split %heads dim 2 : tensor<?x16x576xbf16> to tensor<?x16x512xbf16>, tensor<?x16x64xbf16>
  %o = epi.mla_attention %q, %r, %cache, %step {scale = 0.072 : f64} : (tensor<?x16x512xbf16>, tensor<?x16x64xbf16>, !epi.mla_cache<latent = 512, rope = 64, bf16>) -> tensor<?x16x512xbf16>
  exec.yield %o : tensor<?x16x512xbf16>
}

exec.kernel @latent_64_rope_16(%q: tensor<?x6x64xbf16>, %r: tensor<?x6x16xbf16>, %cache: !epi.mla_cache<latent = 64, rope = 16, bf16>, %step: !epi.step) -> tensor<?x6x64xbf16> {
  %o = epi.mla_attention %q, %r, %cache, %step {scale = 0.144 : f64} : (tensor<?x6x64xbf16>, tensor<?x6x16xbf16>, !epi.mla_cache<latent = 64, rope = 16, bf16>) -> tensor<?x6x64xbf16>
  exec.yield %o : tensor<?x6x64xbf16>
}

exec.kernel @latent_256_rope_32(%q: tensor<?x40x256xbf16>, %r: tensor<?x40x32xbf16>, %cache: !epi.mla_cache<latent = 256, rope = 32, bf16>, %step: !epi.step) -> tensor<?x40x256xbf16> {
  %o = epi.mla_attention %q, %r, %cache, %step {scale = 0.1 : f64} : (tensor<?x40x256xbf16>, tensor<?x40x32xbf16>, !epi.mla_cache<latent = 256, rope = 32, bf16>) -> tensor<?x40x256xbf16>
  exec.yield %o : tensor<?x40x256xbf16>
}

// With the rotation of queries: of neighbours and of halves, in both forms.
exec.kernel @rotated_heads_128(%x: tensor<?x24576xbf16>, %q: tensor<?x128x512xbf16>, %table: tensor<16384x64xf32>, %cache: !epi.mla_cache<latent = 512, rope = 64, bf16>, %step: !epi.step) -> tensor<?x128x512xbf16> {
  %heads = epi.reshape %x : tensor<?x24576xbf16> to tensor<?x128x192xbf16>
  %n, %r = epi.split %heads dim 2 : tensor<?x128x192xbf16> to tensor<?x128x128xbf16>, tensor<?x128x64xbf16>
  %y = epi.rope %r, %table, %step {interleaved} : tensor<?x128x64xbf16>, tensor<16384x64xf32>
  %o = epi.mla_attention %q, %y, %cache, %step {scale = 0.072 : f64} : (tensor<?x128x512xbf16>, tensor<?x128x64xbf16>, !epi.mla_cache<latent = 512, rope = 64, bf16>) -> tensor<?x128x512xbf16>
  exec.yield %o : tensor<?x128x512xbf16>
}

exec.kernel @rotated_heads_72_halves(%x: tensor<?x13824xbf16>, %q: tensor<?x72x512xbf16>, %table: tensor<16384x64xf32>, %cache: !epi.mla_cache<latent = 512, rope = 64, bf16>, %step: !epi.step) -> tensor<?x72x512xbf16> {
  %heads = epi.reshape %x : tensor<?x13824xbf16> to tensor<?x72x192xbf16>
  %n, %r = epi.split %heads dim 2 : tensor<?x72x192xbf16> to tensor<?x72x128xbf16>, tensor<?x72x64xbf16>
  %y = epi.rope %r, %table, %step : tensor<?x72x64xbf16>, tensor<16384x64xf32>
  %o = epi.mla_attention %q, %y, %cache, %step {scale = 0.072 : f64} : (tensor<?x72x512xbf16>, tensor<?x72x64xbf16>, !epi.mla_cache<latent = 512, rope = 64, bf16>) -> tensor<?x72x512xbf16>
  exec.yield %o : tensor<?x72x512xbf16>
}

exec.kernel @rotated_latent_64(%x: tensor<?x288xbf16>, %q: tensor<?x6x64xbf16>, %table: tensor<16384x16xf32>, %cache: !epi.mla_cache<latent = 64, rope = 16, bf16>, %step: !epi.step) -> tensor<?x6x64xbf16> {
  %heads = epi.reshape %x : tensor<?x288xbf16> to tensor<?x6x48xbf16>
  %n, %r = epi.split %heads dim 2 : tensor<?x6x48xbf16> to tensor<?x6x32xbf16>, tensor<?x6x16xbf16>
  %y = epi.rope %r, %table, %step {interleaved} : tensor<?x6x16xbf16>, tensor<16384x16xf32>
  %o = epi.mla_attention %q, %y, %cache, %step {scale = 0.144 : f64} : (tensor<?x6x64xbf16>, tensor<?x6x16xbf16>, !epi.mla_cache<latent = 64, rope = 16, bf16>) -> tensor<?x6x64xbf16>
  exec.yield %o : tensor<?x6x64xbf16>
}

exec.kernel @rotated_latent_256_halves(%x: tensor<?x6400xbf16>, %q: tensor<?x40x256xbf16>, %table: tensor<16384x32xf32>, %cache: !epi.mla_cache<latent = 256, rope = 32, bf16>, %step: !epi.step) -> tensor<?x40x256xbf16> {
  %heads = epi.reshape %x : tensor<?x6400xbf16> to tensor<?x40x160xbf16>
  %n, %r = epi.split %heads dim 2 : tensor<?x40x160xbf16> to tensor<?x40x128xbf16>, tensor<?x40x32xbf16>
  %y = epi.rope %r, %table, %step : tensor<?x40x32xbf16>, tensor<16384x32xf32>
  %o = epi.mla_attention %q, %y, %cache, %step {scale = 0.1 : f64} : (tensor<?x40x256xbf16>, tensor<?x40x32xbf16>, !epi.mla_cache<latent = 256, rope = 32, bf16>) -> tensor<?x40x256xbf16>
  exec.yield %o : tensor<?x40x256xbf16>
}
