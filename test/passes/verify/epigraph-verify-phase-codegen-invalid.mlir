// RUN: epigraph-opt %s --split-input-file --verify-diagnostics --epigraph-verify-phase=phase=codegen

exec.kernel @linear(%x: tensor<?x8xbf16>, %w: tensor<8x8xbf16>) -> tensor<?x8xbf16> {
  // expected-error @+1 {{'epi.linear' op reads the weight 'tensor<8x8xbf16>' of the kernel @linear as checkpoints store it: --cpu-pack-weights should have packed it}}
  %0 = epi.linear %x, %w : (tensor<?x8xbf16>, tensor<8x8xbf16>) -> tensor<?x8xbf16>
  exec.yield %0 : tensor<?x8xbf16>
}
func.func @main() {
  return
}

// -----

exec.kernel @linear(%x: tensor<?x8xbf16>, %w: tensor<4x16xbf16>) -> tensor<?x8xbf16> {
  %v = epi.reshape %w : tensor<4x16xbf16> to tensor<8x8xbf16>
  // expected-error @+1 {{'epi.linear' op computes its weight in the kernel @linear: --exec-hoist-weights should have hoisted it}}
  %0 = epi.linear %x, %v : (tensor<?x8xbf16>, tensor<8x8xbf16>) -> tensor<?x8xbf16>
  exec.yield %0 : tensor<?x8xbf16>
}
func.func @main() {
  return
}
