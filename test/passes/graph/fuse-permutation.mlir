// RUN: epigraph-opt %s --epi-fuse-permutation | FileCheck %s
// RUN: epigraph-opt %s --epi-fuse-permutation --remarks-filter=.* -o /dev/null 2>&1 | FileCheck %s --check-prefix=STATS
// RUN: epigraph-opt %s --epi-fuse-permutation --epi-fuse-permutation | FileCheck %s

// STATS: Category:epi-fuse-permutation {{.*}}more than one operation reads the sums
// STATS: Category:epi-fuse-permutation {{.*}}what reads the sums is not computed row by row
// STATS: Category:epi-fuse-permutation {{.*}}something reads what is routed before the rows are ordered
// STATS: Category:epi-fuse-permutation | permutes=1, routes=1, row-bytes=2048, unpermutes=2

// Permuted rows are quantized where they are permuted. What reads the sums, a group that knows one of its operands and an
// operation without a group, takes them in.
// CHECK-LABEL: func.func @main
// CHECK-SAME:    (%[[X:.*]]: tensor<?x128xbf16>, %[[I:.*]]: tensor<?x2xi32>, %[[W:.*]]: tensor<?x2xf32>, %[[N:.*]]: tensor<128xbf16>, 
// CHECK-NEXT:    %[[P:.*]]:4 = epi.fused "permute_quantize"(%[[X]], %[[I]]) : (tensor<?x128xbf16>, tensor<?x2xi32>) -> (tensor<?x128xf8E4M3FN>, tensor<?x1xf32>, tensor<?x2xi32>, tensor<4xi32>) {
// CHECK-NEXT:    ^bb0(%[[BX:.*]]: tensor<?x128xbf16>, %[[BI:.*]]: tensor<?x2xi32>):
// CHECK-NEXT:      %[[R:.*]], %[[S:.*]], %[[C:.*]] = epi.permute %[[BX]], %[[BI]]
// CHECK-NEXT:      %[[Q:.*]], %[[QS:.*]] = epi.quantize %[[R]]
// CHECK-NEXT:      epi.yield %[[Q]], %[[QS]], %[[S]], %[[C]]
// CHECK:         %[[Y:.*]] = epi.grouped_linear %[[P]]#0 scale %[[P]]#1, %[[P]]#3
// CHECK-NEXT:    %[[A:.*]]:2 = epi.fused "unpermute_add_rms_norm"(%[[X]], %[[N]], %[[Y]], %[[P]]#2, %[[W]])
// CHECK-NEXT:    ^bb0(%[[GX:.*]]: tensor<?x128xbf16>, %[[GN:.*]]: tensor<128xbf16>, %[[GY:.*]]: tensor<?x128xbf16>, %[[GS:.*]]: tensor<?x2xi32>, %[[GW:.*]]: tensor<?x2xf32>):
// CHECK-NEXT:      %[[U:.*]] = epi.unpermute %[[GY]], %[[GS]], %[[GW]]
// CHECK-NEXT:      %[[D:.*]] = epi.add %[[GX]], %[[U]]
// CHECK-NEXT:      %[[M:.*]] = epi.rms_norm %[[D]], %[[GN]]
// CHECK-NEXT:      epi.yield %[[D]], %[[M]]
// CHECK:         %[[B:.*]] = epi.fused "unpermute_add"(%[[A]]#1, %[[Y]], %[[P]]#2, %[[W]])
// CHECK:           epi.unpermute
// CHECK-NEXT:      epi.add
// CHECK:         return %[[A]]#0, %[[B]]
func.func @main(%x: tensor<?x128xbf16>, %ids: tensor<?x2xi32>, %w: tensor<?x2xf32>, %n: tensor<128xbf16>, %e: tensor<4x128x128xf8E4M3FN>, %s: tensor<4x1x1xf32>) -> (tensor<?x128xbf16>, tensor<?x128xbf16>) {
  %rows, %slots, %counts = epi.permute %x, %ids : tensor<?x128xbf16>, tensor<?x2xi32> -> tensor<?x128xbf16>, tensor<?x2xi32>, tensor<4xi32>
  %q, %qs = epi.quantize %rows {block = array<i64: 1, 128>} : tensor<?x128xbf16> -> tensor<?x128xf8E4M3FN>, tensor<?x1xf32>
  %y = epi.grouped_linear %q scale %qs, %counts, %e scale %s : (tensor<?x128xf8E4M3FN> scale tensor<?x1xf32>, tensor<4xi32>, tensor<4x128x128xf8E4M3FN> scale tensor<4x1x1xf32>) -> tensor<?x128xbf16>
  %u = epi.unpermute %y, %slots, %w : tensor<?x128xbf16>, tensor<?x2xi32>, tensor<?x2xf32> -> tensor<?x128xbf16>
  %a:2 = epi.fused "add_rms_norm"(%x, %u, %n) : (tensor<?x128xbf16>, tensor<?x128xbf16>, tensor<128xbf16>) -> (tensor<?x128xbf16>, tensor<?x128xbf16>) {
  ^bb0(%ax: tensor<?x128xbf16>, %ay: tensor<?x128xbf16>, %an: tensor<128xbf16>):
    %0 = epi.add %ax, %ay : tensor<?x128xbf16>
    %1 = epi.rms_norm %0, %an {eps = 1.0e-6 : f64} : tensor<?x128xbf16>, tensor<128xbf16>
    epi.yield %0, %1 : tensor<?x128xbf16>, tensor<?x128xbf16>
  }
  %v = epi.unpermute %y, %slots, %w : tensor<?x128xbf16>, tensor<?x2xi32>, tensor<?x2xf32> -> tensor<?x128xbf16>
  %b = epi.add %v, %a#1 : tensor<?x128xbf16>
  return %a#0, %b : tensor<?x128xbf16>, tensor<?x128xbf16>
}

// Rows that something else reads, sums that two operations or a projection read: left alone.
// CHECK-LABEL: func.func @alone
// CHECK-NOT:     epi.fused
func.func @alone(%x: tensor<?x128xbf16>, %ids: tensor<?x2xi32>, %w: tensor<?x2xf32>, %m: tensor<128x128xbf16>) -> (tensor<?x128xbf16>, tensor<?x128xf8E4M3FN>, tensor<?x1xf32>, tensor<?x128xbf16>, tensor<?x128xbf16>) {
  %rows, %slots, %counts = epi.permute %x, %ids : tensor<?x128xbf16>, tensor<?x2xi32> -> tensor<?x128xbf16>, tensor<?x2xi32>, tensor<4xi32>
  %q, %qs = epi.quantize %rows {block = array<i64: 1, 128>} : tensor<?x128xbf16> -> tensor<?x128xf8E4M3FN>, tensor<?x1xf32>
  %u = epi.unpermute %rows, %slots, %w : tensor<?x128xbf16>, tensor<?x2xi32>, tensor<?x2xf32> -> tensor<?x128xbf16>
  %a = epi.add %u, %x : tensor<?x128xbf16>
  %b = epi.silu %u : tensor<?x128xbf16>
  %v = epi.unpermute %rows, %slots, %w : tensor<?x128xbf16>, tensor<?x2xi32>, tensor<?x2xf32> -> tensor<?x128xbf16>
  %y = epi.linear %v, %m : (tensor<?x128xbf16>, tensor<128x128xbf16>) -> tensor<?x128xbf16>
  %c = epi.mul %a, %b : tensor<?x128xbf16>
  return %c, %q, %qs, %y, %x : tensor<?x128xbf16>, tensor<?x128xf8E4M3FN>, tensor<?x1xf32>, tensor<?x128xbf16>, tensor<?x128xbf16>
}

// What routes joins what permutes, if nothing needs it before; the group gives the ids, too.
// CHECK-LABEL: func.func @routed
// CHECK-SAME:    (%[[L:.*]]: tensor<?x4xf32>, %[[X:.*]]: tensor<?x128xbf16>)
// CHECK-NEXT:    %[[P:.*]]:5 = epi.fused "route_permute"(%[[L]], %[[X]]) : (tensor<?x4xf32>, tensor<?x128xbf16>) -> (tensor<?x2xi32>, tensor<?x2xf32>, tensor<?x128xbf16>, tensor<?x2xi32>, tensor<4xi32>) {
// CHECK:           %[[I:.*]], %[[W:.*]] = epi.route
// CHECK:           %[[R:.*]], %[[S:.*]], %[[C:.*]] = epi.permute %{{.*}}, %[[I]]
// CHECK:           epi.yield %[[I]], %[[W]], %[[R]], %[[S]], %[[C]]
// CHECK:         epi.unpermute %[[P]]#2, %[[P]]#3, %[[P]]#1
// CHECK-NEXT:    epi.permute
func.func @routed(%l: tensor<?x4xf32>, %x: tensor<?x128xbf16>) -> (tensor<?x128xbf16>, tensor<?x128xbf16>) {
  %ids, %w = epi.route %l {score = #epi.score<softmax>, top_k = 2 : i64, groups = 1 : i64, top_groups = 1 : i64, group_score = #epi.group_score<max>, normalize, scale = 1.0 : f64} : tensor<?x4xf32> -> tensor<?x2xi32>, tensor<?x2xf32>
  %rows, %slots, %counts = epi.permute %x, %ids : tensor<?x128xbf16>, tensor<?x2xi32> -> tensor<?x128xbf16>, tensor<?x2xi32>, tensor<4xi32>
  %u = epi.unpermute %rows, %slots, %w : tensor<?x128xbf16>, tensor<?x2xi32>, tensor<?x2xf32> -> tensor<?x128xbf16>
  %again, %s, %c = epi.permute %x, %ids : tensor<?x128xbf16>, tensor<?x2xi32> -> tensor<?x128xbf16>, tensor<?x2xi32>, tensor<4xi32>
  return %u, %again : tensor<?x128xbf16>, tensor<?x128xbf16>
}

// CHECK-LABEL: func.func @read_before
// CHECK-NOT:     epi.fused
func.func @read_before(%l: tensor<?x4xf32>, %x: tensor<?x128xbf16>) -> (tensor<?x128xbf16>, tensor<?x2xi32>, tensor<4xi32>, tensor<?x2xf32>) {
  %ids, %w = epi.route %l {score = #epi.score<softmax>, top_k = 2 : i64, groups = 1 : i64, top_groups = 1 : i64, group_score = #epi.group_score<max>, normalize, scale = 1.0 : f64} : tensor<?x4xf32> -> tensor<?x2xi32>, tensor<?x2xf32>
  %twice = epi.add %w, %w : tensor<?x2xf32>
  %rows, %slots, %counts = epi.permute %x, %ids : tensor<?x128xbf16>, tensor<?x2xi32> -> tensor<?x128xbf16>, tensor<?x2xi32>, tensor<4xi32>
  return %rows, %slots, %counts, %twice : tensor<?x128xbf16>, tensor<?x2xi32>, tensor<4xi32>, tensor<?x2xf32>
}
