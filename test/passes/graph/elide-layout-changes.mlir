// RUN: epigraph-opt %s --epi-elide-layout-changes --split-input-file | FileCheck %s
// RUN: epigraph-opt %s --epi-elide-layout-changes --split-input-file --remarks-filter='.*' 2>&1 | FileCheck %s --check-prefix=COUNT

// There and back; the sizes of what is not written are those of the weights.

// CHECK-LABEL: func.func @transposes
// CHECK-NEXT:    %[[W:.*]] = epi.weight "w"
// CHECK-NEXT:    %[[T:.*]] = epi.transpose %[[W]] [2, 0, 1]
// CHECK-NEXT:    return %[[W]], %[[T]]
// COUNT:       ops=3, row-bytes=0, weight-bytes=144
func.func @transposes() -> (tensor<2x3x4xbf16>, tensor<4x2x3xbf16>) {
  %w = epi.weight "w" : tensor<2x3x4xbf16>
  %a = epi.transpose %w [0, 2, 1] : tensor<2x3x4xbf16> to tensor<2x4x3xbf16>
  %b = epi.transpose %a [0, 2, 1] : tensor<2x4x3xbf16> to tensor<2x3x4xbf16>
  %c = epi.transpose %w [1, 2, 0] : tensor<2x3x4xbf16> to tensor<3x4x2xbf16>
  %d = epi.transpose %c [1, 2, 0] : tensor<3x4x2xbf16> to tensor<4x2x3xbf16>
  return %b, %d : tensor<2x3x4xbf16>, tensor<4x2x3xbf16>
}

// -----

// Dimensions of size 1 move for nothing, unless the rows do.

// CHECK-LABEL: func.func @units
// CHECK-SAME:    (%[[X:.*]]: tensor<?x1x4xbf16>, %[[Y:.*]]: tensor<1x3x4xf32>)
// CHECK-NEXT:    %[[A:.*]] = epi.reshape %[[X]] : tensor<?x1x4xbf16> to tensor<?x4x1xbf16>
// CHECK-NEXT:    %[[B:.*]] = epi.reshape %[[Y]] : tensor<1x3x4xf32> to tensor<3x4x1xf32>
// CHECK-NEXT:    %[[C:.*]] = epi.transpose %[[X]] [1, 0, 2]
// CHECK-NEXT:    return %[[A]], %[[B]], %[[C]]
// COUNT:       ops=0, row-bytes=8, weight-bytes=48
func.func @units(%x: tensor<?x1x4xbf16>, %y: tensor<1x3x4xf32>) -> (tensor<?x4x1xbf16>, tensor<3x4x1xf32>, tensor<1x?x4xbf16>) {
  %a = epi.transpose %x [0, 2, 1] : tensor<?x1x4xbf16> to tensor<?x4x1xbf16>
  %b = epi.transpose %y [1, 2, 0] : tensor<1x3x4xf32> to tensor<3x4x1xf32>
  %c = epi.transpose %x [1, 0, 2] : tensor<?x1x4xbf16> to tensor<1x?x4xbf16>
  return %a, %b, %c : tensor<?x4x1xbf16>, tensor<3x4x1xf32>, tensor<1x?x4xbf16>
}

// -----

// CHECK-LABEL: func.func @split_and_back
// CHECK-SAME:    (%[[X:.*]]: tensor<?x6xbf16>, %[[Y:.*]]: tensor<?x2xbf16>)
// CHECK-NEXT:    %[[D:.*]] = epi.concat %[[X]], %[[Y]] dim 1
// CHECK-NEXT:    return %[[X]], %[[D]]
func.func @split_and_back(%x: tensor<?x6xbf16>, %y: tensor<?x2xbf16>) -> (tensor<?x6xbf16>, tensor<?x8xbf16>) {
  %a, %b = epi.split %x dim 1 : tensor<?x6xbf16> to tensor<?x4xbf16>, tensor<?x2xbf16>
  %c = epi.concat %a, %b dim 1 : tensor<?x4xbf16>, tensor<?x2xbf16> to tensor<?x6xbf16>
  %d = epi.concat %a, %b, %y dim 1 : tensor<?x4xbf16>, tensor<?x2xbf16>, tensor<?x2xbf16> to tensor<?x8xbf16>
  return %c, %d : tensor<?x6xbf16>, tensor<?x8xbf16>
}

// -----

// Not the split's value: another order, a part twice or missing, another dimension.

// CHECK-LABEL: func.func @other_concats
// CHECK-COUNT-4: epi.concat
func.func @other_concats(%x: tensor<4x4xbf16>) -> (tensor<4x4xbf16>, tensor<4x4xbf16>, tensor<4x2xbf16>, tensor<8x2xbf16>) {
  %a, %b = epi.split %x dim 1 : tensor<4x4xbf16> to tensor<4x2xbf16>, tensor<4x2xbf16>
  %c = epi.concat %b, %a dim 1 : tensor<4x2xbf16>, tensor<4x2xbf16> to tensor<4x4xbf16>
  %d = epi.concat %a, %a dim 1 : tensor<4x2xbf16>, tensor<4x2xbf16> to tensor<4x4xbf16>
  %p, %q, %r = epi.split %x dim 1 : tensor<4x4xbf16> to tensor<4x1xbf16>, tensor<4x1xbf16>, tensor<4x2xbf16>
  %e = epi.concat %p, %q dim 1 : tensor<4x1xbf16>, tensor<4x1xbf16> to tensor<4x2xbf16>
  %f = epi.concat %a, %b dim 0 : tensor<4x2xbf16>, tensor<4x2xbf16> to tensor<8x2xbf16>
  return %c, %d, %e, %f : tensor<4x4xbf16>, tensor<4x4xbf16>, tensor<4x2xbf16>, tensor<8x2xbf16>
}

// -----

// A split along borders of the concat reads its operands; the inner concat is one with the outer.

// CHECK-LABEL: func.func @along_borders
// CHECK-SAME:    (%[[A:.*]]: tensor<?x2xf32>, %[[B:.*]]: tensor<?x3xf32>, %[[C:.*]]: tensor<?x4xf32>)
// CHECK-NEXT:    %[[AB:.*]] = epi.concat %[[A]], %[[B]] dim 1
// CHECK-NEXT:    return %[[AB]], %[[C]]
func.func @along_borders(%a: tensor<?x2xf32>, %b: tensor<?x3xf32>, %c: tensor<?x4xf32>) -> (tensor<?x5xf32>, tensor<?x4xf32>) {
  %i = epi.concat %b, %c dim 1 : tensor<?x3xf32>, tensor<?x4xf32> to tensor<?x7xf32>
  %o = epi.concat %a, %i dim 1 : tensor<?x2xf32>, tensor<?x7xf32> to tensor<?x9xf32>
  %l, %r = epi.split %o dim 1 : tensor<?x9xf32> to tensor<?x5xf32>, tensor<?x4xf32>
  return %l, %r : tensor<?x5xf32>, tensor<?x4xf32>
}

// -----

// A border inside an operand; a concat that is needed as a whole anyway.

// CHECK-LABEL: func.func @across_borders
// CHECK:         epi.concat
// CHECK-NEXT:    epi.split
// CHECK-NEXT:    epi.concat
// CHECK-NEXT:    epi.split
func.func @across_borders(%a: tensor<?x2xf32>, %b: tensor<?x3xf32>) -> (tensor<?x1xf32>, tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x3xf32>, tensor<?x7xf32>) {
  %c = epi.concat %a, %b dim 1 : tensor<?x2xf32>, tensor<?x3xf32> to tensor<?x5xf32>
  %l, %r = epi.split %c dim 1 : tensor<?x5xf32> to tensor<?x1xf32>, tensor<?x4xf32>
  %d = epi.concat %a, %a, %b dim 1 : tensor<?x2xf32>, tensor<?x2xf32>, tensor<?x3xf32> to tensor<?x7xf32>
  %p, %q = epi.split %d dim 1 : tensor<?x7xf32> to tensor<?x4xf32>, tensor<?x3xf32>
  return %l, %r, %p, %q, %d : tensor<?x1xf32>, tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x3xf32>, tensor<?x7xf32>
}

// -----

// bf16 to f32 is exact, the other way is not.

// CHECK-LABEL: func.func @casts
// CHECK-SAME:    (%[[X:.*]]: tensor<?x8xbf16>, %[[Y:.*]]: tensor<?x8xf32>)
// CHECK-NEXT:    %[[R:.*]] = epi.cast %[[Y]]
// CHECK-NEXT:    %[[B:.*]] = epi.cast %[[R]]
// CHECK-NEXT:    return %[[X]], %[[B]]
// COUNT:       ops=2, row-bytes=48, weight-bytes=0
func.func @casts(%x: tensor<?x8xbf16>, %y: tensor<?x8xf32>) -> (tensor<?x8xbf16>, tensor<?x8xf32>) {
  %w = epi.cast %x : tensor<?x8xbf16> to tensor<?x8xf32>
  %a = epi.cast %w : tensor<?x8xf32> to tensor<?x8xbf16>
  %r = epi.cast %y : tensor<?x8xf32> to tensor<?x8xbf16>
  %b = epi.cast %r : tensor<?x8xbf16> to tensor<?x8xf32>
  return %a, %b : tensor<?x8xbf16>, tensor<?x8xf32>
}

// -----

// In the program of a weight too.

// CHECK-LABEL: exec.weight @w
// CHECK-NEXT:    %[[W:.*]] = epi.weight "w"
// CHECK-NEXT:    %[[P:.*]] = exec.pack %[[W]] : tensor<6x4xbf16> to tensor<6x4xbf16, #exec.panel<columns = 32, depth = 2>>
// CHECK-NEXT:    exec.yield %[[P]]
exec.weight @w : tensor<6x4xbf16, #exec.panel<columns = 32, depth = 2>> {
  %w = epi.weight "w" : tensor<6x4xbf16>
  %r = epi.reshape %w : tensor<6x4xbf16> to tensor<24xbf16>
  %s = epi.reshape %r : tensor<24xbf16> to tensor<6x4xbf16>
  %p = exec.pack %s : tensor<6x4xbf16> to tensor<6x4xbf16, #exec.panel<columns = 16, depth = 2>>
  %q = exec.pack %p : tensor<6x4xbf16, #exec.panel<columns = 16, depth = 2>> to tensor<6x4xbf16, #exec.panel<columns = 32, depth = 2>>
  exec.yield %q : tensor<6x4xbf16, #exec.panel<columns = 32, depth = 2>>
}
