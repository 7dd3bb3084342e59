// RUN: epigraph-opt %s --split-input-file --verify-diagnostics --epigraph-verify-phase=phase=schedule

func.func @main(%x: tensor<?x8xbf16>) -> tensor<?x8xbf16> {
  // expected-error @+1 {{'epi.silu' op is no part of a schedule: --exec-hoist-weights or --exec-outline-kernels should have taken it out of @main}}
  %y = epi.silu %x : tensor<?x8xbf16>
  return %y : tensor<?x8xbf16>
}

// -----

exec.kernel @norm(%x: tensor<?x8xbf16>) -> tensor<?x8xbf16> {
  // expected-error @+1 {{'epi.weight' op stands in the kernel @norm, but kernels compute on what launches give them and hold no weights, caches, groups or exchanges}}
  %w = epi.weight "w" : tensor<8xbf16>
  %n = epi.rms_norm %x, %w {eps = 0.5 : f64} : tensor<?x8xbf16>, tensor<8xbf16>
  exec.yield %n : tensor<?x8xbf16>
}
func.func @main() {
  return
}
