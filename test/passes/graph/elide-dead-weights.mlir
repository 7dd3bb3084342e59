// RUN: epigraph-opt %s --epi-elide-dead-weights | FileCheck %s
// RUN: epigraph-opt %s --epi-elide-dead-weights --remarks-filter=.* -o /dev/null 2>&1 | FileCheck %s --check-prefix=STATS

// 8 * 8 * 2 bytes of "unused", and a stack of 4 tensors of 2 * 8 floats.
// STATS: Category:epi-elide-dead-weights | bytes=384, ops=5, weights=5

// CHECK-LABEL: func.func @main
// CHECK-NEXT:    %[[W:.*]] = epi.weight "used"
// CHECK-NEXT:    epi.linear %{{.*}}, %[[W]]
// CHECK-NEXT:    epi.silu
// CHECK-NEXT:    return
func.func @main(%x: tensor<?x8xbf16>) -> tensor<?x8xbf16> {
  %w = epi.weight "used" : tensor<8x8xbf16>
  // A chain goes whole, and so does a split if none of its parts is used.
  %u = epi.weight "unused" : tensor<8x8xbf16>
  %c = epi.cast %u : tensor<8x8xbf16> to tensor<8x8xf32>
  %a, %b = epi.split %c dim 0 : tensor<8x8xf32> to tensor<4x8xf32>, tensor<4x8xf32>
  %r = epi.reshape %b : tensor<4x8xf32> to tensor<2x16xf32>
  %s = epi.weight_stack "experts.{}.up" : tensor<4x2x8xf32>
  %y = epi.linear %x, %w : (tensor<?x8xbf16>, tensor<8x8xbf16>) -> tensor<?x8xbf16>
  // Computation on activations stays, used or not.
  %z = epi.silu %y : tensor<?x8xbf16>
  return %y : tensor<?x8xbf16>
}
