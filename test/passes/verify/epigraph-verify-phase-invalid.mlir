// One broken promise of each phase, found where it is broken, with the pass that should have kept it.
// RUN: epigraph-opt %s --split-input-file --verify-diagnostics \
// RUN:   --pass-pipeline='builtin.module(epigraph-verify-phase{phase=canonicalize passes=epi-elide-dead-weights,canonicalize,epi-eliminate-common})'

func.func @dead_weight() {
  // expected-error @+1 {{'epi.weight' op is a weight that nothing uses, and the artifact would store it: --epi-elide-dead-weights should have erased it}}
  %w = epi.weight "w" : tensor<8xbf16>
  return
}

// -----

func.func @twice(%x: tensor<?x8xbf16>) -> (tensor<?x8xbf16>, tensor<?x8xbf16>) {
  // expected-note @+1 {{the first time is here}}
  %s = epi.silu %x : tensor<?x8xbf16>
  // expected-error @+1 {{'epi.silu' op is computed twice in one block: --epi-eliminate-common should have merged them}}
  %t = epi.silu %x : tensor<?x8xbf16>
  return %s, %t : tensor<?x8xbf16>, tensor<?x8xbf16>
}

// -----

// A weight inside a group would never be hoisted.

func.func @weight_inside(%x: tensor<?x8xbf16>) -> tensor<?x8xbf16> {
  %y = epi.fused "norm"(%x) : (tensor<?x8xbf16>) -> tensor<?x8xbf16> {
  ^bb0(%a: tensor<?x8xbf16>):
    // expected-error @+1 {{'epi.weight' op stands inside the fusion group "norm", where --exec-hoist-weights does not look: make it an input}}
    %w = epi.weight "w" : tensor<8xbf16>
    %n = epi.rms_norm %a, %w {eps = 0.5 : f64} : tensor<?x8xbf16>, tensor<8xbf16>
    epi.yield %n : tensor<?x8xbf16>
  }
  return %y : tensor<?x8xbf16>
}

// -----

func.func @two_anchors(%x: tensor<?x8xbf16>, %w: tensor<8x8xbf16>) -> tensor<?x8xbf16> {
  %y = epi.fused "mlp"(%x, %w) : (tensor<?x8xbf16>, tensor<8x8xbf16>) -> tensor<?x8xbf16> {
  ^bb0(%a: tensor<?x8xbf16>, %v: tensor<8x8xbf16>):
    %l = epi.linear %a, %v : (tensor<?x8xbf16>, tensor<8x8xbf16>) -> tensor<?x8xbf16>
    %s = epi.silu %l : tensor<?x8xbf16>
    // expected-error @+1 {{'epi.linear' op stands beside 'epi.linear' in the fusion group "mlp", but a kernel is built around one operation that is not row-wise: fuse them apart}}
    %m = epi.linear %s, %v : (tensor<?x8xbf16>, tensor<8x8xbf16>) -> tensor<?x8xbf16>
    epi.yield %m : tensor<?x8xbf16>
  }
  return %y : tensor<?x8xbf16>
}
