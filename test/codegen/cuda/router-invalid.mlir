// REQUIRES: ptxas
// RUN: not epigraph-compile-kernels %s -o %t/out 2>&1 | FileCheck %s

// A kernel of several launches leaves the logits in a result.
// CHECK: must yield this operation's result, once and as it is
exec.kernel @logits(%x: tensor<?x64xbf16>, %n: tensor<64xbf16>, %w: tensor<4x64xbf16>)
    -> (tensor<?x64xbf16>, tensor<?x2xi32>, tensor<?x2xf32>, tensor<?x64xbf16>, tensor<?x2xi32>, tensor<4xi32>) {
  %0 = epi.rms_norm %x, %n {eps = 1.0e-6 : f64} : tensor<?x64xbf16>, tensor<64xbf16>
  %1 = epi.linear %0, %w : (tensor<?x64xbf16>, tensor<4x64xbf16>) -> tensor<?x4xf32>
  %ids, %weights = epi.route %1 {group_score = #epi.group_score<max>, groups = 1 : i64, scale = 1.0 : f64,
      score = #epi.score<softmax>, top_groups = 1 : i64, top_k = 2 : i64} : tensor<?x4xf32> -> tensor<?x2xi32>, tensor<?x2xf32>
  %rows, %slots, %counts = epi.permute %0, %ids : tensor<?x64xbf16>, tensor<?x2xi32> -> tensor<?x64xbf16>, tensor<?x2xi32>, tensor<4xi32>
  exec.yield %0, %ids, %weights, %rows, %slots, %counts
      : tensor<?x64xbf16>, tensor<?x2xi32>, tensor<?x2xf32>, tensor<?x64xbf16>, tensor<?x2xi32>, tensor<4xi32>
}
