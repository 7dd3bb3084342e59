// With --compute float32, from the phase quantize on.
// RUN: epigraph-opt %s --split-input-file --verify-diagnostics --epigraph-verify-phase='phase=quantize compute=float32'

// expected-error @+1 {{'func.func' op argument 0 has type 'tensor<?x8xbf16>', but --compute is float32: --epi-convert-compute-type should have changed it}}
func.func @argument(%x: tensor<?x8xbf16>) {
  return
}

// -----

func.func @result(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %w = epi.weight "w" : tensor<8x8xbf16>
  %v = epi.cast %w : tensor<8x8xbf16> to tensor<8x8xf32>
  // expected-error @+1 {{'epi.linear' op gives 'tensor<?x8xbf16>', but --compute is float32: --epi-convert-compute-type should have changed it, or a later pass makes bf16 again}}
  %l = epi.linear %x, %v : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xbf16>
  %y = epi.cast %l : tensor<?x8xbf16> to tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @cache() {
  // expected-error @+1 {{'epi.kv_cache' op gives '!epi.mla_cache<latent = 8, rope = 4, bf16>', but --compute is float32}}
  %c = epi.kv_cache "layer" : !epi.mla_cache<latent = 8, rope = 4, bf16>
  return
}
