// RUN: epigraph-opt %s --exec-outline-kernels --split-input-file | FileCheck %s

// Kernels read through views: the argument is the whole value, once even if several of its parts are read. Each
// launch has a kernel of its own. Order is kept.

// CHECK-LABEL: module @views
// CHECK:       exec.kernel @linear_0(%[[X:.*]]: tensor<?x8xbf16>, %[[W:.*]]: tensor<12x8xbf16>) -> tensor<?x12xbf16> {
// CHECK-NEXT:    %[[Y:.*]] = epi.linear %[[X]], %[[W]]
// CHECK-NEXT:    exec.yield %[[Y]]
// CHECK:       exec.kernel @kv_append_0(%[[C:.*]]: !epi.mla_cache<{{.*}}>, %[[X:.*]]: tensor<?x12xbf16>, %[[S:.*]]: !epi.step) -> !epi.mla_cache
// CHECK-NEXT:    %[[P:.*]]:2 = epi.split %[[X]] dim 1
// CHECK-NEXT:    %[[N:.*]] = epi.kv_append %[[C]], %[[P]]#0, %[[P]]#1, %[[S]]
// CHECK-NEXT:    exec.yield %[[N]]
// CHECK:       exec.kernel @linear_1
// CHECK:       exec.kernel @mla_attention_0
// CHECK:         epi.reshape
// CHECK:         epi.mla_attention
// CHECK-NOT:   exec.kernel
// CHECK:       func.func @main(%[[X:.*]]: tensor<?x8xbf16>, %[[W:.*]]: tensor<12x8xbf16>, %[[W2:.*]]: tensor<12x8xbf16>, %[[S:.*]]: !epi.step)
// CHECK-NEXT:    %[[A:.*]] = exec.launch @linear_0(%[[X]], %[[W]])
// CHECK-NEXT:    %[[C:.*]] = epi.kv_cache "layer.0"
// CHECK-NEXT:    %[[N:.*]] = exec.launch @kv_append_0(%[[C]], %[[A]], %[[S]])
// CHECK-NEXT:    %[[B:.*]] = exec.launch @linear_1(%[[X]], %[[W2]])
// CHECK-NEXT:    %[[O:.*]] = exec.launch @mla_attention_0(%[[B]], %[[N]], %[[S]])
// CHECK-NEXT:    return %[[O]]
module @views {
  func.func @main(%x: tensor<?x8xbf16>, %w: tensor<12x8xbf16>, %w2: tensor<12x8xbf16>, %step: !epi.step)
      -> tensor<?x1x8xbf16> {
    %a = epi.linear %x, %w : (tensor<?x8xbf16>, tensor<12x8xbf16>) -> tensor<?x12xbf16>
    %c, %r = epi.split %a dim 1 : tensor<?x12xbf16> to tensor<?x8xbf16>, tensor<?x4xbf16>
    %cache = epi.kv_cache "layer.0" : !epi.mla_cache<latent = 8, rope = 4, bf16>
    %new = epi.kv_append %cache, %c, %r, %step
        : !epi.mla_cache<latent = 8, rope = 4, bf16>, tensor<?x8xbf16>, tensor<?x4xbf16>
    %b = epi.linear %x, %w2 : (tensor<?x8xbf16>, tensor<12x8xbf16>) -> tensor<?x12xbf16>
    %h = epi.reshape %b : tensor<?x12xbf16> to tensor<?x1x12xbf16>
    %q, %qr = epi.split %h dim 2 : tensor<?x1x12xbf16> to tensor<?x1x8xbf16>, tensor<?x1x4xbf16>
    %o = epi.mla_attention %q, %qr, %new, %step {scale = 0.5 : f64}
        : (tensor<?x1x8xbf16>, tensor<?x1x4xbf16>, !epi.mla_cache<latent = 8, rope = 4, bf16>) -> tensor<?x1x8xbf16>
    return %o : tensor<?x1x8xbf16>
  }
}

// -----

// A fusion group becomes one kernel that carries its name; kernels that differ in an attribute are not shared.

// CHECK-LABEL: module @fused
// CHECK:       exec.kernel @add_rms_norm_0(%[[X:.*]]: tensor<?x8xbf16>, %[[Y:.*]]: tensor<?x8xbf16>, %[[W:.*]]: tensor<8xbf16>) -> (tensor<?x8xbf16>, tensor<?x8xbf16>) {
// CHECK-NEXT:    %[[S:.*]] = epi.add %[[X]], %[[Y]]
// CHECK-NEXT:    %[[N:.*]] = epi.rms_norm %[[S]], %[[W]]
// CHECK-NEXT:    exec.yield %[[S]], %[[N]]
// CHECK:       exec.kernel @rms_norm_0
// CHECK:         eps = 5.000000e-01
// CHECK:       exec.kernel @rms_norm_1
// CHECK:         eps = 2.500000e-01
// CHECK:       func.func @main
// CHECK-NEXT:    %[[S:.*]]:2 = exec.launch @add_rms_norm_0
// CHECK-NEXT:    exec.launch @rms_norm_0(%[[S]]#0
// CHECK-NEXT:    exec.launch @rms_norm_1(%[[S]]#1
// CHECK-NEXT:    return
// CHECK-NOT:   epi.fused
module @fused {
  func.func @main(%x: tensor<?x8xbf16>, %y: tensor<?x8xbf16>, %w: tensor<8xbf16>)
      -> (tensor<?x8xbf16>, tensor<?x8xbf16>) {
    %s, %n = epi.fused "add_rms_norm"(%x, %y, %w)
        : (tensor<?x8xbf16>, tensor<?x8xbf16>, tensor<8xbf16>) -> (tensor<?x8xbf16>, tensor<?x8xbf16>) {
    ^bb0(%0: tensor<?x8xbf16>, %1: tensor<?x8xbf16>, %2: tensor<8xbf16>):
      %3 = epi.add %0, %1 : tensor<?x8xbf16>
      %4 = epi.rms_norm %3, %2 {eps = 0.5 : f64} : tensor<?x8xbf16>, tensor<8xbf16>
      epi.yield %3, %4 : tensor<?x8xbf16>, tensor<?x8xbf16>
    }
    %a = epi.rms_norm %s, %w {eps = 0.5 : f64} : tensor<?x8xbf16>, tensor<8xbf16>
    %b = epi.rms_norm %n, %w {eps = 0.25 : f64} : tensor<?x8xbf16>, tensor<8xbf16>
    return %a, %b : tensor<?x8xbf16>, tensor<?x8xbf16>
  }
}

// -----

// Exchanges stay, and need values of their own: a view is copied for them, once.

// CHECK-LABEL: module @exchange
// CHECK:       exec.kernel @copy_0(%[[X:.*]]: tensor<?x8xbf16>) -> tensor<?x4xbf16> {
// CHECK-NEXT:    %[[P:.*]]:2 = epi.split %[[X]] dim 1
// CHECK-NEXT:    exec.yield %[[P]]#1
// CHECK:       func.func @main(%[[X:.*]]: tensor<?x8xbf16>)
// CHECK-NEXT:    %[[C:.*]] = exec.launch @copy_0(%[[X]])
// CHECK-NEXT:    %[[Y:.*]] = ep.all_reduce %[[C]] on @world
// CHECK-NEXT:    return %[[Y]], %[[C]]
module @exchange {
  ep.mesh @world {expert = 2 : i64, attention = #ep.attention<replicated>}
  func.func @main(%x: tensor<?x8xbf16>) -> (tensor<?x4xbf16>, tensor<?x4xbf16>) {
    %a, %b = epi.split %x dim 1 : tensor<?x8xbf16> to tensor<?x4xbf16>, tensor<?x4xbf16>
    %y = ep.all_reduce %b on @world : tensor<?x4xbf16>
    return %y, %b : tensor<?x4xbf16>, tensor<?x4xbf16>
  }
}
