// RUN: epigraph-opt %s --epi-fuse-gated-epilogue | FileCheck %s
// RUN: epigraph-opt %s --epi-fuse-gated-epilogue --remarks-filter=.* -o /dev/null 2>&1 | FileCheck %s --check-prefix=STATS

// STATS: Category:epi-fuse-gated-epilogue {{.*}}something else reads what the projection gives
// STATS: Category:epi-fuse-gated-epilogue {{.*}}the parts cut blocks that share a scale
// STATS: Category:epi-fuse-gated-epilogue | groups=2, row-bytes=1088

// The projection goes into the group; scales, biases and counts come along as operands.
// CHECK-LABEL: func.func @main
// CHECK-SAME:    (%[[X:.*]]: tensor<?x8xbf16>, %[[W:.*]]: tensor<16x8xbf16>, %[[N:.*]]: tensor<2xi32>, %[[E:.*]]: tensor<2x256x8xf8E4M3FN>, %[[S:.*]]: tensor<2x2x1xf32>)
// CHECK-NEXT:    %[[A:.*]] = epi.fused "linear_swiglu"(%[[X]], %[[W]]) : (tensor<?x8xbf16>, tensor<16x8xbf16>) -> tensor<?x8xbf16> {
// CHECK-NEXT:    ^bb0(%[[BX:.*]]: tensor<?x8xbf16>, %[[BW:.*]]: tensor<16x8xbf16>):
// CHECK-NEXT:      %[[L:.*]] = epi.linear %[[BX]], %[[BW]]
// CHECK-NEXT:      %[[P:.*]]:2 = epi.split %[[L]] dim 1
// CHECK-NEXT:      epi.silu %[[P]]#0
// CHECK-NEXT:      %[[M:.*]] = epi.mul
// CHECK-NEXT:      epi.yield %[[M]]
// CHECK:         epi.fused "grouped_linear_swiglu"(%[[A]], %[[N]], %[[E]], %[[S]])
// CHECK:           epi.grouped_linear %{{.*}}, %{{.*}}, %{{.*}} scale %{{.*}}
func.func @main(%x: tensor<?x8xbf16>, %w: tensor<16x8xbf16>, %n: tensor<2xi32>, %e: tensor<2x256x8xf8E4M3FN>, %s: tensor<2x2x1xf32>) -> tensor<?x128xbf16> {
  %0 = epi.linear %x, %w : (tensor<?x8xbf16>, tensor<16x8xbf16>) -> tensor<?x16xbf16>
  %1 = epi.fused "swiglu"(%0) : (tensor<?x16xbf16>) -> tensor<?x8xbf16> {
  ^bb0(%y: tensor<?x16xbf16>):
    %gate, %up = epi.split %y dim 1 : tensor<?x16xbf16> to tensor<?x8xbf16>, tensor<?x8xbf16>
    %a = epi.silu %gate : tensor<?x8xbf16>
    %b = epi.mul %a, %up : tensor<?x8xbf16>
    epi.yield %b : tensor<?x8xbf16>
  }
  %2 = epi.grouped_linear %1, %n, %e scale %s : (tensor<?x8xbf16>, tensor<2xi32>, tensor<2x256x8xf8E4M3FN> scale tensor<2x2x1xf32>) -> tensor<?x256xbf16>
  %3 = epi.fused "swiglu"(%2) : (tensor<?x256xbf16>) -> tensor<?x128xbf16> {
  ^bb0(%y: tensor<?x256xbf16>):
    %gate, %up = epi.split %y dim 1 : tensor<?x256xbf16> to tensor<?x128xbf16>, tensor<?x128xbf16>
    %a = epi.silu %gate : tensor<?x128xbf16>
    %b = epi.mul %a, %up : tensor<?x128xbf16>
    epi.yield %b : tensor<?x128xbf16>
  }
  return %3 : tensor<?x128xbf16>
}

// Another reader, another operand, unequal parts, a norm: left alone.
// CHECK-LABEL: func.func @left_alone
// CHECK-COUNT-4: epi.linear
// CHECK-NOT:     "linear_
// CHECK:         return
func.func @left_alone(%x: tensor<?x8xbf16>, %w: tensor<16x8xbf16>, %v: tensor<8xbf16>)
    -> (tensor<?x16xbf16>, tensor<?x8xbf16>, tensor<?x8xbf16>, tensor<?x4xbf16>, tensor<?x16xbf16>) {
  %0 = epi.linear %x, %w : (tensor<?x8xbf16>, tensor<16x8xbf16>) -> tensor<?x16xbf16>
  %1 = epi.fused "swiglu"(%0) : (tensor<?x16xbf16>) -> tensor<?x8xbf16> {
  ^bb0(%y: tensor<?x16xbf16>):
    %gate, %up = epi.split %y dim 1 : tensor<?x16xbf16> to tensor<?x8xbf16>, tensor<?x8xbf16>
    %a = epi.silu %gate : tensor<?x8xbf16>
    %b = epi.mul %a, %up : tensor<?x8xbf16>
    epi.yield %b : tensor<?x8xbf16>
  }
  %2 = epi.linear %1, %w : (tensor<?x8xbf16>, tensor<16x8xbf16>) -> tensor<?x16xbf16>
  %3 = epi.fused "scaled"(%2, %v) : (tensor<?x16xbf16>, tensor<8xbf16>) -> tensor<?x8xbf16> {
  ^bb0(%y: tensor<?x16xbf16>, %s: tensor<8xbf16>):
    %gate, %up = epi.split %y dim 1 : tensor<?x16xbf16> to tensor<?x8xbf16>, tensor<?x8xbf16>
    %a = epi.mul %gate, %s : tensor<?x8xbf16>, tensor<8xbf16>
    %b = epi.mul %a, %up : tensor<?x8xbf16>
    epi.yield %b : tensor<?x8xbf16>
  }
  %4 = epi.linear %3, %w : (tensor<?x8xbf16>, tensor<16x8xbf16>) -> tensor<?x16xbf16>
  %5 = epi.fused "unequal"(%4) : (tensor<?x16xbf16>) -> tensor<?x4xbf16> {
  ^bb0(%y: tensor<?x16xbf16>):
    %gate, %up = epi.split %y dim 1 : tensor<?x16xbf16> to tensor<?x4xbf16>, tensor<?x12xbf16>
    %a = epi.silu %gate : tensor<?x4xbf16>
    epi.yield %a : tensor<?x4xbf16>
  }
  %6 = epi.linear %3, %w : (tensor<?x8xbf16>, tensor<16x8xbf16>) -> tensor<?x16xbf16>
  %7 = epi.fused "whole"(%6) : (tensor<?x16xbf16>) -> tensor<?x16xbf16> {
  ^bb0(%y: tensor<?x16xbf16>):
    %a = epi.silu %y : tensor<?x16xbf16>
    epi.yield %a : tensor<?x16xbf16>
  }
  return %0, %1, %3, %5, %7 : tensor<?x16xbf16>, tensor<?x8xbf16>, tensor<?x8xbf16>, tensor<?x4xbf16>, tensor<?x16xbf16>
}

// Halves of 64 columns of an FP8 projection share the scales of a block.
// CHECK-LABEL: func.func @partial_blocks
// CHECK-NEXT:    epi.linear
// CHECK-NEXT:    epi.fused "swiglu"
func.func @partial_blocks(%x: tensor<?x8xf8E4M3FN>, %w: tensor<128x8xf8E4M3FN>, %r: tensor<?x1xf32>, %s: tensor<1x1xf32>) -> tensor<?x64xbf16> {
  %0 = epi.linear %x scale %r, %w scale %s : (tensor<?x8xf8E4M3FN> scale tensor<?x1xf32>, tensor<128x8xf8E4M3FN> scale tensor<1x1xf32>) -> tensor<?x128xbf16>
  %1 = epi.fused "swiglu"(%0) : (tensor<?x128xbf16>) -> tensor<?x64xbf16> {
  ^bb0(%y: tensor<?x128xbf16>):
    %gate, %up = epi.split %y dim 1 : tensor<?x128xbf16> to tensor<?x64xbf16>, tensor<?x64xbf16>
    %a = epi.silu %gate : tensor<?x64xbf16>
    %b = epi.mul %a, %up : tensor<?x64xbf16>
    epi.yield %b : tensor<?x64xbf16>
  }
  return %1 : tensor<?x64xbf16>
}
