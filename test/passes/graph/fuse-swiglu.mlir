// RUN: epigraph-opt %s --epi-fuse-swiglu --split-input-file | FileCheck %s

// Gate and up are parts of one value: the group takes it whole.

// CHECK-LABEL: func.func @gate_up
// CHECK-SAME:    (%[[X:.*]]: tensor<?x8xbf16>)
// CHECK-NEXT:    %[[Y:.*]] = epi.fused "swiglu"(%[[X]])
// CHECK-NEXT:    ^bb0(%[[A:.*]]: tensor<?x8xbf16>):
// CHECK-NEXT:      %[[P:.*]]:2 = epi.split %[[A]] dim 1
// CHECK-NEXT:      %[[S:.*]] = epi.silu %[[P]]#0
// CHECK-NEXT:      %[[M:.*]] = epi.mul %[[S]], %[[P]]#1
// CHECK-NEXT:      epi.yield %[[M]]
// CHECK-NEXT:    }
// CHECK-NEXT:    return %[[Y]]
func.func @gate_up(%x: tensor<?x8xbf16>) -> tensor<?x4xbf16> {
  %g, %u = epi.split %x dim 1 : tensor<?x8xbf16> to tensor<?x4xbf16>, tensor<?x4xbf16>
  %s = epi.silu %g : tensor<?x4xbf16>
  %y = epi.mul %s, %u : tensor<?x4xbf16>
  return %y : tensor<?x4xbf16>
}

// -----

// Separate values are two inputs; the order of factors does not matter.

// CHECK-LABEL: func.func @apart
// CHECK-SAME:    (%[[G:.*]]: tensor<?x4xbf16>, %[[U:.*]]: tensor<?x4xbf16>)
// CHECK-NEXT:    epi.fused "swiglu"(%[[G]], %[[U]])
func.func @apart(%g: tensor<?x4xbf16>, %u: tensor<?x4xbf16>) -> tensor<?x4xbf16> {
  %s = epi.silu %g : tensor<?x4xbf16>
  %y = epi.mul %u, %s : tensor<?x4xbf16>
  return %y : tensor<?x4xbf16>
}

// -----

// A third part of the split is used elsewhere: the split stays for it.

// CHECK-LABEL: func.func @third_part
// CHECK-SAME:    (%[[X:.*]]: tensor<?x9xbf16>)
// CHECK-NEXT:    %[[P:.*]]:3 = epi.split %[[X]]
// CHECK-NEXT:    epi.fused "swiglu"(%[[X]])
// CHECK:         return %{{.*}}, %[[P]]#2
func.func @third_part(%x: tensor<?x9xbf16>) -> (tensor<?x4xbf16>, tensor<?x1xbf16>) {
  %g, %u, %r = epi.split %x dim 1 : tensor<?x9xbf16> to tensor<?x4xbf16>, tensor<?x4xbf16>, tensor<?x1xbf16>
  %s = epi.silu %g : tensor<?x4xbf16>
  %y = epi.mul %s, %u : tensor<?x4xbf16>
  return %y, %r : tensor<?x4xbf16>, tensor<?x1xbf16>
}

// -----

// Not fused: a product without silu, and a silu that is used twice.

// CHECK-LABEL: func.func @others
// CHECK-NOT:     epi.fused
func.func @others(%g: tensor<?x4xbf16>, %u: tensor<?x4xbf16>) -> (tensor<?x4xbf16>, tensor<?x4xbf16>) {
  %m = epi.mul %g, %u : tensor<?x4xbf16>
  %s = epi.silu %g : tensor<?x4xbf16>
  %y = epi.mul %s, %u : tensor<?x4xbf16>
  %z = epi.add %s, %m : tensor<?x4xbf16>
  return %y, %z : tensor<?x4xbf16>, tensor<?x4xbf16>
}
