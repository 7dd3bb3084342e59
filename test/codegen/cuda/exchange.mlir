// REQUIRES: ptxas
// RUN: epigraph-compile-kernels %s -o %t && FileCheck %s --input-file=%t/kernels.ptx

ep.mesh @world {expert = 2 : i64, attention = #ep.attention<data>}

// What sends waits before it lets the next kernel start, since that relies on what came before. Ids go in words that need no
// flag, as rows of few tokens; rows of many before a fence and flags.
// CHECK-LABEL: .entry send(
// CHECK: griddepcontrol.wait
// CHECK: griddepcontrol.launch_dependents
// CHECK-DAG: st.relaxed.sys.global.b64
// CHECK-DAG: st.relaxed.sys.global.v2.b64
// CHECK-DAG: fence.acq_rel.sys
// CHECK-DAG: st.relaxed.sys.global.b32
exec.kernel @send(%x: tensor<?x2048xbf16>, %ids: tensor<?x4xi32>, %w: tensor<?x4xf32>) {
  ep.dispatch_send %x, %ids, %w on @world {placement = #ep.placement<experts = 32, ranks = 2>, capacity = 64 : i64}
      : tensor<?x2048xbf16>, tensor<?x4xi32>, tensor<?x4xf32>
  exec.yield
}

// What receives waits for other ranks before it waits for the kernel before. Every wait looks at the clock, and tells all peers
// when its patience ends.
// CHECK-LABEL: .entry receive(
// CHECK: griddepcontrol.launch_dependents
// CHECK: ld.relaxed.sys.global.b64
// CHECK: clock64
// CHECK: atom.relaxed.sys.global.cas.b32
// CHECK: griddepcontrol.wait
// CHECK-DAG: ld.acquire.sys.global.b32
// CHECK-DAG: ld.relaxed.sys.global.v4.b32
// CHECK-DAG: ld.relaxed.sys.global.v2.b64
exec.kernel @receive() -> (tensor<?x2048xbf16>, tensor<16xi32>, tensor<1xi32>, tensor<128x4xi32>, tensor<128x4xf32>) {
  %rows, %counts, %received, %places, %w = ep.dispatch_receive on @world {placement = #ep.placement<experts = 32, ranks = 2>, capacity = 64 : i64}
      : tensor<?x2048xbf16>, tensor<16xi32>, tensor<1xi32>, tensor<128x4xi32>, tensor<128x4xf32>
  exec.yield %rows, %counts, %received, %places, %w : tensor<?x2048xbf16>, tensor<16xi32>, tensor<1xi32>, tensor<128x4xi32>, tensor<128x4xf32>
}

// Rows are loaded where the token has one, all before the first is added; they are older than the send, so they need no wait.
// CHECK-LABEL: .entry combine(
// CHECK: griddepcontrol.launch_dependents
// CHECK-COUNT-4: @p ld.relaxed.sys.global.v4.b32
// CHECK: fma.rn.f32
// CHECK: griddepcontrol.wait
exec.kernel @combine(%y: tensor<?x2048xbf16>, %places: tensor<128x4xi32>, %ids: tensor<?x4xi32>, %w: tensor<?x4xf32>) -> tensor<?x2048xbf16> {
  %r = ep.combine_receive %y, %places, %ids, %w on @world {placement = #ep.placement<experts = 32, ranks = 2>, capacity = 64 : i64}
      : tensor<?x2048xbf16>, tensor<128x4xi32>, tensor<?x4xi32>, tensor<?x4xf32> -> tensor<?x2048xbf16>
  exec.yield %r : tensor<?x2048xbf16>
}
