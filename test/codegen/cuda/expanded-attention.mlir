// REQUIRES: ptxas
// RUN: epigraph-compile-kernels %s -o %t
// RUN: FileCheck %s --input-file=%t/kernels.ptx
// RUN: FileCheck %s --input-file=%t/kernels.json --check-prefix=JSON

// A first launch lists the pages. Expansions (64 x 256) and tiles are products of warpgroups, whose sums never leave registers;
// what was expanded is copied without a map.
// CHECK-LABEL: .entry expand_pages(
// CHECK-LABEL: .entry expand(
// CHECK-NOT: .local
// CHECK: griddepcontrol.wait
// CHECK-DAG: cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes
// CHECK-DAG: cp.async.bulk.tensor.3d
// CHECK-DAG: cp.async.bulk.tensor.2d
// CHECK-DAG: wgmma.mma_async.sync.aligned.m64n256k16.f32.bf16.bf16
// CHECK-DAG: wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16
// CHECK-DAG: fence.proxy.async.global

// JSON: "symbol": "expand_pages"
// JSON: "symbol": "expand"
// JSON: "grid": "tile_items"
// JSON: "column_tiles": 128
// JSON: "blocks_per_core": 1
module attributes {exec.limits = #exec.limits<batch_tokens = 4096, sequences = 32, context = 8192>} {
  exec.kernel @expand(%q: tensor<?x128x128xbf16>, %qr: tensor<?x128x64xbf16>, %cache: !epi.mla_cache<latent = 512, rope = 64, bf16>,
                      %step: !epi.step, %up: tensor<32768x512xbf16>) -> tensor<?x128x128xbf16> {
    %o = epi.mla_attention %q, %qr, %cache, %step up %up {scale = 0.1 : f64}
       : (tensor<?x128x128xbf16>, tensor<?x128x64xbf16>, !epi.mla_cache<latent = 512, rope = 64, bf16>)
         up tensor<32768x512xbf16> -> tensor<?x128x128xbf16>
    exec.yield %o : tensor<?x128x128xbf16>
  }
}
