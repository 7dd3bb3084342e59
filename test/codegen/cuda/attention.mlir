// REQUIRES: ptxas
// RUN: epigraph-compile-kernels %s -o %t
// RUN: FileCheck %s --input-file=%t/kernels.ptx
// RUN: FileCheck %s --input-file=%t/kernels.json --check-prefix=JSON

// Few tokens: pages are asked for before the next kernel may start, and that before the kernel before has ended. What blocks of
// a cluster leave with each other is counted where it arrives. Nothing is kept in local memory.
// CHECK-LABEL: .entry attend_cluster(
// CHECK-NOT: .local
// CHECK: .reqnctapercluster 8, 1, 1
// CHECK: cp.async.cg.shared.global
// CHECK: griddepcontrol.launch_dependents
// CHECK: barrier.cluster.arrive.relaxed.aligned
// CHECK: griddepcontrol.wait
// CHECK: st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.v2.f32
// CHECK: st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.v4.f32
// One token of each sequence: pages are copied past the registers, and nothing is kept in local memory.
// CHECK-LABEL: .entry attend_tokens(
// CHECK-NOT: .local
// CHECK: griddepcontrol.wait
// CHECK-DAG: cp.async.cg.shared.global
// CHECK-DAG: ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16
// CHECK-DAG: mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32
// CHECK-LABEL: .entry attend_merge(
// CHECK: griddepcontrol.wait
// Tiles of tokens: scores and sums never leave registers. Keys and values come by tensor map.
// CHECK-LABEL: .entry attend_tiles(
// CHECK-NOT: .local
// CHECK: griddepcontrol.wait
// CHECK-DAG: cp.async.bulk.tensor.3d
// CHECK-DAG: cp.async.bulk.tensor.2d
// CHECK-DAG: wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16
// Of sizes that are not multiples of 64, by products of warps.
// CHECK-LABEL: .entry attend_odd_tiles(
// CHECK-NOT: .local
// CHECK-NOT: wgmma
// CHECK: mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32

// Three tokens have 12 clusters, of which 14 are resident together; all that are share long contexts.
// JSON: "most_rows": 3
// JSON: "one_token_each": true
// JSON: "symbol": "attend_cluster"
// JSON: "cluster": 8
// JSON: "grid": "rows"
// JSON: "row_tile": 0
// JSON: "column_tiles": 112
// JSON: "most_rows": 0
// JSON: "one_token_each": true
// JSON: "symbol": "attend_tokens"
// JSON: "grid": "token_items"
// JSON: "symbol": "attend_merge"
// JSON: "one_token_each": false
// JSON: "symbol": "attend_tiles"
// JSON: "grid": "tile_items"
// JSON: "column_tiles": 32
// JSON: "blocks_per_core": 1
exec.kernel @attend(%q: tensor<?x32x128xbf16>, %cache: !epi.kv_cache<heads = 4, key = 128, value = 128, bf16>, %step: !epi.step)
    -> tensor<?x32x128xbf16> {
  %o = epi.attention %q, %cache, %step {scale = 0.08838834764831845 : f64}
     : (tensor<?x32x128xbf16>, !epi.kv_cache<heads = 4, key = 128, value = 128, bf16>) -> tensor<?x32x128xbf16>
  exec.yield %o : tensor<?x32x128xbf16>
}
exec.kernel @attend_odd(%q: tensor<?x32x96xbf16>, %cache: !epi.kv_cache<heads = 4, key = 96, value = 128, bf16>, %step: !epi.step)
    -> tensor<?x32x128xbf16> {
  %o = epi.attention %q, %cache, %step {scale = 0.1 : f64}
     : (tensor<?x32x96xbf16>, !epi.kv_cache<heads = 4, key = 96, value = 128, bf16>) -> tensor<?x32x128xbf16>
  exec.yield %o : tensor<?x32x128xbf16>
}
