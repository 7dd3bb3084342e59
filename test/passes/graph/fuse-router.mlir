// RUN: epigraph-opt %s --epi-fuse-permutation --epi-fuse-router | FileCheck %s
// RUN: epigraph-opt %s --epi-fuse-permutation --epi-fuse-router --remarks-filter=epi-fuse-router -o /dev/null 2>&1 | FileCheck %s --check-prefix=STATS
// RUN: epigraph-opt %s --epi-fuse-permutation --epi-fuse-router --epi-fuse-permutation --epi-fuse-router | FileCheck %s

// STATS: Category:epi-fuse-router {{.*}}the logits are not those of a projection in full precision
// STATS: Category:epi-fuse-router {{.*}}what is projected to the logits is not the norm whose rows are ordered
// STATS: Category:epi-fuse-router {{.*}}something reads the norm or the logits before the rows are ordered
// STATS: Category:epi-fuse-router {{.*}}something reads the norm or the logits before the rows are ordered
// STATS: Category:epi-fuse-router | groups=2, row-bytes=1088

// A norm that stands alone. The rows and the logits are results for launches of several kernels.
// CHECK-LABEL: func.func @norm
// CHECK-SAME:    (%[[X:.*]]: tensor<?x128xbf16>, %[[N:.*]]: tensor<128xbf16>, %[[W:.*]]: tensor<4x128xbf16>)
// CHECK-NEXT:    %[[P:.*]]:7 = epi.fused "rms_norm_linear_route_permute"(%[[X]], %[[N]], %[[W]]) : (tensor<?x128xbf16>, tensor<128xbf16>, tensor<4x128xbf16>) -> (tensor<?x128xbf16>, tensor<?x4xf32>, tensor<?x2xi32>, tensor<?x2xf32>, tensor<?x128xbf16>, tensor<?x2xi32>, tensor<4xi32>) {
// CHECK-NEXT:    ^bb0(%[[BX:.*]]: tensor<?x128xbf16>, %[[BN:.*]]: tensor<128xbf16>, %[[BW:.*]]: tensor<4x128xbf16>):
// CHECK-NEXT:      %[[M:.*]] = epi.rms_norm %[[BX]], %[[BN]]
// CHECK-NEXT:      %[[L:.*]] = epi.linear %[[M]], %[[BW]]
// CHECK-NEXT:      %[[I:.*]], %[[G:.*]] = epi.route %[[L]]
// CHECK-NEXT:      %[[R:.*]], %[[S:.*]], %[[C:.*]] = epi.permute %[[M]], %[[I]]
// CHECK-NEXT:      epi.yield %[[M]], %[[L]], %[[I]], %[[G]], %[[R]], %[[S]], %[[C]]
// CHECK:         epi.unpermute %[[P]]#4, %[[P]]#5, %[[P]]#3
func.func @norm(%x: tensor<?x128xbf16>, %n: tensor<128xbf16>, %w: tensor<4x128xbf16>) -> (tensor<?x128xbf16>, tensor<4xi32>) {
  %m = epi.rms_norm %x, %n {eps = 1.0e-6 : f64} : tensor<?x128xbf16>, tensor<128xbf16>
  %l = epi.linear %m, %w : (tensor<?x128xbf16>, tensor<4x128xbf16>) -> tensor<?x4xf32>
  %ids, %g = epi.route %l {score = #epi.score<softmax>, top_k = 2 : i64, groups = 1 : i64, top_groups = 1 : i64, group_score = #epi.group_score<max>, normalize, scale = 1.0 : f64} : tensor<?x4xf32> -> tensor<?x2xi32>, tensor<?x2xf32>
  %rows, %slots, %counts = epi.permute %m, %ids : tensor<?x128xbf16>, tensor<?x2xi32> -> tensor<?x128xbf16>, tensor<?x2xi32>, tensor<4xi32>
  %u = epi.unpermute %rows, %slots, %g : tensor<?x128xbf16>, tensor<?x2xi32>, tensor<?x2xf32> -> tensor<?x128xbf16>
  return %u, %counts : tensor<?x128xbf16>, tensor<4xi32>
}

// A group that adds, normalizes and quantizes, and a quantization of the permuted rows. What others read stays a result.
// CHECK-LABEL: func.func @group
// CHECK-NEXT:    %[[P:.*]]:11 = epi.fused "add_rms_norm_quantize_linear_route_permute_quantize"
// CHECK:           %[[A:.*]] = epi.add
// CHECK-NEXT:      %[[M:.*]] = epi.rms_norm %[[A]]
// CHECK-NEXT:      %[[Q:.*]], %[[QS:.*]] = epi.quantize %[[M]]
// CHECK-NEXT:      %[[L:.*]] = epi.linear %[[M]]
// CHECK-NEXT:      %[[I:.*]], %[[G:.*]] = epi.route %[[L]]
// CHECK-NEXT:      %[[R:.*]], %[[S:.*]], %[[C:.*]] = epi.permute %[[M]], %[[I]]
// CHECK-NEXT:      %[[RQ:.*]], %[[RS:.*]] = epi.quantize %[[R]]
// CHECK-NEXT:      epi.yield %[[A]], %[[M]], %[[Q]], %[[QS]], %[[L]], %[[I]], %[[G]], %[[S]], %[[C]], %[[RQ]], %[[RS]]
// CHECK:         return %[[P]]#0, %[[P]]#2, %[[P]]#3, %[[P]]#9, %[[P]]#10, %[[P]]#8
func.func @group(%x: tensor<?x128xbf16>, %y: tensor<?x128xbf16>, %n: tensor<128xbf16>, %w: tensor<4x128xbf16>)
    -> (tensor<?x128xbf16>, tensor<?x128xf8E4M3FN>, tensor<?x1xf32>, tensor<?x128xf8E4M3FN>, tensor<?x1xf32>, tensor<4xi32>) {
  %a:4 = epi.fused "add_rms_norm_quantize"(%x, %y, %n) : (tensor<?x128xbf16>, tensor<?x128xbf16>, tensor<128xbf16>) -> (tensor<?x128xbf16>, tensor<?x128xbf16>, tensor<?x128xf8E4M3FN>, tensor<?x1xf32>) {
  ^bb0(%ax: tensor<?x128xbf16>, %ay: tensor<?x128xbf16>, %an: tensor<128xbf16>):
    %0 = epi.add %ax, %ay : tensor<?x128xbf16>
    %1 = epi.rms_norm %0, %an {eps = 1.0e-6 : f64} : tensor<?x128xbf16>, tensor<128xbf16>
    %2, %3 = epi.quantize %1 {block = array<i64: 1, 128>} : tensor<?x128xbf16> -> tensor<?x128xf8E4M3FN>, tensor<?x1xf32>
    epi.yield %0, %1, %2, %3 : tensor<?x128xbf16>, tensor<?x128xbf16>, tensor<?x128xf8E4M3FN>, tensor<?x1xf32>
  }
  %l = epi.linear %a#1, %w : (tensor<?x128xbf16>, tensor<4x128xbf16>) -> tensor<?x4xf32>
  %ids, %g = epi.route %l {score = #epi.score<softmax>, top_k = 2 : i64, groups = 1 : i64, top_groups = 1 : i64, group_score = #epi.group_score<max>, normalize, scale = 1.0 : f64} : tensor<?x4xf32> -> tensor<?x2xi32>, tensor<?x2xf32>
  %rows, %slots, %counts = epi.permute %a#1, %ids : tensor<?x128xbf16>, tensor<?x2xi32> -> tensor<?x128xbf16>, tensor<?x2xi32>, tensor<4xi32>
  %q, %s = epi.quantize %rows {block = array<i64: 1, 128>} : tensor<?x128xbf16> -> tensor<?x128xf8E4M3FN>, tensor<?x1xf32>
  return %a#0, %a#2, %a#3, %q, %s, %counts : tensor<?x128xbf16>, tensor<?x128xf8E4M3FN>, tensor<?x1xf32>, tensor<?x128xf8E4M3FN>, tensor<?x1xf32>, tensor<4xi32>
}

// Logits that are computed further, and a projection with scales: left alone.
// CHECK-LABEL: func.func @scaled
// CHECK:         epi.linear
// CHECK:         epi.fused "route_permute"
func.func @scaled(%x: tensor<?x128xbf16>, %n: tensor<128xbf16>, %w: tensor<4x128xf8E4M3FN>, %s: tensor<1x1xf32>) -> (tensor<?x128xbf16>, tensor<?x2xi32>, tensor<4xi32>) {
  %m = epi.rms_norm %x, %n {eps = 1.0e-6 : f64} : tensor<?x128xbf16>, tensor<128xbf16>
  %l = epi.linear %m, %w scale %s : (tensor<?x128xbf16>, tensor<4x128xf8E4M3FN> scale tensor<1x1xf32>) -> tensor<?x4xf32>
  %ids, %g = epi.route %l {score = #epi.score<softmax>, top_k = 2 : i64, groups = 1 : i64, top_groups = 1 : i64, group_score = #epi.group_score<max>, normalize, scale = 1.0 : f64} : tensor<?x4xf32> -> tensor<?x2xi32>, tensor<?x2xf32>
  %rows, %slots, %counts = epi.permute %m, %ids : tensor<?x128xbf16>, tensor<?x2xi32> -> tensor<?x128xbf16>, tensor<?x2xi32>, tensor<4xi32>
  return %rows, %slots, %counts : tensor<?x128xbf16>, tensor<?x2xi32>, tensor<4xi32>
}

// Other rows are permuted than are projected.
// CHECK-LABEL: func.func @others
// CHECK:         epi.fused "route_permute"
func.func @others(%x: tensor<?x128xbf16>, %n: tensor<128xbf16>, %w: tensor<4x128xbf16>) -> (tensor<?x128xbf16>, tensor<?x2xi32>, tensor<4xi32>) {
  %m = epi.rms_norm %x, %n {eps = 1.0e-6 : f64} : tensor<?x128xbf16>, tensor<128xbf16>
  %l = epi.linear %m, %w : (tensor<?x128xbf16>, tensor<4x128xbf16>) -> tensor<?x4xf32>
  %ids, %g = epi.route %l {score = #epi.score<softmax>, top_k = 2 : i64, groups = 1 : i64, top_groups = 1 : i64, group_score = #epi.group_score<max>, normalize, scale = 1.0 : f64} : tensor<?x4xf32> -> tensor<?x2xi32>, tensor<?x2xf32>
  %rows, %slots, %counts = epi.permute %x, %ids : tensor<?x128xbf16>, tensor<?x2xi32> -> tensor<?x128xbf16>, tensor<?x2xi32>, tensor<4xi32>
  return %rows, %slots, %counts : tensor<?x128xbf16>, tensor<?x2xi32>, tensor<4xi32>
}

// Logits that something else reads.
// CHECK-LABEL: func.func @logits
// CHECK:         epi.fused "route_permute"
func.func @logits(%x: tensor<?x128xbf16>, %n: tensor<128xbf16>, %w: tensor<4x128xbf16>) -> (tensor<?x128xbf16>, tensor<?x2xi32>, tensor<4xi32>, tensor<?x4xf32>) {
  %m = epi.rms_norm %x, %n {eps = 1.0e-6 : f64} : tensor<?x128xbf16>, tensor<128xbf16>
  %l = epi.linear %m, %w : (tensor<?x128xbf16>, tensor<4x128xbf16>) -> tensor<?x4xf32>
  %ids, %g = epi.route %l {score = #epi.score<softmax>, top_k = 2 : i64, groups = 1 : i64, top_groups = 1 : i64, group_score = #epi.group_score<max>, normalize, scale = 1.0 : f64} : tensor<?x4xf32> -> tensor<?x2xi32>, tensor<?x2xf32>
  %rows, %slots, %counts = epi.permute %m, %ids : tensor<?x128xbf16>, tensor<?x2xi32> -> tensor<?x128xbf16>, tensor<?x2xi32>, tensor<4xi32>
  return %rows, %slots, %counts, %l : tensor<?x128xbf16>, tensor<?x2xi32>, tensor<4xi32>, tensor<?x4xf32>
}

// The norm is read before the rows are ordered.
// CHECK-LABEL: func.func @read_before
// CHECK:         epi.fused "route_permute"
func.func @read_before(%x: tensor<?x128xbf16>, %n: tensor<128xbf16>, %w: tensor<4x128xbf16>) -> (tensor<?x128xbf16>, tensor<?x2xi32>, tensor<4xi32>, tensor<?x128xbf16>) {
  %m = epi.rms_norm %x, %n {eps = 1.0e-6 : f64} : tensor<?x128xbf16>, tensor<128xbf16>
  %l = epi.linear %m, %w : (tensor<?x128xbf16>, tensor<4x128xbf16>) -> tensor<?x4xf32>
  %ids, %g = epi.route %l {score = #epi.score<softmax>, top_k = 2 : i64, groups = 1 : i64, top_groups = 1 : i64, group_score = #epi.group_score<max>, normalize, scale = 1.0 : f64} : tensor<?x4xf32> -> tensor<?x2xi32>, tensor<?x2xf32>
  %b = epi.silu %m : tensor<?x128xbf16>
  %rows, %slots, %counts = epi.permute %m, %ids : tensor<?x128xbf16>, tensor<?x2xi32> -> tensor<?x128xbf16>, tensor<?x2xi32>, tensor<4xi32>
  return %rows, %slots, %counts, %b : tensor<?x128xbf16>, tensor<?x2xi32>, tensor<4xi32>, tensor<?x128xbf16>
}
