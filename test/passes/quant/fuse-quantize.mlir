// RUN: epigraph-opt %s --epi-fuse-quantize | FileCheck %s
// RUN: epigraph-opt %s --epi-fuse-quantize --remarks-filter=.* -o /dev/null 2>&1 | FileCheck %s --check-prefix=STATS

// STATS: Category:epi-fuse-quantize {{.*}}the kernel that makes its operand has no whole blocks of a row
// STATS: Category:epi-fuse-quantize {{.*}}the kernel of the heads has no whole blocks of a row
// STATS: Category:epi-fuse-quantize | groups=5, row-bytes=2816

// The norm alone: nothing else reads it, so it is not stored.
// CHECK-LABEL: func.func @norm
// CHECK:         %[[F:.*]]:2 = epi.fused "rms_norm_quantize"(%{{.*}}, %{{.*}}) : (tensor<?x128xbf16>, tensor<128xbf16>) -> (tensor<?x128xf8E4M3FN>, tensor<?x1xf32>) {
// CHECK-NEXT:    ^bb0
// CHECK-NEXT:      %[[N:.*]] = epi.rms_norm
// CHECK-NEXT:      %[[Q:.*]], %[[S:.*]] = epi.quantize %[[N]] {block = array<i64: 1, 128>}
// CHECK-NEXT:      epi.yield %[[Q]], %[[S]]
// CHECK:         return %[[F]]#0, %[[F]]#1
func.func @norm(%x: tensor<?x128xbf16>, %w: tensor<128xbf16>) -> (tensor<?x128xf8E4M3FN>, tensor<?x1xf32>) {
  %n = epi.rms_norm %x, %w {eps = 0.5 : f64} : tensor<?x128xbf16>, tensor<128xbf16>
  %q, %s = epi.quantize %n {block = array<i64: 1, 128>} : tensor<?x128xbf16> -> tensor<?x128xf8E4M3FN>, tensor<?x1xf32>
  return %q, %s : tensor<?x128xf8E4M3FN>, tensor<?x1xf32>
}

// A group one of whose results is quantized and read, too: it keeps all results.
// CHECK-LABEL: func.func @group
// CHECK:         %[[F:.*]]:4 = epi.fused "add_rms_norm_quantize"
// CHECK:           epi.yield %{{.*}}, %[[N:.*]], %{{.*}}, %{{.*}} : tensor<?x128xbf16>, tensor<?x128xbf16>, tensor<?x128xf8E4M3FN>, tensor<?x1xf32>
// CHECK:         return %[[F]]#0, %[[F]]#1, %[[F]]#2, %[[F]]#3
func.func @group(%x: tensor<?x128xbf16>, %w: tensor<128xbf16>)
    -> (tensor<?x128xbf16>, tensor<?x128xbf16>, tensor<?x128xf8E4M3FN>, tensor<?x1xf32>) {
  %f:2 = epi.fused "add_rms_norm"(%x, %w) : (tensor<?x128xbf16>, tensor<128xbf16>) -> (tensor<?x128xbf16>, tensor<?x128xbf16>) {
  ^bb0(%0: tensor<?x128xbf16>, %1: tensor<128xbf16>):
    %2 = epi.add %0, %0 : tensor<?x128xbf16>
    %3 = epi.rms_norm %2, %1 {eps = 0.5 : f64} : tensor<?x128xbf16>, tensor<128xbf16>
    epi.yield %2, %3 : tensor<?x128xbf16>, tensor<?x128xbf16>
  }
  %q, %s = epi.quantize %f#1 {block = array<i64: 1, 128>} : tensor<?x128xbf16> -> tensor<?x128xf8E4M3FN>, tensor<?x1xf32>
  return %f#0, %f#1, %q, %s : tensor<?x128xbf16>, tensor<?x128xbf16>, tensor<?x128xf8E4M3FN>, tensor<?x1xf32>
}

// Views move no data: what they view is quantized where it is read.
// CHECK-LABEL: func.func @views_and_heads
// CHECK:         epi.split
// CHECK-NEXT:    epi.quantize
// CHECK:         epi.head_linear
// CHECK:         epi.quantize
// CHECK:         epi.fused "linear_quantize"
// CHECK:         epi.fused "silu_quantize"
// CHECK-NOT:     epi.split
func.func @views_and_heads(%x: tensor<?x256xbf16>, %w: tensor<128x128xbf16>, %h: tensor<1x128x128xbf16>)
    -> (tensor<?x128xf8E4M3FN>, tensor<?x128xf8E4M3FN>, tensor<?x128xf8E4M3FN>, tensor<?x128xf8E4M3FN>) {
  %a, %b = epi.split %x dim 1 : tensor<?x256xbf16> to tensor<?x128xbf16>, tensor<?x128xbf16>
  %q, %s = epi.quantize %a {block = array<i64: 1, 128>} : tensor<?x128xbf16> -> tensor<?x128xf8E4M3FN>, tensor<?x1xf32>
  %c = epi.reshape %b : tensor<?x128xbf16> to tensor<?x1x128xbf16>
  %d = epi.fused "head"(%c, %h) : (tensor<?x1x128xbf16>, tensor<1x128x128xbf16>) -> tensor<?x128xbf16> {
  ^bb0(%0: tensor<?x1x128xbf16>, %1: tensor<1x128x128xbf16>):
    %2 = epi.head_linear %0, %1 : (tensor<?x1x128xbf16>, tensor<1x128x128xbf16>) -> tensor<?x1x128xbf16>
    %3 = epi.reshape %2 : tensor<?x1x128xbf16> to tensor<?x128xbf16>
    epi.yield %3 : tensor<?x128xbf16>
  }
  %q2, %s2 = epi.quantize %d {block = array<i64: 1, 128>} : tensor<?x128xbf16> -> tensor<?x128xf8E4M3FN>, tensor<?x1xf32>
  %l = epi.linear %b, %w : (tensor<?x128xbf16>, tensor<128x128xbf16>) -> tensor<?x128xbf16>
  %q3, %s3 = epi.quantize %l {block = array<i64: 1, 128>} : tensor<?x128xbf16> -> tensor<?x128xf8E4M3FN>, tensor<?x1xf32>
  %e = epi.silu %b : tensor<?x128xbf16>
  %q4, %s4 = epi.quantize %e {block = array<i64: 1, 128>} : tensor<?x128xbf16> -> tensor<?x128xf8E4M3FN>, tensor<?x1xf32>
  return %q, %q2, %q3, %q4 : tensor<?x128xf8E4M3FN>, tensor<?x128xf8E4M3FN>, tensor<?x128xf8E4M3FN>, tensor<?x128xf8E4M3FN>
}

// Heads of whole blocks, read one after the other.
// CHECK-LABEL: func.func @heads
// CHECK:         %[[F:.*]]:2 = epi.fused "head_linear_quantize"(%{{.*}}, %{{.*}}) : (tensor<?x2x512xbf16>, tensor<2x128x512xbf16>) -> (tensor<?x256xf8E4M3FN>, tensor<?x2xf32>) {
// CHECK:           %[[H:.*]] = epi.head_linear
// CHECK-NEXT:      %[[R:.*]] = epi.reshape %[[H]]
// CHECK-NEXT:      %[[Q:.*]], %[[S:.*]] = epi.quantize %[[R]]
// CHECK-NEXT:      epi.yield %[[Q]], %[[S]]
// CHECK:         return %[[F]]#0, %[[F]]#1
func.func @heads(%x: tensor<?x2x512xbf16>, %w: tensor<2x128x512xbf16>) -> (tensor<?x256xf8E4M3FN>, tensor<?x2xf32>) {
  %h = epi.head_linear %x, %w : (tensor<?x2x512xbf16>, tensor<2x128x512xbf16>) -> tensor<?x2x128xbf16>
  %r = epi.reshape %h : tensor<?x2x128xbf16> to tensor<?x256xbf16>
  %q, %s = epi.quantize %r {block = array<i64: 1, 128>} : tensor<?x256xbf16> -> tensor<?x256xf8E4M3FN>, tensor<?x2xf32>
  return %q, %s : tensor<?x256xf8E4M3FN>, tensor<?x2xf32>
}

// A matrix that is too large, heads that share blocks, heads that something else reads.
// CHECK-LABEL: func.func @other_heads
// CHECK-NOT:     epi.fused
// CHECK:         return
func.func @other_heads(%x: tensor<?x2x1024xbf16>, %w: tensor<2x128x1024xbf16>, %v: tensor<2x64x1024xbf16>)
    -> (tensor<?x256xf8E4M3FN>, tensor<?x128xf8E4M3FN>, tensor<?x128xf8E4M3FN>, tensor<?x128xbf16>) {
  %h = epi.head_linear %x, %w : (tensor<?x2x1024xbf16>, tensor<2x128x1024xbf16>) -> tensor<?x2x128xbf16>
  %r = epi.reshape %h : tensor<?x2x128xbf16> to tensor<?x256xbf16>
  %q, %s = epi.quantize %r {block = array<i64: 1, 128>} : tensor<?x256xbf16> -> tensor<?x256xf8E4M3FN>, tensor<?x2xf32>
  %h2 = epi.head_linear %x, %v : (tensor<?x2x1024xbf16>, tensor<2x64x1024xbf16>) -> tensor<?x2x64xbf16>
  %r2 = epi.reshape %h2 : tensor<?x2x64xbf16> to tensor<?x128xbf16>
  %q2, %s2 = epi.quantize %r2 {block = array<i64: 1, 128>} : tensor<?x128xbf16> -> tensor<?x128xf8E4M3FN>, tensor<?x1xf32>
  %h3 = epi.head_linear %x, %v : (tensor<?x2x1024xbf16>, tensor<2x64x1024xbf16>) -> tensor<?x2x64xbf16>
  %r3 = epi.reshape %h3 : tensor<?x2x64xbf16> to tensor<?x128xbf16>
  %q3, %s3 = epi.quantize %r3 {block = array<i64: 1, 128>} : tensor<?x128xbf16> -> tensor<?x128xf8E4M3FN>, tensor<?x1xf32>
  return %q, %q2, %q3, %r3 : tensor<?x256xf8E4M3FN>, tensor<?x128xf8E4M3FN>, tensor<?x128xf8E4M3FN>, tensor<?x128xbf16>
}
