// RUN: epigraph-opt %s --ep-partition-experts=ranks=2 | FileCheck %s --check-prefixes=CHECK,REPL
// RUN: epigraph-opt %s --ep-partition-experts="ranks=4 attention=data" | FileCheck %s --check-prefixes=CHECK,DATA
// RUN: epigraph-opt %s --ep-partition-experts | FileCheck %s --check-prefixes=CHECK,ONE
// RUN: epigraph-opt %s --ep-partition-experts=ranks=2 --remarks-filter=.* -o /dev/null 2>&1 | FileCheck %s --check-prefix=STATS

// REPL:       ep.mesh @world {attention = #ep.attention<replicated>, expert = 2 : i64}
// DATA:       ep.mesh @world {attention = #ep.attention<data>, expert = 4 : i64}
// ONE:        ep.mesh @world {attention = #ep.attention<replicated>, expert = 1 : i64}
// STATS:      Category:ep-partition-experts | layers=1, local-experts=4
module @moe {
// CHECK:      func.func @main(%[[X:.*]]: tensor<?x8xf32>, %[[IDS:.*]]: tensor<?x2xi32>, %[[S:.*]]: tensor<?x2xf32>) -> tensor<?x8xf32>
  func.func @main(%x: tensor<?x8xf32>, %ids: tensor<?x2xi32>, %s: tensor<?x2xf32>) -> tensor<?x8xf32> {

    // Slices are taken where the stack is named, below the cast.
    %g = epi.weight_stack "experts.{}.gate.weight" : tensor<8x4x8xbf16>
    %gate = epi.cast %g : tensor<8x4x8xbf16> to tensor<8x4x8xf32>
    %up = epi.weight_stack "experts.{}.up.weight" : tensor<8x4x8xf32>
    %down = epi.weight_stack "experts.{}.down.weight" : tensor<8x8x4xf32>
// CHECK-DAG:    %[[G:.*]] = epi.weight_stack "experts.{}.gate.weight"
// CHECK-DAG:    %[[UP:.*]] = epi.weight_stack "experts.{}.up.weight"
// CHECK-DAG:    %[[DOWN:.*]] = epi.weight_stack "experts.{}.down.weight"

    %y = epi.experts %x, %ids, %s, %gate, %up, %down
        : tensor<?x8xf32>, tensor<?x2xi32>, tensor<?x2xf32>, tensor<8x4x8xf32>, tensor<8x4x8xf32>, tensor<8x8x4xf32>
// Replicated: each rank dispatches its share of the rows, with their ids and weights.
// REPL-DAG:     %[[MYX:.*]] = ep.shard_rows %[[X]] on @world
// REPL-DAG:     %[[MYIDS:.*]] = ep.shard_rows %[[IDS]] on @world
// REPL-DAG:     %[[MYS:.*]] = ep.shard_rows %[[S]] on @world
// REPL:         %[[ROWS:.*]], %[[COUNTS:.*]], %[[BACK:.*]] = ep.dispatch %[[MYX]], %[[MYIDS]] on @world {placement = #ep.placement<experts = 8, ranks = 2>} : tensor<?x8xf32>, tensor<?x2xi32> -> tensor<?x8xf32>, tensor<4xi32>
// REPL:         %[[LG:.*]] = ep.local_experts %[[G]] {placement = #ep.placement<experts = 8, ranks = 2>} : tensor<8x4x8xbf16> to tensor<4x4x8xbf16>
// REPL-NEXT:    %[[LGC:.*]] = epi.cast %[[LG]] : tensor<4x4x8xbf16> to tensor<4x4x8xf32>
// REPL-NEXT:    %[[GR:.*]] = epi.grouped_linear %[[ROWS]], %[[COUNTS]], %[[LGC]]
// REPL-NEXT:    %[[LU:.*]] = ep.local_experts %[[UP]]
// REPL-NEXT:    %[[UR:.*]] = epi.grouped_linear %[[ROWS]], %[[COUNTS]], %[[LU]]
// REPL-NEXT:    %[[SI:.*]] = epi.silu %[[GR]]
// REPL-NEXT:    %[[IN:.*]] = epi.mul %[[SI]], %[[UR]]
// REPL-NEXT:    %[[LD:.*]] = ep.local_experts %[[DOWN]]
// REPL-NEXT:    %[[DR:.*]] = epi.grouped_linear %[[IN]], %[[COUNTS]], %[[LD]]
// REPL-NEXT:    %[[YL:.*]] = ep.combine %[[DR]], %[[MYS]], %[[BACK]] on @world
// REPL-NEXT:    %[[Y:.*]] = ep.all_gather %[[YL]] on @world
// REPL-NEXT:    epi.silu %[[Y]]

// Data: the rank's own rows go out, and nothing is gathered.
// DATA-NOT:     ep.shard_rows
// DATA:         ep.dispatch %[[X]], %[[IDS]] on @world {{.*}} -> tensor<?x8xf32>, tensor<2xi32>
// DATA:         %[[Y:.*]] = ep.combine %{{.*}}, %[[S]], %{{.*}} on @world
// DATA-NEXT:    epi.silu %[[Y]]

// One rank slices nothing.
// ONE-NOT:      ep.shard_rows
// ONE-NOT:      ep.local_experts
// ONE:          ep.dispatch {{.*}} -> tensor<?x8xf32>, tensor<8xi32>
// ONE-NOT:      ep.local_experts
// ONE-NOT:      ep.all_gather

    // What is no expert stays as it is.
    %z = epi.silu %y : tensor<?x8xf32>
    return %z : tensor<?x8xf32>
// CHECK-NOT:  epi.experts
  }
}
