// REQUIRES: ptxas
// RUN: epigraph-compile-kernels %s -o %t
// RUN: FileCheck %s --input-file=%t/kernels.ptx
// RUN: FileCheck %s --input-file=%t/kernels.json --check-prefix=JSON

// Weights are asked for before x is there, stream past the first-level cache, and are multiplied as they come.
// CHECK-LABEL: .entry linear_skinny8
// CHECK: prefetch.global.L2
// CHECK: griddepcontrol.wait
// CHECK: ld.global.nc.L1::no_allocate.L2::256B.v4.b32
// CHECK: mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32
// CHECK-NOT: .local
exec.kernel @linear(%x: tensor<?x7168xbf16>, %w: tensor<4096x7168xbf16>) -> tensor<?x4096xbf16>
    attributes {skinny_tile = array<i64: 8, 1, 1, 8, 1, 4>} {
  %y = epi.linear %x, %w : (tensor<?x7168xbf16>, tensor<4096x7168xbf16>) -> tensor<?x4096xbf16>
  exec.yield %y : tensor<?x4096xbf16>
}

// Without a request, forms for rising numbers of rows, the last for any.
// JSON: "name": "by_rows"
// JSON: "most_rows": {{[1-9][0-9]*}}
// JSON: "most_rows": 0
exec.kernel @by_rows(%x: tensor<?x1024xbf16>, %w: tensor<2048x1024xbf16>) -> tensor<?x2048xbf16> {
  %y = epi.linear %x, %w : (tensor<?x1024xbf16>, tensor<2048x1024xbf16>) -> tensor<?x2048xbf16>
  exec.yield %y : tensor<?x2048xbf16>
}
