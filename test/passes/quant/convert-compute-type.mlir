// RUN: epigraph-opt %s --epi-convert-compute-type=type=float32 | FileCheck %s
// RUN: epigraph-opt %s --epi-convert-compute-type=type=float32 --remarks-filter=.* -o /dev/null 2>&1 | FileCheck %s --check-prefix=STATS
// RUN: epigraph-opt %s -o %t.before
// RUN: epigraph-opt %s --epi-convert-compute-type=type=bfloat16 -o %t.after
// RUN: diff %t.before %t.after

// Tensors of the checkpoint keep their type and are cast; everything else that was bf16 is f32: signatures, caches,
// the bodies of groups. What was f32 or i32 stays.

// STATS: Category:epi-convert-compute-type | casts=1, values=13, weights=3

// CHECK-LABEL: func.func @main
// CHECK-SAME:    (%[[IDS:.*]]: tensor<?xi32> {epi.name = "ids"}, %[[X:.*]]: tensor<?x4xf32>, %[[S:.*]]: !epi.step) -> (tensor<?x4xf32> {epi.name = "logits"}, tensor<?x1x4xf32>, tensor<?x4xf32>)
// CHECK-NEXT:    %[[T:.*]] = epi.weight "table" : tensor<16x4xbf16>
// CHECK-NEXT:    %[[TC:.*]] = epi.cast %[[T]] : tensor<16x4xbf16> to tensor<16x4xf32>
// CHECK-NEXT:    %[[E:.*]] = epi.embedding %[[IDS]], %[[TC]] : (tensor<?xi32>, tensor<16x4xf32>) -> tensor<?x4xf32>
// CHECK-NEXT:    %[[G:.*]] = epi.weight "norm" : tensor<4xbf16>
// CHECK-NEXT:    %[[GC:.*]] = epi.cast %[[G]] : tensor<4xbf16> to tensor<4xf32>
// CHECK-NEXT:    epi.fused "add_rms_norm"(%[[E]], %[[X]], %[[GC]]) : (tensor<?x4xf32>, tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32> {
// CHECK-NEXT:    ^bb0(%{{.*}}: tensor<?x4xf32>, %{{.*}}: tensor<?x4xf32>, %{{.*}}: tensor<4xf32>):
// CHECK:         epi.kv_cache "layer.0" : !epi.kv_cache<heads = 1, key = 4, value = 4, f32>
// CHECK:         epi.kv_append
// CHECK:         %[[W:.*]] = epi.weight_stack "w.{}" : tensor<2x4x4xbf16>
// CHECK-NEXT:    epi.cast %[[W]] : tensor<2x4x4xbf16> to tensor<2x4x4xf32>
// CHECK:         %[[B:.*]] = epi.weight "bias" : tensor<4x4xf32>
// CHECK-NEXT:    %[[L:.*]] = epi.linear %{{.*}}, %[[B]]
// CHECK-NEXT:    return %[[L]], %{{.*}}, %[[L]]
func.func @main(%ids: tensor<?xi32> {epi.name = "ids"}, %x: tensor<?x4xbf16>, %step: !epi.step)
    -> (tensor<?x4xf32> {epi.name = "logits"}, tensor<?x1x4xbf16>, tensor<?x4xf32>) {
  %t = epi.weight "table" : tensor<16x4xbf16>
  %e = epi.embedding %ids, %t : (tensor<?xi32>, tensor<16x4xbf16>) -> tensor<?x4xbf16>
  %g = epi.weight "norm" : tensor<4xbf16>
  %n = epi.fused "add_rms_norm"(%e, %x, %g) : (tensor<?x4xbf16>, tensor<?x4xbf16>, tensor<4xbf16>) -> tensor<?x4xbf16> {
  ^bb0(%0: tensor<?x4xbf16>, %1: tensor<?x4xbf16>, %2: tensor<4xbf16>):
    %3 = epi.add %0, %1 : tensor<?x4xbf16>
    %4 = epi.rms_norm %3, %2 {eps = 0.5 : f64} : tensor<?x4xbf16>, tensor<4xbf16>
    epi.yield %4 : tensor<?x4xbf16>
  }
  %h = epi.reshape %n : tensor<?x4xbf16> to tensor<?x1x4xbf16>
  %c = epi.kv_cache "layer.0" : !epi.kv_cache<heads = 1, key = 4, value = 4, bf16>
  %d = epi.kv_append %c, %h, %h, %step
      : !epi.kv_cache<heads = 1, key = 4, value = 4, bf16>, tensor<?x1x4xbf16>, tensor<?x1x4xbf16>
  %o = epi.attention %h, %d, %step {scale = 0.5 : f64}
      : (tensor<?x1x4xbf16>, !epi.kv_cache<heads = 1, key = 4, value = 4, bf16>) -> tensor<?x1x4xbf16>
  %w = epi.weight_stack "w.{}" : tensor<2x4x4xbf16>
  %counts = epi.weight "counts" : tensor<2xi32>
  %y = epi.grouped_linear %n, %counts, %w : (tensor<?x4xbf16>, tensor<2xi32>, tensor<2x4x4xbf16>) -> tensor<?x4xbf16>
  %z = epi.cast %y : tensor<?x4xbf16> to tensor<?x4xf32>
  %b = epi.weight "bias" : tensor<4x4xf32>
  %l = epi.linear %z, %b : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
  return %l, %o, %l : tensor<?x4xf32>, tensor<?x1x4xbf16>, tensor<?x4xf32>
}
