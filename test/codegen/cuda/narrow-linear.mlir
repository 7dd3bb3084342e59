// REQUIRES: ptxas
// RUN: epigraph-compile-kernels %s -o %t
// RUN: FileCheck %s --input-file=%t/kernels.ptx
// RUN: FileCheck %s --input-file=%t/kernels.json --check-prefix=JSON

// Where the rows fit one unit, a warp fetches all weights without waiting for the kernel before; those that multiply and store wait.
// CHECK-LABEL: .entry linear_narrow8x16_8x2_low
// CHECK: .maxntid 352
// CHECK: griddepcontrol.launch_dependents
// CHECK: griddepcontrol.wait
// CHECK: mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32
// CHECK: griddepcontrol.wait
// CHECK: bar.arrive
// CHECK-NOT: griddepcontrol
// CHECK: createpolicy.fractional.L2::evict_first.b64
// CHECK: cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint
// CHECK-NOT: griddepcontrol
// CHECK-NOT: .local
// Else it waits, for the number of rows, once it has fetched those of the first of them.
// CHECK-LABEL: .entry linear_narrow8x16_8x2(
// CHECK: cp.async.bulk.shared::cluster
// CHECK: griddepcontrol.wait
// CHECK: cp.async.bulk.shared::cluster
// JSON: "symbol": "linear_narrow8x16_8x2_low"
// JSON: "row_tile": 0
// JSON: "column_tiles": 132
exec.kernel @linear(%x: tensor<?x2048xbf16>, %w: tensor<5120x2048xbf16>) -> tensor<?x5120xbf16>
    attributes {narrow_tile = array<i64: 8, 16, 8, 2>} {
  %y = epi.linear %x, %w : (tensor<?x2048xbf16>, tensor<5120x2048xbf16>) -> tensor<?x5120xbf16>
  exec.yield %y : tensor<?x5120xbf16>
}

// A block for each unit, where there are fewer than multiprocessors.
// JSON: "symbol": "few_narrow1x8_8x2_low"
// JSON: "column_tiles": 32
exec.kernel @few(%x: tensor<?x1024xbf16>, %w: tensor<256x1024xbf16>) -> tensor<?x256xbf16>
    attributes {narrow_tile = array<i64: 1, 8, 8, 2>} {
  %y = epi.linear %x, %w : (tensor<?x1024xbf16>, tensor<256x1024xbf16>) -> tensor<?x256xbf16>
  exec.yield %y : tensor<?x256xbf16>
}

// Which weights are needed follows from the groups, which are made by the kernel before. Gate and up of a column are added up together.
// CHECK-LABEL: .entry experts_narrow8x8_8x2
// CHECK: griddepcontrol.wait
// CHECK: griddepcontrol.launch_dependents
// CHECK: ld.relaxed.gpu.global.b32
// CHECK: mma.sync.aligned.m16n8k32.row.col.f32.e4m3.e4m3.f32
// CHECK: ex2.approx
// CHECK: cp.async.bulk.shared::cluster
// CHECK-NOT: .local
exec.kernel @experts(%x: tensor<?x2048xf8E4M3FN>, %xs: tensor<?x16xf32>, %counts: tensor<32xi32>, %w: tensor<32x1024x2048xf8E4M3FN>,
                     %ws: tensor<32x8x16xf32>) -> tensor<?x512xbf16> attributes {narrow_tile = array<i64: 8, 8, 8, 2>} {
  %y = epi.grouped_linear %x scale %xs, %counts, %w scale %ws
      : (tensor<?x2048xf8E4M3FN> scale tensor<?x16xf32>, tensor<32xi32>, tensor<32x1024x2048xf8E4M3FN> scale tensor<32x8x16xf32>) -> tensor<?x1024xbf16>
  %gate, %up = epi.split %y dim 1 : tensor<?x1024xbf16> to tensor<?x512xbf16>, tensor<?x512xbf16>
  %a = epi.silu %gate : tensor<?x512xbf16>
  %h = epi.mul %a, %up : tensor<?x512xbf16>
  exec.yield %h : tensor<?x512xbf16>
}

// What was measured to be the fastest for one row, which has a unit of its own, and for up to eight.
// CHECK-LABEL: .entry chosen_narrow1x
// CHECK: .entry chosen_narrow8x
// JSON: "name": "chosen"
// JSON: "most_rows": 1,
// JSON: "symbol": "chosen_narrow1x{{.*}}_low"
// JSON: "most_rows": 8,
// JSON: "symbol": "chosen_narrow8x{{.*}}_low"
// JSON: "most_rows": 0,
exec.kernel @chosen(%x: tensor<?x4096xbf16>, %w: tensor<2048x4096xbf16>) -> tensor<?x2048xbf16> {
  %y = epi.linear %x, %w : (tensor<?x4096xbf16>, tensor<2048x4096xbf16>) -> tensor<?x2048xbf16>
  exec.yield %y : tensor<?x2048xbf16>
}
