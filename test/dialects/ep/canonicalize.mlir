// Exchanges between ranks are never dropped, merged or moved by canonicalization: all ranks must take part in each, in
// the same order. What only computes on weights may go.
// RUN: epigraph-opt %s --canonicalize --cse | FileCheck %s

ep.mesh @world {expert = 2 : i64, attention = #ep.attention<replicated>}

// CHECK-LABEL: func.func @unused
// CHECK-NEXT:    ep.shard_rows
// CHECK-NEXT:    ep.all_gather
// CHECK-NEXT:    ep.all_reduce
// CHECK-NEXT:    ep.all_reduce
// CHECK-NEXT:    ep.dispatch
// CHECK-NEXT:    ep.combine
// CHECK-NEXT:    return
func.func @unused(%x: tensor<?x8xbf16>, %ids: tensor<?x3xi32>, %w: tensor<?x3xf32>, %e: tensor<4x8xbf16>) {
  %0 = ep.local_experts %e {placement = #ep.placement<experts = 4, ranks = 2>} : tensor<4x8xbf16> to tensor<2x8xbf16>
  %1 = ep.shard_rows %x on @world : tensor<?x8xbf16>
  %2 = ep.all_gather %1 on @world : tensor<?x8xbf16>
  %3 = ep.all_reduce %x on @world : tensor<?x8xbf16>
  %4 = ep.all_reduce %x on @world : tensor<?x8xbf16>
  %rows, %counts, %back = ep.dispatch %x, %ids on @world {placement = #ep.placement<experts = 4, ranks = 2>}
      : tensor<?x8xbf16>, tensor<?x3xi32> -> tensor<?x8xbf16>, tensor<2xi32>
  %y = ep.combine %rows, %w, %back on @world : tensor<?x8xbf16>, tensor<?x3xf32> -> tensor<?x8xbf16>
  return
}
