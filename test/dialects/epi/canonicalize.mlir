// RUN: epigraph-opt %s --canonicalize | FileCheck %s

// CHECK-LABEL: func.func @identities
// CHECK-SAME:    (%[[X:.*]]: tensor<?x8xbf16>)
// CHECK-NEXT:    return %[[X]], %[[X]], %[[X]]
func.func @identities(%x: tensor<?x8xbf16>) -> (tensor<?x8xbf16>, tensor<?x8xbf16>, tensor<?x8xbf16>) {
  %a = epi.cast %x : tensor<?x8xbf16> to tensor<?x8xbf16>
  %b = epi.reshape %x : tensor<?x8xbf16> to tensor<?x8xbf16>
  %c = epi.concat %x dim 1 : tensor<?x8xbf16> to tensor<?x8xbf16>
  return %a, %b, %c : tensor<?x8xbf16>, tensor<?x8xbf16>, tensor<?x8xbf16>
}

// CHECK-LABEL: func.func @reshapes
// CHECK-SAME:    (%[[X:.*]]: tensor<?x8xbf16>)
// CHECK-NEXT:    %[[Y:.*]] = epi.reshape %[[X]] : tensor<?x8xbf16> to tensor<?x4x2xbf16>
// CHECK-NEXT:    return %[[Y]], %[[X]]
func.func @reshapes(%x: tensor<?x8xbf16>) -> (tensor<?x4x2xbf16>, tensor<?x8xbf16>) {
  %a = epi.reshape %x : tensor<?x8xbf16> to tensor<?x2x4xbf16>
  %b = epi.reshape %a : tensor<?x2x4xbf16> to tensor<?x4x2xbf16>
  %c = epi.reshape %a : tensor<?x2x4xbf16> to tensor<?x8xbf16>
  return %b, %c : tensor<?x4x2xbf16>, tensor<?x8xbf16>
}

// CHECK-LABEL: func.func @split_of_concat
// CHECK-SAME:    (%[[X:.*]]: tensor<?x2xf32>, %[[Y:.*]]: tensor<?x6xf32>)
// CHECK-NEXT:    return %[[X]], %[[Y]]
func.func @split_of_concat(%x: tensor<?x2xf32>, %y: tensor<?x6xf32>) -> (tensor<?x2xf32>, tensor<?x6xf32>) {
  %a = epi.concat %x, %y dim 1 : tensor<?x2xf32>, tensor<?x6xf32> to tensor<?x8xf32>
  %b, %c = epi.split %a dim 1 : tensor<?x8xf32> to tensor<?x2xf32>, tensor<?x6xf32>
  return %b, %c : tensor<?x2xf32>, tensor<?x6xf32>
}

// Other sizes, or another dimension, are another value; a cast that rounds stays.

// CHECK-LABEL: func.func @kept
// CHECK:         epi.concat
// CHECK-NEXT:    epi.split
// CHECK-NEXT:    epi.cast
// CHECK-NEXT:    epi.cast
// CHECK-NEXT:    return
func.func @kept(%x: tensor<2x2xf32>, %y: tensor<2x2xf32>) -> (tensor<2x1xf32>, tensor<2x3xf32>, tensor<2x2xf32>) {
  %a = epi.concat %x, %y dim 1 : tensor<2x2xf32>, tensor<2x2xf32> to tensor<2x4xf32>
  %b, %c = epi.split %a dim 1 : tensor<2x4xf32> to tensor<2x1xf32>, tensor<2x3xf32>
  %d = epi.cast %x : tensor<2x2xf32> to tensor<2x2xbf16>
  %e = epi.cast %d : tensor<2x2xbf16> to tensor<2x2xf32>
  return %b, %c, %e : tensor<2x1xf32>, tensor<2x3xf32>, tensor<2x2xf32>
}

// What nothing uses goes; a write to a cache stays.

// CHECK-LABEL: func.func @dead
// CHECK-NEXT:    epi.kv_append
// CHECK-NEXT:    return
func.func @dead(%c: !epi.mla_cache<latent = 8, rope = 2, f32>, %x: tensor<?x8xf32>, %r: tensor<?x2xf32>, %step: !epi.step) {
  %w = epi.weight "unused" : tensor<8x8xf32>
  %y = epi.linear %x, %w : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %z = epi.kv_append %c, %x, %r, %step : !epi.mla_cache<latent = 8, rope = 2, f32>, tensor<?x8xf32>, tensor<?x2xf32>
  return
}
