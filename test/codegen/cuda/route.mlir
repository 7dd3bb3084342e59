// REQUIRES: ptxas
// RUN: epigraph-compile-kernels %s -o %t
// RUN: FileCheck %s --input-file=%t/kernels.ptx

// A lane's 8 logits are two loads; the warp's best is one reduction, and no memory but the results' is written.
// CHECK-LABEL: .entry route(
// CHECK-COUNT-2: ld.global.nc.v4.b32
// CHECK: griddepcontrol.wait
// CHECK: redux.sync.max.s32
// CHECK-NOT: .shared
// CHECK-NOT: .local
exec.kernel @route(%logits: tensor<?x256xf32>, %bias: tensor<256xf32>) -> (tensor<?x8xi32>, tensor<?x8xf32>) {
  %ids, %w = epi.route %logits bias %bias {score = #epi.score<sigmoid>, top_k = 8 : i64, groups = 8 : i64, top_groups = 4 : i64,
               group_score = #epi.group_score<top2_sum>, normalize, scale = 2.5 : f64}
           : tensor<?x256xf32> bias tensor<256xf32> -> tensor<?x8xi32>, tensor<?x8xf32>
  exec.yield %ids, %w : tensor<?x8xi32>, tensor<?x8xf32>
}
