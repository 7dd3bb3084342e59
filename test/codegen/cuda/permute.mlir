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

// A token's row is quantized once, by 16 lanes for each block of columns, and stored to all places.
// CHECK-LABEL: .entry permute_quantize_few(
// CHECK: ld.global.v4
// CHECK-COUNT-4: shfl.sync.bfly
// CHECK-COUNT-4: cvt.rn.satfinite.e4m3x2.f32
// CHECK-NOT: cvt.rn.satfinite
// CHECK: ret;
exec.kernel @permute_quantize(%x: tensor<?x2048xbf16>, %ids: tensor<?x4xi32>)
    -> (tensor<?x2048xf8E4M3FN>, tensor<?x16xf32>, tensor<?x4xi32>, tensor<64xi32>) {
  %rows, %slots, %counts = epi.permute %x, %ids
      : tensor<?x2048xbf16>, tensor<?x4xi32> -> tensor<?x2048xbf16>, tensor<?x4xi32>, tensor<64xi32>
  %q, %s = epi.quantize %rows {block = array<i64: 1, 128>} : tensor<?x2048xbf16> -> tensor<?x2048xf8E4M3FN>, tensor<?x16xf32>
  exec.yield %q, %s, %slots, %counts : tensor<?x2048xf8E4M3FN>, tensor<?x16xf32>, tensor<?x4xi32>, tensor<64xi32>
}

// The blocks of few tokens route them themselves; of more, a launch before does.
// CHECK-LABEL: .entry route_permute_routing(
// CHECK: .maxntid 256
// CHECK: redux.sync.max.s32
// CHECK: atom.relaxed.gpu.shared.add.u32
// CHECK-LABEL: .entry route_permute_route(
// CHECK: redux.sync.max.s32
// CHECK-LABEL: .entry route_permute_few(
// CHECK-NOT: redux.sync
// CHECK-LABEL: .entry route_permute_many(
// CHECK-NOT: redux.sync
// CHECK: ret;
exec.kernel @route_permute(%logits: tensor<?x64xf32>, %x: tensor<?x2048xbf16>)
    -> (tensor<?x4xi32>, tensor<?x4xf32>, tensor<?x2048xbf16>, tensor<?x4xi32>, tensor<64xi32>) {
  %ids, %w = epi.route %logits {score = #epi.score<softmax>, top_k = 4 : i64, groups = 1 : i64, top_groups = 1 : i64,
               group_score = #epi.group_score<max>, normalize, scale = 1.0 : f64}
           : tensor<?x64xf32> -> tensor<?x4xi32>, tensor<?x4xf32>
  %rows, %slots, %counts = epi.permute %x, %ids
      : tensor<?x2048xbf16>, tensor<?x4xi32> -> tensor<?x2048xbf16>, tensor<?x4xi32>, tensor<64xi32>
  exec.yield %ids, %w, %rows, %slots, %counts
      : tensor<?x4xi32>, tensor<?x4xf32>, tensor<?x2048xbf16>, tensor<?x4xi32>, tensor<64xi32>
}

// Sums stay in registers on their way to the norm, and its weights are there by then.
// CHECK-LABEL: .entry unpermute_add_rms_norm_few(
// CHECK-COUNT-6: ld.global.v4.b32
// CHECK: rsqrt.approx
// CHECK-NOT: ld.global.v4
// CHECK: ret;
exec.kernel @unpermute_add_rms_norm(%rows: tensor<?x2048xbf16>, %slots: tensor<?x4xi32>, %w: tensor<?x4xf32>,
                                    %residual: tensor<?x2048xbf16>, %norm: tensor<2048xbf16>)
    -> (tensor<?x2048xbf16>, tensor<?x2048xbf16>) {
  %y = epi.unpermute %rows, %slots, %w : tensor<?x2048xbf16>, tensor<?x4xi32>, tensor<?x4xf32> -> tensor<?x2048xbf16>
  %0 = epi.add %residual, %y : tensor<?x2048xbf16>
  %1 = epi.rms_norm %0, %norm {eps = 1.0e-6 : f64} : tensor<?x2048xbf16>, tensor<2048xbf16>
  exec.yield %0, %1 : tensor<?x2048xbf16>, tensor<?x2048xbf16>
}
