// REQUIRES: ptxas
// RUN: epigraph-compile-kernels %s -o %t
// RUN: FileCheck %s --input-file=%t/kernels.ptx
// RUN: FileCheck %s --check-prefix=LAUNCH --input-file=%t/kernels.json

// A thread's loads are 16 bytes each and under way together; the blocks of a cluster leave what they found with the first of them.
// CHECK-LABEL: .entry vocabulary_by8(
// CHECK: .reqnctapercluster 8
// CHECK: barrier.cluster.arrive.aligned
// CHECK: griddepcontrol.wait
// CHECK: ld.global.v4.b32
// CHECK-NOT: selp
// CHECK: ld.global.v4.b32
// CHECK-NOT: selp
// CHECK: ld.global.v4.b32
// CHECK-NOT: selp
// CHECK: ld.global.v4.b32
// CHECK: redux.sync.max.s32
// CHECK: redux.sync.min.s32
// CHECK: mapa.shared::cluster
// CHECK: st.shared::cluster.v2.b32
// CHECK: barrier.cluster.arrive.aligned
// CHECK: st.global.b32
// CHECK-NOT: .local
exec.kernel @vocabulary(%x: tensor<?x129280xf32>, %step: !epi.step) -> tensor<?xi32> {
  %y = epi.sample %x, %step : tensor<?x129280xf32> -> tensor<?xi32>
  exec.yield %y : tensor<?xi32>
}

// A short row is one block's.
// CHECK-LABEL: .entry small(
// CHECK-NOT: cluster
// CHECK: bar.sync
// CHECK-NOT: .local
exec.kernel @small(%x: tensor<?x2048xf32>, %step: !epi.step) -> tensor<?xi32> {
  %y = epi.sample %x, %step : tensor<?x2048xf32> -> tensor<?xi32>
  exec.yield %y : tensor<?xi32>
}

// Few rows have more blocks each.
// LAUNCH: "most_rows": 16
// LAUNCH: "cluster": 8
// LAUNCH: "most_rows": 64
// LAUNCH: "cluster": 2
// LAUNCH: "most_rows": 0
// LAUNCH: "cluster": 1
