// RUN: epigraph-opt %s --epi-fuse-linear-epilogue --split-input-file | FileCheck %s
// RUN: epigraph-opt %s --epi-fuse-linear-epilogue --split-input-file --remarks-filter='.*' 2>&1 | FileCheck %s --check-prefix=COUNT

// CHECK-LABEL: func.func @bias_silu
// CHECK-SAME:    (%[[X:.*]]: tensor<?x8xbf16>, %[[W:.*]]: tensor<4x8xbf16>, %[[B:.*]]: tensor<4xf32>)
// CHECK-NEXT:    %[[Y:.*]] = epi.fused "linear_bias_silu_cast"(%[[X]], %[[W]], %[[B]])
// CHECK-NEXT:    ^bb0(%[[A0:.*]]: tensor<?x8xbf16>, %[[A1:.*]]: tensor<4x8xbf16>, %[[A2:.*]]: tensor<4xf32>):
// CHECK-NEXT:      %[[L:.*]] = epi.linear %[[A0]], %[[A1]] : (tensor<?x8xbf16>, tensor<4x8xbf16>) -> tensor<?x4xf32>
// CHECK-NEXT:      %[[S:.*]] = epi.add %[[L]], %[[A2]] : tensor<?x4xf32>{{ ?}}, tensor<4xf32>
// CHECK-NEXT:      %[[T:.*]] = epi.silu %[[S]]
// CHECK-NEXT:      %[[C:.*]] = epi.cast %[[T]]
// CHECK-NEXT:      epi.yield %[[C]] : tensor<?x4xbf16>
// CHECK:         return %[[Y]]
// COUNT:       groups=1, ops=4, row-bytes=96
func.func @bias_silu(%x: tensor<?x8xbf16>, %w: tensor<4x8xbf16>, %b: tensor<4xf32>) -> tensor<?x4xbf16> {
  %l = epi.linear %x, %w : (tensor<?x8xbf16>, tensor<4x8xbf16>) -> tensor<?x4xf32>
  %s = epi.add %l, %b : tensor<?x4xf32>, tensor<4xf32>
  %t = epi.silu %s : tensor<?x4xf32>
  %c = epi.cast %t : tensor<?x4xf32> to tensor<?x4xbf16>
  return %c : tensor<?x4xbf16>
}

// -----

// The sum of a residual stream: the projection saves more than the norm, because the sum is written anyway. What is added may come
// after the projection, which sinks to the sum, and stand on either side.

// CHECK-LABEL: func.func @residual
// CHECK:         %[[R:.*]] = epi.silu
// CHECK-NEXT:    %[[S:.*]] = epi.fused "linear_residual"(%{{.*}}, %{{.*}}, %[[R]])
// CHECK:         epi.add %{{[a-z0-9]+}}, %{{[a-z0-9]+}}
// CHECK:         %[[N:.*]] = epi.rms_norm %[[S]]
// CHECK:         return %[[S]], %[[N]]
func.func @residual(%x: tensor<?x8xbf16>, %w: tensor<8x8xbf16>, %g: tensor<8xbf16>) -> (tensor<?x8xbf16>, tensor<?x8xbf16>) {
  %l = epi.linear %x, %w : (tensor<?x8xbf16>, tensor<8x8xbf16>) -> tensor<?x8xbf16>
  %r = epi.silu %x : tensor<?x8xbf16>
  %s = epi.add %r, %l : tensor<?x8xbf16>
  %n = epi.rms_norm %s, %g {eps = 0.5 : f64} : tensor<?x8xbf16>, tensor<8xbf16>
  return %s, %n : tensor<?x8xbf16>, tensor<?x8xbf16>
}

// -----

// A tie: nothing else reads the sum, or the inner sum. The norm gets them.

// CHECK-LABEL: func.func @norm_takes_it
// CHECK-NOT:     epi.fused
func.func @norm_takes_it(%x: tensor<?x8xbf16>, %r: tensor<?x8xbf16>, %w: tensor<8x8xbf16>, %g: tensor<8xbf16>)
    -> (tensor<?x8xbf16>, tensor<?x8xbf16>, tensor<?x8xbf16>) {
  %l = epi.linear %x, %w : (tensor<?x8xbf16>, tensor<8x8xbf16>) -> tensor<?x8xbf16>
  %s = epi.add %l, %x : tensor<?x8xbf16>
  %n = epi.rms_norm %s, %g {eps = 0.5 : f64} : tensor<?x8xbf16>, tensor<8xbf16>
  %k = epi.linear %r, %w : (tensor<?x8xbf16>, tensor<8x8xbf16>) -> tensor<?x8xbf16>
  %i = epi.add %r, %k : tensor<?x8xbf16>
  %o = epi.add %x, %i : tensor<?x8xbf16>
  %m = epi.rms_norm %o, %g {eps = 0.5 : f64} : tensor<?x8xbf16>, tensor<8xbf16>
  return %n, %o, %m : tensor<?x8xbf16>, tensor<?x8xbf16>, tensor<?x8xbf16>
}

// -----

// The other projections; a product with a tensor and with a vector.

// CHECK-LABEL: func.func @kinds
// CHECK:         epi.fused "head_linear_scale"
// CHECK:         epi.fused "grouped_linear_sigmoid_mul"
func.func @kinds(%x: tensor<?x2x8xbf16>, %w: tensor<2x4x8xbf16>, %v: tensor<4xbf16>, %r: tensor<?x8xbf16>, %c: tensor<3xi32>, %e: tensor<3x4x8xbf16>, %t: tensor<?x4xbf16>)
    -> (tensor<?x2x4xbf16>, tensor<?x4xbf16>) {
  %h = epi.head_linear %x, %w : (tensor<?x2x8xbf16>, tensor<2x4x8xbf16>) -> tensor<?x2x4xbf16>
  %a = epi.mul %h, %v : tensor<?x2x4xbf16>, tensor<4xbf16>
  %g = epi.grouped_linear %r, %c, %e : (tensor<?x8xbf16>, tensor<3xi32>, tensor<3x4x8xbf16>) -> tensor<?x4xbf16>
  %s = epi.sigmoid %g : tensor<?x4xbf16>
  %b = epi.mul %t, %s : tensor<?x4xbf16>
  return %a, %b : tensor<?x2x4xbf16>, tensor<?x4xbf16>
}

// -----

// Other uses of the result; the result is both operands; one value for each row; the result is the vector for
// rows of another value.

// CHECK-LABEL: func.func @left_alone
// CHECK-NOT:     epi.fused
// COUNT:       the other operand holds one value for each row
// COUNT:       groups=0, ops=0, row-bytes=0
func.func @left_alone(%x: tensor<?x8xbf16>, %y: tensor<8x8xbf16>, %w: tensor<8x8xbf16>, %b: tensor<8xbf16>, %s: tensor<?x1xbf16>, %u: tensor<1x8xbf16>)
    -> (tensor<?x8xbf16>, tensor<?x8xbf16>, tensor<?x8xbf16>, tensor<?x8xbf16>, tensor<?x8xbf16>) {
  %a = epi.linear %x, %w : (tensor<?x8xbf16>, tensor<8x8xbf16>) -> tensor<?x8xbf16>
  %a1 = epi.add %a, %b : tensor<?x8xbf16>, tensor<8xbf16>
  %c = epi.linear %x, %w : (tensor<?x8xbf16>, tensor<8x8xbf16>) -> tensor<?x8xbf16>
  %c1 = epi.add %c, %c : tensor<?x8xbf16>
  %d = epi.linear %x, %w : (tensor<?x8xbf16>, tensor<8x8xbf16>) -> tensor<?x8xbf16>
  %d1 = epi.mul %d, %s : tensor<?x8xbf16>, tensor<?x1xbf16>
  %e = epi.linear %x, %u : (tensor<?x8xbf16>, tensor<1x8xbf16>) -> tensor<?x1xbf16>
  %e1 = epi.mul %x, %e : tensor<?x8xbf16>, tensor<?x1xbf16>
  return %a, %a1, %c1, %d1, %e1 : tensor<?x8xbf16>, tensor<?x8xbf16>, tensor<?x8xbf16>, tensor<?x8xbf16>, tensor<?x8xbf16>
}

// -----

// The chain ends where it forks; what comes behind a norm, or a reshape, is not the projection's.

// CHECK-LABEL: func.func @ends
// CHECK:         %[[F:.*]] = epi.fused "linear_bias"
// CHECK:         epi.silu %[[F]]
// CHECK:         epi.linear
// CHECK-NEXT:    epi.rms_norm
// CHECK-NEXT:    epi.silu
// CHECK-NEXT:    epi.linear
// CHECK-NEXT:    epi.reshape
// CHECK-NEXT:    epi.silu
func.func @ends(%x: tensor<?x8xbf16>, %w: tensor<8x8xbf16>, %b: tensor<8xbf16>)
    -> (tensor<?x8xbf16>, tensor<?x8xbf16>, tensor<?x8xbf16>, tensor<?x2x4xbf16>) {
  %a = epi.linear %x, %w : (tensor<?x8xbf16>, tensor<8x8xbf16>) -> tensor<?x8xbf16>
  %a1 = epi.add %a, %b : tensor<?x8xbf16>, tensor<8xbf16>
  %a2 = epi.silu %a1 : tensor<?x8xbf16>
  %c = epi.linear %x, %w : (tensor<?x8xbf16>, tensor<8x8xbf16>) -> tensor<?x8xbf16>
  %c1 = epi.rms_norm %c, %b {eps = 0.5 : f64} : tensor<?x8xbf16>, tensor<8xbf16>
  %c2 = epi.silu %c1 : tensor<?x8xbf16>
  %d = epi.linear %x, %w : (tensor<?x8xbf16>, tensor<8x8xbf16>) -> tensor<?x8xbf16>
  %d1 = epi.reshape %d : tensor<?x8xbf16> to tensor<?x2x4xbf16>
  %d2 = epi.silu %d1 : tensor<?x2x4xbf16>
  return %a1, %a2, %c2, %d2 : tensor<?x8xbf16>, tensor<?x8xbf16>, tensor<?x8xbf16>, tensor<?x2x4xbf16>
}

// -----

// The projection does not wait for other ranks.

ep.mesh @world {attention = #ep.attention<replicated>, expert = 2 : i64}
// CHECK-LABEL: func.func @exchange
// CHECK-NOT:     epi.fused
// COUNT:       the projection would wait for the exchange
func.func @exchange(%x: tensor<?x8xbf16>, %y: tensor<?x8xbf16>, %w: tensor<8x8xbf16>) -> tensor<?x8xbf16> {
  %l = epi.linear %x, %w : (tensor<?x8xbf16>, tensor<8x8xbf16>) -> tensor<?x8xbf16>
  %g = ep.all_reduce %y on @world : tensor<?x8xbf16>
  %s = epi.add %l, %g : tensor<?x8xbf16>
  return %s : tensor<?x8xbf16>
}
