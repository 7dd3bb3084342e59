// RUN: epigraph-opt %s --ep-decompose-dispatch --split-input-file | FileCheck %s

// The token of the exchange becomes the values that the way back needs.

// CHECK-LABEL: module @two_ranks
// CHECK:       func.func @main(%[[X:.*]]: tensor<?x8xf32>, %[[IDS:.*]]: tensor<?x2xi32>, %[[S:.*]]: tensor<?x2xf32>, %{{.*}})
// CHECK-NEXT:    %[[ROWS:.*]], %[[SLOTS:.*]], %[[N:.*]] = epi.permute %[[X]], %[[IDS]] : tensor<?x8xf32>, tensor<?x2xi32> -> tensor<?x8xf32>, tensor<?x2xi32>, tensor<4xi32>
// CHECK-NEXT:    %[[GOT:.*]], %[[NGOT:.*]] = ep.scatter_experts %[[ROWS]], %[[N]] on @world {placement = #ep.placement<experts = 4, ranks = 2>} : tensor<?x8xf32>, tensor<4xi32> -> tensor<?x8xf32>, tensor<2xi32>
// CHECK-NEXT:    %[[Y:.*]] = epi.grouped_linear %[[GOT]], %[[NGOT]]
// CHECK-NEXT:    %[[BACK:.*]] = ep.gather_experts %[[Y]], %[[N]], %[[NGOT]] on @world
// CHECK-NEXT:    %[[Z:.*]] = epi.unpermute %[[BACK]], %[[SLOTS]], %[[S]]
// CHECK-NEXT:    return %[[Z]]
module @two_ranks {
  ep.mesh @world {expert = 2 : i64, attention = #ep.attention<data>}
  func.func @main(%x: tensor<?x8xf32>, %ids: tensor<?x2xi32>, %s: tensor<?x2xf32>, %w: tensor<2x8x8xf32>) -> tensor<?x8xf32> {
    %rows, %counts, %back = ep.dispatch %x, %ids on @world {placement = #ep.placement<experts = 4, ranks = 2>}
        : tensor<?x8xf32>, tensor<?x2xi32> -> tensor<?x8xf32>, tensor<2xi32>
    %y = epi.grouped_linear %rows, %counts, %w : (tensor<?x8xf32>, tensor<2xi32>, tensor<2x8x8xf32>) -> tensor<?x8xf32>
    %z = ep.combine %y, %s, %back on @world : tensor<?x8xf32>, tensor<?x2xf32> -> tensor<?x8xf32>
    return %z : tensor<?x8xf32>
  }
}

// -----

// On one rank the exchanges vanish, and the counts are those of the permutation.

// CHECK-LABEL: module @one_rank
// CHECK:         %[[ROWS:.*]], %[[SLOTS:.*]], %[[N:.*]] = epi.permute
// CHECK-NEXT:    %[[Y:.*]] = epi.grouped_linear %[[ROWS]], %[[N]]
// CHECK-NEXT:    epi.unpermute %[[Y]], %[[SLOTS]]
module @one_rank {
  ep.mesh @world {expert = 1 : i64, attention = #ep.attention<replicated>}
  func.func @main(%x: tensor<?x8xf32>, %ids: tensor<?x2xi32>, %s: tensor<?x2xf32>, %w: tensor<4x8x8xf32>) -> tensor<?x8xf32> {
    %rows, %counts, %back = ep.dispatch %x, %ids on @world {placement = #ep.placement<experts = 4, ranks = 1>}
        : tensor<?x8xf32>, tensor<?x2xi32> -> tensor<?x8xf32>, tensor<4xi32>
    %y = epi.grouped_linear %rows, %counts, %w : (tensor<?x8xf32>, tensor<4xi32>, tensor<4x8x8xf32>) -> tensor<?x8xf32>
    %z = ep.combine %y, %s, %back on @world : tensor<?x8xf32>, tensor<?x2xf32> -> tensor<?x8xf32>
    return %z : tensor<?x8xf32>
  }
}

// -----

// Collectives are left alone.

// CHECK-LABEL: module @collective
// CHECK:         ep.shard_rows
// CHECK-NEXT:    ep.all_gather
module @collective {
  ep.mesh @world {expert = 2 : i64, attention = #ep.attention<replicated>}
  func.func @main(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
    %l = ep.shard_rows %x on @world : tensor<?x8xf32>
    %y = ep.all_gather %l on @world : tensor<?x8xf32>
    return %y : tensor<?x8xf32>
  }
}
