// REQUIRES: ptxas
// RUN: epigraph-compile-kernels %s -o %t
// RUN: FileCheck %s --input-file=%t/kernels.ptx
// RUN: FileCheck %s --input-file=%t/kernels.json --check-prefix=JSON

// Pages that the step does not write are fetched before the kernel before has ended; queries after. Sums never leave registers.
// CHECK-LABEL: .entry decode(
// CHECK: griddepcontrol.launch_dependents
// CHECK: cp.async.bulk.tensor.2d
// CHECK: cp.async.bulk.prefetch.tensor.2d
// CHECK: griddepcontrol.wait
// CHECK-DAG: cp.async.bulk.tensor.3d
// CHECK-DAG: cp.async.bulk.tensor.2d
// CHECK-DAG: setmaxnreg.dec.sync.aligned.u32 40
// CHECK-DAG: wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16
// CHECK-DAG: wgmma.mma_async.sync.aligned.m64n256k16.f32.bf16.bf16
// CHECK-DAG: wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16
// CHECK-NOT: .local
// The merge lets the next kernel start first of all.
// CHECK-LABEL: .entry decode_merge(
// CHECK: griddepcontrol.launch_dependents
// CHECK: griddepcontrol.wait

// Two blocks of 64 heads for each item; then the merge, which the items share.
// JSON: "symbol": "decode"
// JSON: "grid": "token_items"
// JSON: "column_tiles": 2
// JSON: "symbol": "decode_merge"
// JSON: "grid": "token_items"
// JSON: "column_tiles": 4
exec.kernel @decode(%q: tensor<?x128x512xbf16>, %r: tensor<?x128x64xbf16>, %cache: !epi.mla_cache<latent = 512, rope = 64, bf16>, %step: !epi.step) -> tensor<?x128x512xbf16> {
  %o = epi.mla_attention %q, %r, %cache, %step {scale = 0.1 : f64} : (tensor<?x128x512xbf16>, tensor<?x128x64xbf16>, !epi.mla_cache<latent = 512, rope = 64, bf16>) -> tensor<?x128x512xbf16>
  exec.yield %o : tensor<?x128x512xbf16>
}

// Queries that the kernel rotates: where they lie, between their arrival and their products.
// CHECK-LABEL: .entry rotated(
// CHECK: griddepcontrol.wait
// CHECK: fence.proxy.async.shared::cta
// CHECK: bar.arrive
// CHECK-NOT: .local
// JSON: "symbol": "rotated"
exec.kernel @rotated(%q: tensor<?x128x512xbf16>, %r: tensor<?x128x64xbf16>, %table: tensor<4096x64xf32>, %cache: !epi.mla_cache<latent = 512, rope = 64, bf16>, %step: !epi.step) -> tensor<?x128x512xbf16> {
  %y = epi.rope %r, %table, %step {interleaved} : tensor<?x128x64xbf16>, tensor<4096x64xf32>
  %o = epi.mla_attention %q, %y, %cache, %step {scale = 0.1 : f64} : (tensor<?x128x512xbf16>, tensor<?x128x64xbf16>, !epi.mla_cache<latent = 512, rope = 64, bf16>) -> tensor<?x128x512xbf16>
  exec.yield %o : tensor<?x128x512xbf16>
}
