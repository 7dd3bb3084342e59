// REQUIRES: ptxas
// RUN: epigraph-compile-kernels %s -o %t && FileCheck %s --input-file=%t/kernels.ptx

ep.mesh @world {expert = 2 : i64, attention = #ep.attention<data>}

// Ids go in words that need no flag; rows before a fence and flags.
// CHECK-LABEL: .entry send_few(
// CHECK: st.relaxed.sys.global.b64
// CHECK: st.global.v4
// CHECK: fence.acq_rel.sys
// CHECK: st.relaxed.sys.global.b32
exec.kernel @send(%x: tensor<?x2048xbf16>, %ids: tensor<?x4xi32>, %w: tensor<?x4xf32>) {
  ep.dispatch_send %x, %ids, %w on @world {placement = #ep.placement<experts = 32, ranks = 2>, capacity = 64 : i64}
      : tensor<?x2048xbf16>, tensor<?x4xi32>, tensor<?x4xf32>
  exec.yield
}

// Every wait looks at the clock, and tells all peers when its patience ends.
// CHECK-LABEL: .entry receive(
// CHECK: ld.relaxed.sys.global.b64
// CHECK: clock64
// CHECK: atom.relaxed.sys.global.cas.b32
// CHECK: ld.acquire.sys.global.b32
// CHECK: ld.relaxed.sys.global.v4.b32
exec.kernel @receive() -> (tensor<?x2048xbf16>, tensor<16xi32>, tensor<1xi32>, tensor<128x4xi32>, tensor<128x4xf32>) {
  %rows, %counts, %received, %places, %w = ep.dispatch_receive on @world {placement = #ep.placement<experts = 32, ranks = 2>, capacity = 64 : i64}
      : tensor<?x2048xbf16>, tensor<16xi32>, tensor<1xi32>, tensor<128x4xi32>, tensor<128x4xf32>
  exec.yield %rows, %counts, %received, %places, %w : tensor<?x2048xbf16>, tensor<16xi32>, tensor<1xi32>, tensor<128x4xi32>, tensor<128x4xf32>
}
