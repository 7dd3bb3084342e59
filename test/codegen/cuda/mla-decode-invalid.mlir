// RUN: not epigraph-compile-kernels %s -o %t 2>&1 | FileCheck %s

// CHECK: CUDA kernel @wide needs a latent size that is a multiple of 16 up to 256, got 320
exec.kernel @wide(%q: tensor<?x8x320xbf16>, %r: tensor<?x8x64xbf16>, %cache: !epi.mla_cache<latent = 320, rope = 64, bf16>, %step: !epi.step) -> tensor<?x8x320xbf16> {
  %o = epi.mla_attention %q, %r, %cache, %step {scale = 0.1 : f64} : (tensor<?x8x320xbf16>, tensor<?x8x64xbf16>, !epi.mla_cache<latent = 320, rope = 64, bf16>) -> tensor<?x8x320xbf16>
  exec.yield %o : tensor<?x8x320xbf16>
}
