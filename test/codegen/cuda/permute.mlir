// REQUIRES: ptxas
// RUN: epigraph-compile-kernels %s -o %t && FileCheck %s --input-file=%t/kernels.ptx

// Blocks of few tokens each move a part of the columns: one load of 16 bytes, and a store for each choice.
// CHECK-LABEL: .entry permute_few(
// CHECK: .maxntid 128
// CHECK: griddepcontrol.wait
// CHECK: atom.relaxed.gpu.shared.add.u32
// CHECK: shfl.sync.up
// CHECK: ld.global.v4
// CHECK-COUNT-4: st.global.v4
// CHECK: ret;
// CHECK-LABEL: .entry permute_many(
// CHECK: .maxntid 256
exec.kernel @permute(%x: tensor<?x2048xbf16>, %ids: tensor<?x4xi32>) -> (tensor<?x2048xbf16>, tensor<?x4xi32>, tensor<64xi32>) {
  %rows, %slots, %counts = epi.permute %x, %ids
      : tensor<?x2048xbf16>, tensor<?x4xi32> -> tensor<?x2048xbf16>, tensor<?x4xi32>, tensor<64xi32>
  exec.yield %rows, %slots, %counts : tensor<?x2048xbf16>, tensor<?x4xi32>, tensor<64xi32>
}

// All rows of a token are under way before the first is added.
// CHECK-LABEL: .entry unpermute(
// CHECK-COUNT-4: ld.global.v4
// CHECK: fma.rn.f32
// CHECK-NOT: ld.global.v4
// CHECK: st.global.v4
exec.kernel @unpermute(%rows: tensor<?x2048xbf16>, %slots: tensor<?x4xi32>, %w: tensor<?x4xf32>) -> tensor<?x2048xbf16> {
  %y = epi.unpermute %rows, %slots, %w : tensor<?x2048xbf16>, tensor<?x4xi32>, tensor<?x4xf32> -> tensor<?x2048xbf16>
  exec.yield %y : tensor<?x2048xbf16>
}
