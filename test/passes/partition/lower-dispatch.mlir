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

// -----

// Rows that are quantized on the other side travel quantized; what another projection had quantized already is taken.
module attributes {exec.limits = #exec.limits<batch_tokens = 48, sequences = 4, context = 256>} {
  ep.mesh @world {expert = 2 : i64, attention = #ep.attention<data>}
  // CHECK-LABEL: func.func @quantized(
  // CHECK-SAME: %[[X:.*]]: tensor<?x256xbf16>, %[[IDS:.*]]: tensor<?x4xi32>
  func.func @quantized(%x: tensor<?x256xbf16>, %ids: tensor<?x4xi32>, %w: tensor<?x4xf32>, %w8: tensor<256x256xf8E4M3FN>, %ws: tensor<2x2xf32>) -> tensor<?x256xbf16> {
    // CHECK: %[[Q:.*]], %[[SCALES:.*]] = epi.quantize %[[X]]
    // CHECK: ep.dispatch_send %[[Q]], %[[IDS]], {{.*}} scale %[[SCALES]] on @world
    // CHECK: %[[ROWS:.*]], %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %[[ROW_SCALES:.*]] = ep.dispatch_receive on @world {{.*}} scale tensor<?x2xf32>
    // CHECK-NOT: epi.quantize
    // CHECK: epi.linear %[[ROWS]] scale %[[ROW_SCALES]]
    %rows, %counts, %back = ep.dispatch %x, %ids on @world {placement = #ep.placement<experts = 8, ranks = 2>}
        : tensor<?x256xbf16>, tensor<?x4xi32> -> tensor<?x256xbf16>, tensor<4xi32>
    %q, %s = epi.quantize %rows {block = array<i64: 1, 128>} : tensor<?x256xbf16> -> tensor<?x256xf8E4M3FN>, tensor<?x2xf32>
    %y = epi.linear %q scale %s, %w8 scale %ws
        : (tensor<?x256xf8E4M3FN> scale tensor<?x2xf32>, tensor<256x256xf8E4M3FN> scale tensor<2x2xf32>) -> tensor<?x256xbf16>
    %r = ep.combine %y, %w, %back on @world : tensor<?x256xbf16>, tensor<?x4xf32> -> tensor<?x256xbf16>
    return %r : tensor<?x256xbf16>
  }

  // CHECK-LABEL: func.func @shared(
  func.func @shared(%x: tensor<?x256xbf16>, %ids: tensor<?x4xi32>, %w: tensor<?x4xf32>, %w8: tensor<256x256xf8E4M3FN>, %ws: tensor<2x2xf32>) -> (tensor<?x256xbf16>, tensor<?x256xf8E4M3FN>, tensor<?x2xf32>) {
    // CHECK: %[[NORM:.*]]:3 = epi.fused
    // CHECK: epi.quantize
    // CHECK: epi.yield
    %n:3 = epi.fused "silu_quantize"(%x) : (tensor<?x256xbf16>) -> (tensor<?x256xbf16>, tensor<?x256xf8E4M3FN>, tensor<?x2xf32>) {
    ^bb0(%a: tensor<?x256xbf16>):
      %b = epi.silu %a : tensor<?x256xbf16>
      %q, %s = epi.quantize %b {block = array<i64: 1, 128>} : tensor<?x256xbf16> -> tensor<?x256xf8E4M3FN>, tensor<?x2xf32>
      epi.yield %b, %q, %s : tensor<?x256xbf16>, tensor<?x256xf8E4M3FN>, tensor<?x2xf32>
    }
    // CHECK-NOT: epi.quantize
    // CHECK: ep.dispatch_send %[[NORM]]#1, %{{.*}}, %{{.*}} scale %[[NORM]]#2 on @world
    %rows, %counts, %back = ep.dispatch %n#0, %ids on @world {placement = #ep.placement<experts = 8, ranks = 2>}
        : tensor<?x256xbf16>, tensor<?x4xi32> -> tensor<?x256xbf16>, tensor<4xi32>
    %q, %s = epi.quantize %rows {block = array<i64: 1, 128>} : tensor<?x256xbf16> -> tensor<?x256xf8E4M3FN>, tensor<?x2xf32>
    %y = epi.linear %q scale %s, %w8 scale %ws
        : (tensor<?x256xf8E4M3FN> scale tensor<?x2xf32>, tensor<256x256xf8E4M3FN> scale tensor<2x2xf32>) -> tensor<?x256xbf16>
    %r = ep.combine %y, %w, %back on @world : tensor<?x256xbf16>, tensor<?x4xf32> -> tensor<?x256xbf16>
    return %r, %n#1, %n#2 : tensor<?x256xbf16>, tensor<?x256xf8E4M3FN>, tensor<?x2xf32>
  }
}
