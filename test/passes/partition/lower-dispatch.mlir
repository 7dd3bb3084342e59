// RUN: epigraph-opt %s --ep-lower-dispatch --split-input-file | FileCheck %s

// What does not need the rows moves between the first send and receive; what does stays.
module attributes {exec.limits = #exec.limits<batch_tokens = 48, sequences = 4, context = 256>} {
  ep.mesh @world {expert = 2 : i64, attention = #ep.attention<data>}
  // CHECK-LABEL: func.func @data(
  // CHECK-SAME: %[[X:.*]]: tensor<?x64xbf16>, %[[IDS:.*]]: tensor<?x4xi32>, %[[W:.*]]: tensor<?x4xf32>, %[[S:.*]]: tensor<64x64xbf16>
  func.func @data(%x: tensor<?x64xbf16>, %ids: tensor<?x4xi32>, %w: tensor<?x4xf32>, %s: tensor<64x64xbf16>) -> tensor<?x64xbf16> {
    // CHECK: ep.dispatch_send %[[X]], %[[IDS]], %[[W]] on @world {capacity = 48 : i64, placement = #ep.placement<experts = 8, ranks = 2>}
    // CHECK-NEXT: %[[SHARED:.*]] = epi.linear %[[X]], %[[S]]
    // CHECK-NEXT: %[[ROWS:.*]], %[[COUNTS:.*]], %[[RECEIVED:.*]], %[[PLACES:.*]], %[[WEIGHTS:.*]] = ep.dispatch_receive on @world {capacity = 48 : i64, {{.*}}} : tensor<?x64xbf16>, tensor<4xi32>, tensor<1xi32>, tensor<96x4xi32>, tensor<96x4xf32>
    %rows, %counts, %back = ep.dispatch %x, %ids on @world {placement = #ep.placement<experts = 8, ranks = 2>}
        : tensor<?x64xbf16>, tensor<?x4xi32> -> tensor<?x64xbf16>, tensor<4xi32>
    // CHECK-NEXT: %[[Y:.*]] = epi.silu %[[ROWS]]
    %y = epi.silu %rows : tensor<?x64xbf16>
    // CHECK-NEXT: ep.combine_send %[[Y]], %[[PLACES]], %[[WEIGHTS]] on @world {capacity = 48 : i64}
    // CHECK-NEXT: %[[SUM:.*]] = ep.combine_receive %[[Y]], %[[PLACES]], %[[IDS]], %[[W]] on @world
    %r = ep.combine %y, %w, %back on @world : tensor<?x64xbf16>, tensor<?x4xf32> -> tensor<?x64xbf16>
    %shared = epi.linear %x, %s : (tensor<?x64xbf16>, tensor<64x64xbf16>) -> tensor<?x64xbf16>
    // CHECK-NEXT: epi.add %[[SUM]], %[[SHARED]]
    %z = epi.add %r, %shared : tensor<?x64xbf16>
    return %z : tensor<?x64xbf16>
  }
}

// -----

// A rank sends its share of the tokens only, where all ranks have all of them.
module attributes {exec.limits = #exec.limits<batch_tokens = 49, sequences = 4, context = 256>} {
  ep.mesh @world {expert = 2 : i64, attention = #ep.attention<replicated>}
  // CHECK-LABEL: func.func @replicated(
  func.func @replicated(%x: tensor<?x64xbf16>, %ids: tensor<?x4xi32>, %w: tensor<?x4xf32>) -> tensor<?x64xbf16> {
    // CHECK: ep.dispatch_send {{.*}} {capacity = 25 : i64
    // CHECK: ep.dispatch_receive on @world {{.*}} tensor<50x4xi32>, tensor<50x4xf32>
    %rows, %counts, %back = ep.dispatch %x, %ids on @world {placement = #ep.placement<experts = 8, ranks = 2>}
        : tensor<?x64xbf16>, tensor<?x4xi32> -> tensor<?x64xbf16>, tensor<4xi32>
    %r = ep.combine %rows, %w, %back on @world : tensor<?x64xbf16>, tensor<?x4xf32> -> tensor<?x64xbf16>
    return %r : tensor<?x64xbf16>
  }
}

// -----

// One rank exchanges nothing: no limits are needed, and nothing changes.
ep.mesh @world {expert = 1 : i64, attention = #ep.attention<data>}
// CHECK-LABEL: func.func @alone(
func.func @alone(%x: tensor<?x64xbf16>, %ids: tensor<?x4xi32>, %w: tensor<?x4xf32>) -> tensor<?x64xbf16> {
  // CHECK: ep.dispatch %
  %rows, %counts, %back = ep.dispatch %x, %ids on @world {placement = #ep.placement<experts = 8, ranks = 1>}
      : tensor<?x64xbf16>, tensor<?x4xi32> -> tensor<?x64xbf16>, tensor<8xi32>
  // CHECK: ep.combine %
  %r = ep.combine %rows, %w, %back on @world : tensor<?x64xbf16>, tensor<?x4xf32> -> tensor<?x64xbf16>
  return %r : tensor<?x64xbf16>
}
