// RUN: epigraph-opt %s --exec-start-collectives | FileCheck %s
// RUN: epigraph-opt %s --exec-start-collectives --remarks-filter=exec-start-collectives -o /dev/null 2>&1 | FileCheck %s --check-prefix=STATS

// Everything that moves rows between ranks gets a token; one that has a token keeps it, and sharing out moves nothing.

// STATS: Category:exec-start-collectives | started=3
module {
  ep.mesh @world {expert = 2 : i64, tensor = 2 : i64, attention = #ep.attention<replicated>}
  // CHECK-LABEL: func.func @main
  func.func @main(%x: tensor<?x8xf32>) -> tensor<?x16xf32> {
    // CHECK:      ep.shard_rows %{{.*}} on @world : tensor<?x8xf32>{{$}}
    %a = ep.shard_rows %x on @world : tensor<?x8xf32>
    // CHECK-NEXT: %result_0, %token = ep.all_gather %{{.*}} on @world : tensor<?x8xf32>, !ep.token
    %b = ep.all_gather %a on @world : tensor<?x8xf32>
    // CHECK-NEXT: %result_1, %token_2 = ep.all_reduce %result_0 on @world {axis = #ep.axis<tensor>} : tensor<?x8xf32>, !ep.token
    %c = ep.all_reduce %b on @world {axis = #ep.axis<tensor>} : tensor<?x8xf32>
    // CHECK-NEXT: ep.all_reduce %result_1 on @world : tensor<?x8xf32>, !ep.token
    %d, %t = ep.all_reduce %c on @world : tensor<?x8xf32>, !ep.token
    // CHECK-NEXT: ep.wait
    ep.wait %t
    // CHECK-NEXT: ep.gather_columns %{{.*}} on @world {axis = #ep.axis<tensor>} : tensor<?x8xf32> to tensor<?x16xf32>, !ep.token
    %e = ep.gather_columns %d on @world {axis = #ep.axis<tensor>} : tensor<?x8xf32> to tensor<?x16xf32>
    return %e : tensor<?x16xf32>
  }
}
