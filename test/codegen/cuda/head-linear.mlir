// REQUIRES: ptxas
// RUN: epigraph-compile-kernels %s -o %t
// RUN: FileCheck %s --input-file=%t/kernels.ptx
// RUN: FileCheck %s --input-file=%t/kernels.json --check-prefix=JSON

// A head's matrix is on its way to shared memory before x is there. Kernels are printed last first.
// CHECK-LABEL: .entry values_heads8(
// CHECK: griddepcontrol.launch_dependents
// CHECK: cp.async.cg.shared.global
// CHECK: griddepcontrol.wait
// CHECK: cp.async.wait_group 0
// CHECK: mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32
// CHECK: cvt.rn.satfinite.e4m3x2.f32
// CHECK-NOT: .local

// One block for each head, whatever the number of rows.
// JSON: "name": "values"
// JSON: "most_rows": 8
// JSON: "symbol": "values_heads8"
// JSON: "row_tile": 0
// JSON: "column_tiles": 16
// JSON: "most_rows": 32
// JSON: "symbol": "values_heads32"
// JSON: "most_rows": 0
// JSON: "symbol": "values_heads64"
exec.kernel @values(%x: tensor<?x16x512xbf16>, %w: tensor<16x128x512xbf16>) -> (tensor<?x2048xf8E4M3FN>, tensor<?x16xf32>) {
  %y = epi.head_linear %x, %w : (tensor<?x16x512xbf16>, tensor<16x128x512xbf16>) -> tensor<?x16x128xbf16>
  %flat = epi.reshape %y : tensor<?x16x128xbf16> to tensor<?x2048xbf16>
  %q, %s = epi.quantize %flat {block = array<i64: 1, 128>} : tensor<?x2048xbf16> -> tensor<?x2048xf8E4M3FN>, tensor<?x16xf32>
  exec.yield %q, %s : tensor<?x2048xf8E4M3FN>, tensor<?x16xf32>
}
