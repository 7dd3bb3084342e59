// RUN: epigraph-opt %s --epi-fuse-residual-norm --split-input-file | FileCheck %s

// The sum has another use, so the group yields it too, and stands where the sum stood: before that use.

// CHECK-LABEL: func.func @both
// CHECK-SAME:    (%[[X:.*]]: tensor<?x8xbf16>, %[[Y:.*]]: tensor<?x8xbf16>)
// CHECK-NEXT:    %[[W:.*]] = epi.weight "norm"
// CHECK-NEXT:    %[[G:.*]]:2 = epi.fused "add_rms_norm"(%[[X]], %[[Y]], %[[W]])
// CHECK-NEXT:    ^bb0(%[[A:.*]]: tensor<?x8xbf16>, %[[B:.*]]: tensor<?x8xbf16>, %[[V:.*]]: tensor<8xbf16>):
// CHECK-NEXT:      %[[S:.*]] = epi.add %[[A]], %[[B]]
// CHECK-NEXT:      %[[N:.*]] = epi.rms_norm %[[S]], %[[V]] {eps = 5.000000e-01 : f64}
// CHECK-NEXT:      epi.yield %[[S]], %[[N]]
// CHECK:         epi.silu %[[G]]#0
// CHECK-NEXT:    return %{{.*}}, %[[G]]#1
func.func @both(%x: tensor<?x8xbf16>, %y: tensor<?x8xbf16>) -> (tensor<?x8xbf16>, tensor<?x8xbf16>) {
  %s = epi.add %x, %y : tensor<?x8xbf16>
  %t = epi.silu %s : tensor<?x8xbf16>
  %w = epi.weight "norm" : tensor<8xbf16>
  %n = epi.rms_norm %s, %w {eps = 0.5 : f64} : tensor<?x8xbf16>, tensor<8xbf16>
  return %t, %n : tensor<?x8xbf16>, tensor<?x8xbf16>
}

// -----

// The sum only feeds the norm, and a sum only feeds the sum: all three are one group with one result.

// CHECK-LABEL: func.func @chain
// CHECK-SAME:    (%[[X:.*]]: tensor<?x8xbf16>, %[[R:.*]]: tensor<?x8xbf16>, %[[S:.*]]: tensor<?x8xbf16>, %[[W:.*]]: tensor<8xbf16>)
// CHECK-NEXT:    %[[G:.*]] = epi.fused "add_rms_norm"(%[[R]], %[[S]], %[[X]], %[[W]])
// CHECK:           epi.add
// CHECK-NEXT:      epi.add
// CHECK-NEXT:      epi.rms_norm
// CHECK-NEXT:      epi.yield
// CHECK-NEXT:    }
// CHECK-NEXT:    return %[[G]]
func.func @chain(%x: tensor<?x8xbf16>, %r: tensor<?x8xbf16>, %s: tensor<?x8xbf16>, %w: tensor<8xbf16>) -> tensor<?x8xbf16> {
  %a = epi.add %r, %s : tensor<?x8xbf16>
  %b = epi.add %x, %a : tensor<?x8xbf16>
  %n = epi.rms_norm %b, %w {eps = 0.5 : f64} : tensor<?x8xbf16>, tensor<8xbf16>
  return %n : tensor<?x8xbf16>
}

// -----

// An inner sum with another use stays outside; a norm of anything but a sum, and a sum without a norm, stay as they are.

// CHECK-LABEL: func.func @partly
// CHECK:         %[[A:.*]] = epi.add
// CHECK-NEXT:    epi.fused "add_rms_norm"(%{{.*}}, %[[A]], %{{.*}})
// CHECK-NOT:     epi.fused
// CHECK:         epi.rms_norm %[[A2:.*]], %{{.*}} {eps = 2.5
// CHECK-NEXT:    epi.add
func.func @partly(%x: tensor<?x8xbf16>, %y: tensor<?x8xbf16>, %w: tensor<8xbf16>)
    -> (tensor<?x8xbf16>, tensor<?x8xbf16>, tensor<?x8xbf16>) {
  %a = epi.add %x, %y : tensor<?x8xbf16>
  %b = epi.add %x, %a : tensor<?x8xbf16>
  %n = epi.rms_norm %b, %w {eps = 0.5 : f64} : tensor<?x8xbf16>, tensor<8xbf16>
  %m = epi.rms_norm %x, %w {eps = 0.25 : f64} : tensor<?x8xbf16>, tensor<8xbf16>
  %c = epi.add %n, %m : tensor<?x8xbf16>
  return %a, %n, %c : tensor<?x8xbf16>, tensor<?x8xbf16>, tensor<?x8xbf16>
}

// -----

// A weight that is computed between sum and norm cannot move up.

// CHECK-LABEL: func.func @late_weight
// CHECK-NOT:     epi.fused
func.func @late_weight(%x: tensor<8x8xf32>, %v: tensor<8xf32>) -> tensor<8x8xf32> {
  %s = epi.add %x, %x : tensor<8x8xf32>
  %w = epi.silu %v : tensor<8xf32>
  %n = epi.rms_norm %s, %w {eps = 0.5 : f64} : tensor<8x8xf32>, tensor<8xf32>
  return %n : tensor<8x8xf32>
}
