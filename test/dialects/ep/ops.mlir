// Every operation and attribute of the dialect, printed as it was written; as text and as bytecode.
// RUN: epigraph-opt %s --verify-roundtrip | FileCheck %s
// RUN: epigraph-opt %s --emit-bytecode | epigraph-opt | FileCheck %s

// CHECK: ep.mesh @world {attention = #ep.attention<replicated>, expert = 2 : i64}
ep.mesh @world {expert = 2 : i64, attention = #ep.attention<replicated>}
// CHECK: ep.mesh @data {attention = #ep.attention<data>, expert = 8 : i64}
ep.mesh @data {expert = 8 : i64, attention = #ep.attention<data>}

// CHECK: ep.mesh @grid {attention = #ep.attention<replicated>, expert = 4 : i64, tensor = 2 : i64}
ep.mesh @grid {expert = 4 : i64, tensor = 2 : i64, attention = #ep.attention<replicated>}

// CHECK-LABEL: func.func @tensor_axis
func.func @tensor_axis(%x: tensor<?x8xbf16>, %w: tensor<16x8xbf16>) {
  // CHECK: ep.local_shard %{{.*}} {axis = #ep.axis<tensor>, dim = 0 : i64, parts = 2 : i64} : tensor<16x8xbf16> to tensor<8x8xbf16>
  %0 = ep.local_shard %w {axis = #ep.axis<tensor>, dim = 0 : i64, parts = 2 : i64} : tensor<16x8xbf16> to tensor<8x8xbf16>
  // CHECK: ep.all_reduce %{{.*}} on @grid {axis = #ep.axis<tensor>} : tensor<?x8xbf16>
  %1 = ep.all_reduce %x on @grid {axis = #ep.axis<tensor>} : tensor<?x8xbf16>
  // CHECK: ep.gather_columns %{{.*}} on @grid {axis = #ep.axis<tensor>} : tensor<?x8xbf16> to tensor<?x16xbf16>
  %2 = ep.gather_columns %x on @grid {axis = #ep.axis<tensor>} : tensor<?x8xbf16> to tensor<?x16xbf16>
  // CHECK: ep.gather_columns %{{.*}} on @grid : tensor<?x8xbf16> to tensor<?x32xbf16>
  %3 = ep.gather_columns %x on @grid : tensor<?x8xbf16> to tensor<?x32xbf16>
  // CHECK: ep.shard_columns %{{.*}} on @grid {axis = #ep.axis<tensor>} : tensor<?x8xbf16> to tensor<?x4xbf16>
  %shard = ep.shard_columns %x on @grid {axis = #ep.axis<tensor>} : tensor<?x8xbf16> to tensor<?x4xbf16>
  return
}

// CHECK-LABEL: func.func @replicas
func.func @replicas(%ids: tensor<?x2xi32>, %w: tensor<3x8xbf16>) {
  // CHECK: ep.replica_table {placement = #ep.placement<experts = 3, ranks = 2, slots = [0, 1, 2, 0]>} : tensor<3x3xi32>
  %0 = ep.replica_table {placement = #ep.placement<experts = 3, ranks = 2, slots = [0, 1, 2, 0]>} : tensor<3x3xi32>
  // CHECK: ep.assign_replicas %{{.*}}, %{{.*}} : tensor<?x2xi32>, tensor<3x3xi32>
  %1 = ep.assign_replicas %ids, %0 : tensor<?x2xi32>, tensor<3x3xi32>
  // CHECK: ep.local_experts {{.*}} : tensor<3x8xbf16> to tensor<2x8xbf16>
  %2 = ep.local_experts %w {placement = #ep.placement<experts = 3, ranks = 2, slots = [0, 1, 2, 0]>} : tensor<3x8xbf16> to tensor<2x8xbf16>
  return
}

// CHECK-LABEL: func.func @started
func.func @started(%x: tensor<?x8xbf16>, %n: tensor<4xi32>) {
  // CHECK: %[[Y:.*]], %[[T:.*]] = ep.all_gather %{{.*}} on @world : tensor<?x8xbf16>, !ep.token
  %y, %t = ep.all_gather %x on @world : tensor<?x8xbf16>, !ep.token
  // CHECK: %{{.*}}, %{{.*}}, %[[U:.*]] = ep.scatter_experts {{.*}} -> tensor<?x8xbf16>, tensor<2xi32>, !ep.token
  %r, %m, %u = ep.scatter_experts %x, %n on @world {placement = #ep.placement<experts = 4, ranks = 2>}
      : tensor<?x8xbf16>, tensor<4xi32> -> tensor<?x8xbf16>, tensor<2xi32>, !ep.token
  // CHECK: ep.wait %[[T]], %[[U]]
  ep.wait %t, %u
  // CHECK: %{{.*}}, %[[V:.*]] = ep.gather_experts {{.*}} -> tensor<?x8xbf16>, !ep.token
  %g, %v = ep.gather_experts %r, %n, %m on @world : tensor<?x8xbf16>, tensor<4xi32>, tensor<2xi32> -> tensor<?x8xbf16>, !ep.token
  // CHECK: ep.wait %[[V]]
  ep.wait %v
  return
}

// CHECK-LABEL: func.func @collectives
func.func @collectives(%x: tensor<?x8xbf16>, %w: tensor<4x16x8xbf16>) {
  // CHECK: ep.local_experts %{{.*}} {placement = #ep.placement<experts = 4, ranks = 2>} : tensor<4x16x8xbf16> to tensor<2x16x8xbf16>
  %0 = ep.local_experts %w {placement = #ep.placement<experts = 4, ranks = 2>} : tensor<4x16x8xbf16> to tensor<2x16x8xbf16>
  // CHECK: ep.shard_rows %{{.*}} on @world : tensor<?x8xbf16>
  %1 = ep.shard_rows %x on @world : tensor<?x8xbf16>
  // CHECK: ep.all_gather %{{.*}} on @world : tensor<?x8xbf16>
  %2 = ep.all_gather %1 on @world : tensor<?x8xbf16>
  // CHECK: ep.all_reduce %{{.*}} on @world : tensor<?x8xbf16>
  %3 = ep.all_reduce %x on @world : tensor<?x8xbf16>
  // CHECK: ep.reduce_scatter %{{.*}} on @world : tensor<?x8xbf16>
  %4 = ep.reduce_scatter %x on @world : tensor<?x8xbf16>
  return
}

// CHECK-LABEL: func.func @exchanges
func.func @exchanges(%x: tensor<?x8xbf16>, %ids: tensor<?x3xi32>, %w: tensor<?x3xf32>, %n: tensor<4xi32>) -> !ep.exchange {
  // CHECK: %[[R:.*]], %[[N:.*]], %[[B:.*]] = ep.dispatch %{{.*}}, %{{.*}} on @world {placement = #ep.placement<experts = 4, ranks = 2>} : tensor<?x8xbf16>, tensor<?x3xi32> -> tensor<?x8xbf16>, tensor<2xi32>
  %rows, %counts, %back = ep.dispatch %x, %ids on @world {placement = #ep.placement<experts = 4, ranks = 2>}
      : tensor<?x8xbf16>, tensor<?x3xi32> -> tensor<?x8xbf16>, tensor<2xi32>
  // CHECK: ep.combine %[[R]], %{{.*}}, %[[B]] on @world : tensor<?x8xbf16>, tensor<?x3xf32> -> tensor<?x8xbf16>
  %y = ep.combine %rows, %w, %back on @world : tensor<?x8xbf16>, tensor<?x3xf32> -> tensor<?x8xbf16>
  // CHECK: %[[R:.*]], %[[M:.*]] = ep.scatter_experts %{{.*}}, %{{.*}} on @world {placement = #ep.placement<experts = 4, ranks = 2>} : tensor<?x8xbf16>, tensor<4xi32> -> tensor<?x8xbf16>, tensor<2xi32>
  %r, %m = ep.scatter_experts %x, %n on @world {placement = #ep.placement<experts = 4, ranks = 2>}
      : tensor<?x8xbf16>, tensor<4xi32> -> tensor<?x8xbf16>, tensor<2xi32>
  // CHECK: ep.gather_experts %[[R]], %{{.*}}, %[[M]] on @world : tensor<?x8xbf16>, tensor<4xi32>, tensor<2xi32> -> tensor<?x8xbf16>
  %g = ep.gather_experts %r, %n, %m on @world : tensor<?x8xbf16>, tensor<4xi32>, tensor<2xi32> -> tensor<?x8xbf16>
  // CHECK: return %[[B]] : !ep.exchange
  return %back : !ep.exchange
}

// CHECK-LABEL: func.func @peers(
func.func @peers(%x: tensor<?x256xbf16>, %x8: tensor<?x256xf8E4M3FN>, %s: tensor<?x2xf32>, %ids: tensor<?x4xi32>, %w: tensor<?x4xf32>,
                 %y: tensor<?x256xbf16>) -> tensor<?x256xbf16> {
  // CHECK: ep.dispatch_send %{{.*}}, %{{.*}}, %{{.*}} on @world {capacity = 8 : i64, placement = {{.*}}} : tensor<?x256xbf16>, tensor<?x4xi32>, tensor<?x4xf32>
  ep.dispatch_send %x, %ids, %w on @world {placement = #ep.placement<experts = 32, ranks = 2>, capacity = 8 : i64}
      : tensor<?x256xbf16>, tensor<?x4xi32>, tensor<?x4xf32>
  // CHECK: ep.dispatch_send %{{.*}}, %{{.*}}, %{{.*}} scale %{{.*}} on @world
  ep.dispatch_send %x8, %ids, %w scale %s on @world {placement = #ep.placement<experts = 32, ranks = 2>, capacity = 8 : i64}
      : tensor<?x256xf8E4M3FN>, tensor<?x4xi32>, tensor<?x4xf32> scale tensor<?x2xf32>
  // CHECK: %rows, %counts, %received, %places, %weights, %row_scales = ep.dispatch_receive on @world
  %r, %c, %n, %p, %pw, %rs = ep.dispatch_receive on @world {placement = #ep.placement<experts = 32, ranks = 2>, capacity = 8 : i64}
      : tensor<?x256xf8E4M3FN>, tensor<16xi32>, tensor<1xi32>, tensor<16x4xi32>, tensor<16x4xf32> scale tensor<?x2xf32>
  // CHECK: ep.combine_send %{{.*}}, %places, %weights on @world {capacity = 8 : i64}
  ep.combine_send %y, %p, %pw on @world {capacity = 8 : i64} : tensor<?x256xbf16>, tensor<16x4xi32>, tensor<16x4xf32>
  // CHECK: ep.combine_receive %{{.*}}, %places, %{{.*}}, %{{.*}} on @world
  %z = ep.combine_receive %y, %p, %ids, %w on @world {placement = #ep.placement<experts = 32, ranks = 2>, capacity = 8 : i64}
      : tensor<?x256xbf16>, tensor<16x4xi32>, tensor<?x4xi32>, tensor<?x4xf32> -> tensor<?x256xbf16>
  return %z : tensor<?x256xbf16>
}
