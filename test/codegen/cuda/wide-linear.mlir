// REQUIRES: ptxas
// RUN: epigraph-compile-kernels %s -o %t
// RUN: FileCheck %s --input-file=%t/kernels.ptx
// RUN: FileCheck %s --input-file=%t/kernels.json --check-prefix=JSON

// Where the rows fit one tile, weights are fetched before the kernel before has ended.
// CHECK-LABEL: .entry linear_wide_128x128_low
// CHECK: .maxntid 384
// CHECK: griddepcontrol.launch_dependents
// CHECK: setmaxnreg.dec.sync.aligned.u32 40
// CHECK: cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes
// CHECK: griddepcontrol.wait
// CHECK: cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes
// CHECK: setmaxnreg.inc.sync.aligned.u32 232
// CHECK: wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16
// CHECK: stmatrix.sync.aligned.m8n8.x4.shared.b16
// CHECK-NOT: .local
// Else not before it is known how many rows there are.
// CHECK-LABEL: .entry linear_wide_128x128(
// CHECK: griddepcontrol.wait
// CHECK: cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes
exec.kernel @linear(%x: tensor<?x7168xbf16>, %w: tensor<4096x7168xbf16>) -> tensor<?x4096xbf16>
    attributes {wide_tile = array<i64: 0, 128, 128, 1, 1, 1, 0>} {
  %y = epi.linear %x, %w : (tensor<?x7168xbf16>, tensor<4096x7168xbf16>) -> tensor<?x4096xbf16>
  exec.yield %y : tensor<?x4096xbf16>
}

// Blocks of a cluster read the sums of one another.
// CHECK-LABEL: .entry split_wide_64x64_split2
// CHECK: .reqnctapercluster 2, 1, 1
// CHECK: barrier.cluster.arrive.aligned
// CHECK: ld.shared::cluster.v4.b32
exec.kernel @split(%x: tensor<?x7168xbf16>, %w: tensor<4096x7168xbf16>) -> tensor<?x4096xbf16>
    attributes {wide_tile = array<i64: 0, 64, 64, 1, 2, 1, 0>} {
  %y = epi.linear %x, %w : (tensor<?x7168xbf16>, tensor<4096x7168xbf16>) -> tensor<?x4096xbf16>
  exec.yield %y : tensor<?x4096xbf16>
}

// Blocks with equal shares of all weights, two of which a multiprocessor holds: one that fetches while the other ends.
// Who has the start of a tile waits for the flags of those who have the rest, adds what they left, and clears the flags.
// CHECK-LABEL: .entry streamed_swapped_16x64_by2_streamed_low
// CHECK: .maxntid 256
// CHECK: .minnctapersm 2
// CHECK: wgmma.mma_async.sync.aligned.m64n16k16.f32.bf16.bf16
// CHECK: fence.acq_rel.gpu
// CHECK: st.release.gpu
// CHECK: createpolicy.fractional.L2::evict_first.b64
// CHECK: cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes.L2::cache_hint
// CHECK-NOT: .local
exec.kernel @streamed(%x: tensor<?x7168xbf16>, %w: tensor<4096x7168xbf16>) -> tensor<?x4096xbf16>
    attributes {wide_tile = array<i64: 1, 16, 64, 1, 1, 2, 1>} {
  %y = epi.linear %x, %w : (tensor<?x7168xbf16>, tensor<4096x7168xbf16>) -> tensor<?x4096xbf16>
  exec.yield %y : tensor<?x4096xbf16>
}

// Few rows of each expert: weights are the operand with 64 rows. Halves meet and are quantized in the epilogue.
// CHECK-LABEL: .entry experts_swapped_32x128
// CHECK: wgmma.mma_async.sync.aligned.m64n32k32.f32.e4m3.e4m3
// CHECK: stmatrix.sync.aligned.m8n8.x4.trans.shared.b16
// CHECK: cvt.rn.satfinite.e4m3x2.f32
// CHECK-NOT: .local
exec.kernel @experts(%x: tensor<?x7168xf8E4M3FN>, %xs: tensor<?x56xf32>, %counts: tensor<32xi32>, %w: tensor<32x4096x7168xf8E4M3FN>,
                     %ws: tensor<32x32x56xf32>) -> (tensor<?x2048xf8E4M3FN>, tensor<?x16xf32>)
    attributes {wide_tile = array<i64: 1, 32, 128, 1, 1, 1, 0>} {
  %y = epi.grouped_linear %x scale %xs, %counts, %w scale %ws
      : (tensor<?x7168xf8E4M3FN> scale tensor<?x56xf32>, tensor<32xi32>, tensor<32x4096x7168xf8E4M3FN> scale tensor<32x32x56xf32>)
      -> tensor<?x4096xbf16>
  %gate, %up = epi.split %y dim 1 : tensor<?x4096xbf16> to tensor<?x2048xbf16>, tensor<?x2048xbf16>
  %a = epi.silu %gate : tensor<?x2048xbf16>
  %h = epi.mul %a, %up : tensor<?x2048xbf16>
  %q, %s = epi.quantize %h {block = array<i64: 1, 128>} : tensor<?x2048xbf16> -> tensor<?x2048xf8E4M3FN>, tensor<?x16xf32>
  exec.yield %q, %s : tensor<?x2048xf8E4M3FN>, tensor<?x16xf32>
}

// Without a request, those that were measured to be the fastest for rising numbers of rows. The persistent ones take one
// block for each multiprocessor.
// JSON: "name": "by_rows"
// JSON: "symbol": "by_rows_{{.*}}_low"
// JSON: "most_rows": 0
// JSON: "symbol": "by_rows_{{(wide|swapped)_[0-9x]+}}"
// JSON: "blocks_per_core": 1
exec.kernel @by_rows(%x: tensor<?x7168xbf16>, %w: tensor<4096x7168xbf16>) -> tensor<?x4096xbf16> {
  %y = epi.linear %x, %w : (tensor<?x7168xbf16>, tensor<4096x7168xbf16>) -> tensor<?x4096xbf16>
  exec.yield %y : tensor<?x4096xbf16>
}
