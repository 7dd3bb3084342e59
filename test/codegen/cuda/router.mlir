// REQUIRES: ptxas
// RUN: epigraph-compile-kernels %s -o %t && FileCheck %s --input-file=%t/kernels.ptx
// RUN: FileCheck %s --input-file=%t/kernels.json --check-prefix=JSON

// One token: the weights that a thread multiplies, 16 times 16 bytes, are on their way before the wait. The norm is summed, 16 products
// follow, and the logits of the block go to all 8 blocks, where they are counted before a warp routes: the cluster does not meet again.
// CHECK-LABEL: .entry router_of_1(
// CHECK: .maxntid 256
// CHECK: .reqnctapercluster 8
// CHECK-COUNT-16: ld.global.nc.L1::no_allocate.L2::256B.v4.b32
// CHECK: barrier.cluster.arrive.relaxed
// CHECK: griddepcontrol.wait
// CHECK: ld.global.v4
// CHECK: rsqrt.approx
// CHECK-COUNT-16: mma.sync.aligned.m16n8k16
// CHECK-NOT: mma.sync
// CHECK-NOT: barrier.cluster
// CHECK: st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.f32
// CHECK-NOT: barrier.cluster
// CHECK: mbarrier.try_wait
// CHECK-NOT: barrier.cluster
// CHECK: redux.sync
// CHECK: st.global.v4
// CHECK: ret;
// CHECK-LABEL: .entry router_of_4(
// CHECK-COUNT-16: mma.sync.aligned.m16n8k16
// CHECK-NOT: mma.sync
// CHECK: ret;

// More tokens take the launches of the norm, the projection and the permutation, for as many rows as each of these is made for.
// JSON:      "most_rows": 1,
// JSON:      "symbol": "router_of_1"
// JSON:      "most_rows": 2,
// JSON:      "symbol": "router_of_2"
// JSON:      "most_rows": 4,
// JSON:      "symbol": "router_of_4"
// JSON:      "most_rows": 8,
// JSON:      "symbol": "router_rows_few"
// JSON:      "symbol": "router_logits_
// JSON:      "symbol": "router_permute_routing"
// JSON:      "most_rows": 0,
// JSON:      "symbol": "router_rows_many"
// JSON:      "symbol": "router_logits_
// JSON:      "symbol": "router_permute_route"
// JSON:      "symbol": "router_permute_many"
exec.kernel @router(%x: tensor<?x2048xbf16>, %n: tensor<2048xbf16>, %w: tensor<128x2048xbf16>)
    -> (tensor<?x2048xbf16>, tensor<?x128xf32>, tensor<?x8xi32>, tensor<?x8xf32>, tensor<?x2048xbf16>, tensor<?x8xi32>, tensor<128xi32>) {
  %0 = epi.rms_norm %x, %n {eps = 1.0e-6 : f64} : tensor<?x2048xbf16>, tensor<2048xbf16>
  %1 = epi.linear %0, %w : (tensor<?x2048xbf16>, tensor<128x2048xbf16>) -> tensor<?x128xf32>
  %ids, %weights = epi.route %1 {group_score = #epi.group_score<max>, groups = 1 : i64, normalize, scale = 1.0 : f64,
      score = #epi.score<softmax>, top_groups = 1 : i64, top_k = 8 : i64} : tensor<?x128xf32> -> tensor<?x8xi32>, tensor<?x8xf32>
  %rows, %slots, %counts = epi.permute %0, %ids
      : tensor<?x2048xbf16>, tensor<?x8xi32> -> tensor<?x2048xbf16>, tensor<?x8xi32>, tensor<128xi32>
  exec.yield %0, %1, %ids, %weights, %rows, %slots, %counts
      : tensor<?x2048xbf16>, tensor<?x128xf32>, tensor<?x8xi32>, tensor<?x8xf32>, tensor<?x2048xbf16>, tensor<?x8xi32>, tensor<128xi32>
}
