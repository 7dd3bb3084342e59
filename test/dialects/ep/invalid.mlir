// A case for every numbered constraint, and for every name of a mesh.
// RUN: epigraph-opt %s --split-input-file --verify-diagnostics

// ep.mesh (C1)
// expected-error @+1 {{must have 1 to 65535 ranks, got expert = 0, tensor = 1}}
ep.mesh @world {expert = 0 : i64, attention = #ep.attention<data>}

// -----

// #ep.placement (C1)
// expected-error @+1 {{ranks (3) must divide experts (4)}}
func.func private @f() attributes {placement = #ep.placement<experts = 4, ranks = 3>}

// -----

// ep.local_experts (C1): experts
func.func @f(%w: tensor<8x2xf32>) {
  // expected-error @+1 {{the placement is of 4 experts, but w is 'tensor<8x2xf32>'}}
  %l = ep.local_experts %w {placement = #ep.placement<experts = 4, ranks = 2>} : tensor<8x2xf32> to tensor<4x2xf32>
  return
}

// -----

// ep.local_experts (C1): local experts
func.func @f(%w: tensor<4x2xf32>) {
  // expected-error @+1 {{the result must have shape [2, 2]}}
  %l = ep.local_experts %w {placement = #ep.placement<experts = 4, ranks = 2>} : tensor<4x2xf32> to tensor<4x2xf32>
  return
}

// -----

// ep.local_experts (C1): other dimensions
func.func @f(%w: tensor<4x2xf32>) {
  // expected-error @+1 {{the result must have shape [2, 2]}}
  %l = ep.local_experts %w {placement = #ep.placement<experts = 4, ranks = 2>} : tensor<4x2xf32> to tensor<2x3xf32>
  return
}

// -----

// ep.shard_rows names a mesh
func.func @f(%x: tensor<?x8xf32>) {
  // expected-error @+1 {{there is no ep.mesh @world}}
  %y = ep.shard_rows %x on @world : tensor<?x8xf32>
  return
}

// -----

// ep.all_gather names a mesh
func.func @f(%x: tensor<?x8xf32>) {
  // expected-error @+1 {{there is no ep.mesh @world}}
  %y = ep.all_gather %x on @world : tensor<?x8xf32>
  return
}

// -----

// ep.all_reduce names a mesh
func.func @f(%x: tensor<?x8xf32>) {
  // expected-error @+1 {{there is no ep.mesh @world}}
  %y = ep.all_reduce %x on @world : tensor<?x8xf32>
  return
}

// -----

// ep.reduce_scatter names a mesh
func.func @f(%x: tensor<?x8xf32>) {
  // expected-error @+1 {{there is no ep.mesh @world}}
  %y = ep.reduce_scatter %x on @world : tensor<?x8xf32>
  return
}

// -----

// ep.dispatch (C1)
ep.mesh @world {expert = 2 : i64, attention = #ep.attention<data>}
func.func @f(%x: tensor<?x8xf32>, %i: tensor<?x2xi32>) {
  // expected-error @+1 {{counts must have shape [2]}}
  %r, %n, %b = ep.dispatch %x, %i on @world {placement = #ep.placement<experts = 4, ranks = 2>} : tensor<?x8xf32>, tensor<?x2xi32> -> tensor<?x8xf32>, tensor<4xi32>
  return
}

// -----

// ep.dispatch (C2): hidden size
ep.mesh @world {expert = 2 : i64, attention = #ep.attention<data>}
func.func @f(%x: tensor<?x8xf32>, %i: tensor<?x2xi32>) {
  // expected-error @+1 {{rows must have shape [?, 8]}}
  %r, %n, %b = ep.dispatch %x, %i on @world {placement = #ep.placement<experts = 4, ranks = 2>} : tensor<?x8xf32>, tensor<?x2xi32> -> tensor<?x4xf32>, tensor<2xi32>
  return
}

// -----

// ep.dispatch (C2): element type
ep.mesh @world {expert = 2 : i64, attention = #ep.attention<data>}
func.func @f(%x: tensor<?x8xf32>, %i: tensor<?x2xi32>) {
  // expected-error @+1 {{rows must have element type 'f32', got 'bf16'}}
  %r, %n, %b = ep.dispatch %x, %i on @world {placement = #ep.placement<experts = 4, ranks = 2>} : tensor<?x8xf32>, tensor<?x2xi32> -> tensor<?x8xbf16>, tensor<2xi32>
  return
}

// -----

// ep.dispatch (C3)
ep.mesh @world {expert = 2 : i64, attention = #ep.attention<data>}
func.func @f(%x: tensor<?x8xf32>, %i: tensor<?x2xi32>) {
  // expected-error @+1 {{placement is over 4 ranks, but mesh @world has 2}}
  %r, %n, %b = ep.dispatch %x, %i on @world {placement = #ep.placement<experts = 4, ranks = 4>} : tensor<?x8xf32>, tensor<?x2xi32> -> tensor<?x8xf32>, tensor<1xi32>
  return
}

// -----

// ep.combine (C1)
ep.mesh @world {expert = 2 : i64, attention = #ep.attention<data>}
func.func @f(%x: tensor<?x8xf32>, %w: tensor<?x2xf32>, %b: !ep.exchange) {
  // expected-error @+1 {{the result must have shape [?, 8]}}
  %y = ep.combine %x, %w, %b on @world : tensor<?x8xf32>, tensor<?x2xf32> -> tensor<?x4xf32>
  return
}

// -----

// ep.combine (C2)
ep.mesh @world {expert = 2 : i64, attention = #ep.attention<data>}
ep.mesh @other {expert = 2 : i64, attention = #ep.attention<data>}
func.func @f(%x: tensor<?x8xf32>, %i: tensor<?x2xi32>, %w: tensor<?x2xf32>) {
  %r, %n, %b = ep.dispatch %x, %i on @world {placement = #ep.placement<experts = 4, ranks = 2>} : tensor<?x8xf32>, tensor<?x2xi32> -> tensor<?x8xf32>, tensor<2xi32>
  // expected-error @+1 {{is on @other but its dispatch is on @world}}
  %y = ep.combine %r, %w, %b on @other : tensor<?x8xf32>, tensor<?x2xf32> -> tensor<?x8xf32>
  return
}

// -----

// ep.scatter_experts (C1): counts
ep.mesh @world {expert = 2 : i64, attention = #ep.attention<data>}
func.func @f(%x: tensor<?x8xf32>, %n: tensor<2xi32>) {
  // expected-error @+1 {{counts must have shape [4]}}
  %r, %m = ep.scatter_experts %x, %n on @world {placement = #ep.placement<experts = 4, ranks = 2>} : tensor<?x8xf32>, tensor<2xi32> -> tensor<?x8xf32>, tensor<2xi32>
  return
}

// -----

// ep.scatter_experts (C1): received counts
ep.mesh @world {expert = 2 : i64, attention = #ep.attention<data>}
func.func @f(%x: tensor<?x8xf32>, %n: tensor<4xi32>) {
  // expected-error @+1 {{received_counts must have shape [2]}}
  %r, %m = ep.scatter_experts %x, %n on @world {placement = #ep.placement<experts = 4, ranks = 2>} : tensor<?x8xf32>, tensor<4xi32> -> tensor<?x8xf32>, tensor<4xi32>
  return
}

// -----

// ep.scatter_experts (C2)
ep.mesh @world {expert = 2 : i64, attention = #ep.attention<data>}
func.func @f(%x: tensor<?x8xf32>, %n: tensor<4xi32>) {
  // expected-error @+1 {{received must have element type 'f32', got 'bf16'}}
  %r, %m = ep.scatter_experts %x, %n on @world {placement = #ep.placement<experts = 4, ranks = 2>} : tensor<?x8xf32>, tensor<4xi32> -> tensor<?x8xbf16>, tensor<2xi32>
  return
}

// -----

// ep.scatter_experts (C3)
ep.mesh @world {expert = 2 : i64, attention = #ep.attention<data>}
func.func @f(%x: tensor<?x8xf32>, %n: tensor<4xi32>) {
  // expected-error @+1 {{placement is over 1 ranks, but mesh @world has 2}}
  %r, %m = ep.scatter_experts %x, %n on @world {placement = #ep.placement<experts = 4, ranks = 1>} : tensor<?x8xf32>, tensor<4xi32> -> tensor<?x8xf32>, tensor<4xi32>
  return
}

// -----

// ep.gather_experts (C1)
ep.mesh @world {expert = 2 : i64, attention = #ep.attention<data>}
func.func @f(%x: tensor<?x8xf32>, %n: tensor<4xi32>) {
  %r, %m = ep.scatter_experts %x, %n on @world {placement = #ep.placement<experts = 4, ranks = 2>} : tensor<?x8xf32>, tensor<4xi32> -> tensor<?x8xf32>, tensor<2xi32>
  // expected-error @+1 {{the result must have shape [?, 8]}}
  %y = ep.gather_experts %r, %n, %m on @world : tensor<?x8xf32>, tensor<4xi32>, tensor<2xi32> -> tensor<?x4xf32>
  return
}

// -----

// ep.gather_experts (C2): not from an exchange
ep.mesh @world {expert = 2 : i64, attention = #ep.attention<data>}
func.func @f(%x: tensor<?x8xf32>, %n: tensor<4xi32>, %m: tensor<2xi32>) {
  // expected-error @+1 {{received_counts must come from the ep.scatter_experts that got these counts}}
  %y = ep.gather_experts %x, %n, %m on @world : tensor<?x8xf32>, tensor<4xi32>, tensor<2xi32> -> tensor<?x8xf32>
  return
}

// -----

// ep.gather_experts (C2): other counts
ep.mesh @world {expert = 2 : i64, attention = #ep.attention<data>}
func.func @f(%x: tensor<?x8xf32>, %n: tensor<4xi32>, %o: tensor<4xi32>) {
  %r, %m = ep.scatter_experts %x, %n on @world {placement = #ep.placement<experts = 4, ranks = 2>} : tensor<?x8xf32>, tensor<4xi32> -> tensor<?x8xf32>, tensor<2xi32>
  // expected-error @+1 {{received_counts must come from the ep.scatter_experts that got these counts}}
  %y = ep.gather_experts %r, %o, %m on @world : tensor<?x8xf32>, tensor<4xi32>, tensor<2xi32> -> tensor<?x8xf32>
  return
}

// -----

// ep.mesh (C1): the tensor axis
// expected-error @+1 {{must have 1 to 65535 ranks, got expert = 2, tensor = 0}}
ep.mesh @world {expert = 2 : i64, tensor = 0 : i64, attention = #ep.attention<data>}

// -----

// #ep.placement (C1): slots
// expected-error @+1 {{ranks (2) must divide slots (3)}}
func.func private @f() attributes {p = #ep.placement<experts = 3, ranks = 2, slots = [0, 1, 2]>}

// -----

// #ep.placement (C2)
// expected-error @+1 {{2 slots cannot hold 3 experts}}
func.func private @f() attributes {p = #ep.placement<experts = 3, ranks = 2, slots = [0, 1]>}

// -----

// #ep.placement (C2)
// expected-error @+1 {{there is no expert 3 of 3}}
func.func private @f() attributes {p = #ep.placement<experts = 3, ranks = 2, slots = [0, 1, 2, 3]>}

// -----

// #ep.placement (C2)
// expected-error @+1 {{expert 2 has no slot}}
func.func private @f() attributes {p = #ep.placement<experts = 3, ranks = 2, slots = [0, 1, 1, 0]>}

// -----

// ep.local_shard (C1)
func.func @f(%w: tensor<9x8xf32>) {
  // expected-error @+1 {{cannot cut dim 0 of 'tensor<9x8xf32>' into 2 parts}}
  %0 = ep.local_shard %w {axis = #ep.axis<tensor>, dim = 0 : i64, parts = 2 : i64} : tensor<9x8xf32> to tensor<4x8xf32>
  return
}

// -----

// ep.local_shard (C1): the result
func.func @f(%w: tensor<8x8xf32>) {
  // expected-error @+1 {{the result must have shape [8, 4]}}
  %0 = ep.local_shard %w {axis = #ep.axis<expert>, dim = 1 : i64, parts = 2 : i64} : tensor<8x8xf32> to tensor<4x8xf32>
  return
}

// -----

// ep.replica_table (C1)
func.func @f() {
  // expected-error @+1 {{the result must have shape [3, 3]}}
  %0 = ep.replica_table {placement = #ep.placement<experts = 3, ranks = 2, slots = [0, 1, 2, 0]>} : tensor<3x2xi32>
  return
}

// -----

// ep.assign_replicas (C1)
func.func @f(%ids: tensor<?x2xi32>, %t: tensor<3x1xi32>) {
  // expected-error @+1 {{table must have two or more columns, got 1}}
  %0 = ep.assign_replicas %ids, %t : tensor<?x2xi32>, tensor<3x1xi32>
  return
}

// -----

// ep.wait (C1)
func.func @f() {
  // expected-error @+1 {{must have a token}}
  "ep.wait"() : () -> ()
  return
}

// -----

// ep.gather_columns (C1)
ep.mesh @world {expert = 2 : i64, tensor = 4 : i64, attention = #ep.attention<data>}
func.func @f(%x: tensor<?x8xf32>) {
  // expected-error @+1 {{the result must have shape [?, 32]}}
  %0 = ep.gather_columns %x on @world {axis = #ep.axis<tensor>} : tensor<?x8xf32> to tensor<?x16xf32>
  return
}

// -----

// ep.shard_rows: nothing moves
ep.mesh @world {expert = 2 : i64, attention = #ep.attention<data>}
func.func @f(%x: tensor<?x8xf32>) {
  // expected-error @+1 {{moves nothing between ranks, so it has no token}}
  %0, %t = ep.shard_rows %x on @world : tensor<?x8xf32>, !ep.token
  return
}

// -----

// ep.shard_columns: nothing moves
ep.mesh @world {expert = 2 : i64, attention = #ep.attention<replicated>}
func.func @f(%x: tensor<?x8xf32>) {
  // expected-error @+1 {{moves nothing between ranks, so it has no token}}
  %0, %t = ep.shard_columns %x on @world : tensor<?x8xf32> to tensor<?x4xf32>, !ep.token
  return
}

// -----

// ep.shard_columns (C1)
ep.mesh @world {expert = 3 : i64, attention = #ep.attention<replicated>}
func.func @f(%x: tensor<?x8xf32>) {
  // expected-error @+1 {{x must be [rows, columns] of the result's element type, with columns that 3 divides}}
  %0 = ep.shard_columns %x on @world : tensor<?x8xf32> to tensor<?x2xf32>
  return
}

// -----

// ep.shard_columns (C1)
ep.mesh @world {expert = 2 : i64, attention = #ep.attention<replicated>}
func.func @f(%x: tensor<?x8xf32>) {
  // expected-error @+1 {{the result must have shape [?, 4]}}
  %0 = ep.shard_columns %x on @world : tensor<?x8xf32> to tensor<?x2xf32>
  return
}

// -----

// ep.dispatch_send (C1)
ep.mesh @world {expert = 2 : i64, attention = #ep.attention<data>}
func.func @f(%x: tensor<?x64xbf16>, %ids: tensor<?x4xi32>, %w: tensor<?x3xf32>) {
  // expected-error @+1 {{weights must have shape [?, 4], but its type is 'tensor<?x3xf32>'}}
  ep.dispatch_send %x, %ids, %w on @world {placement = #ep.placement<experts = 4, ranks = 2>, capacity = 8 : i64}
      : tensor<?x64xbf16>, tensor<?x4xi32>, tensor<?x3xf32>
  return
}

// -----

// ep.dispatch_send (C2)
ep.mesh @world {expert = 2 : i64, attention = #ep.attention<data>}
func.func @f(%x: tensor<?x64xf8E4M3FN>, %ids: tensor<?x4xi32>, %w: tensor<?x4xf32>) {
  // expected-error @+1 {{rows of f8E4M3FN have scales, and no others, got 'tensor<?x64xf8E4M3FN>'}}
  ep.dispatch_send %x, %ids, %w on @world {placement = #ep.placement<experts = 4, ranks = 2>, capacity = 8 : i64}
      : tensor<?x64xf8E4M3FN>, tensor<?x4xi32>, tensor<?x4xf32>
  return
}

// -----

// ep.dispatch_send (C3)
ep.mesh @world {expert = 2 : i64, attention = #ep.attention<data>}
func.func @f(%x: tensor<?x64xbf16>, %ids: tensor<?x4xi32>, %w: tensor<?x4xf32>) {
  // expected-error @+1 {{capacity must be positive, got 0}}
  ep.dispatch_send %x, %ids, %w on @world {placement = #ep.placement<experts = 4, ranks = 2>, capacity = 0 : i64}
      : tensor<?x64xbf16>, tensor<?x4xi32>, tensor<?x4xf32>
  return
}

// -----

// ep.dispatch_send (C4)
ep.mesh @world {expert = 4 : i64, attention = #ep.attention<data>}
func.func @f(%x: tensor<?x64xbf16>, %ids: tensor<?x4xi32>, %w: tensor<?x4xf32>) {
  // expected-error @+1 {{placement is over 2 ranks, but mesh @world has 4}}
  ep.dispatch_send %x, %ids, %w on @world {placement = #ep.placement<experts = 4, ranks = 2>, capacity = 8 : i64}
      : tensor<?x64xbf16>, tensor<?x4xi32>, tensor<?x4xf32>
  return
}

// -----

// ep.dispatch_receive (C1)
ep.mesh @world {expert = 2 : i64, attention = #ep.attention<data>}
func.func @f() {
  // expected-error @+1 {{counts must have shape [2], but its type is 'tensor<4xi32>'}}
  %r, %c, %n, %p, %w = ep.dispatch_receive on @world {placement = #ep.placement<experts = 4, ranks = 2>, capacity = 8 : i64}
      : tensor<?x64xbf16>, tensor<4xi32>, tensor<1xi32>, tensor<16x4xi32>, tensor<16x4xf32>
  return
}

// -----

// ep.dispatch_receive (C2)
ep.mesh @world {expert = 2 : i64, attention = #ep.attention<data>}
func.func @f() {
  // expected-error @+1 {{places must have shape [16, 4], but its type is 'tensor<8x4xi32>'}}
  %r, %c, %n, %p, %w = ep.dispatch_receive on @world {placement = #ep.placement<experts = 4, ranks = 2>, capacity = 8 : i64}
      : tensor<?x64xbf16>, tensor<2xi32>, tensor<1xi32>, tensor<8x4xi32>, tensor<8x4xf32>
  return
}

// -----

// ep.dispatch_receive (C3)
ep.mesh @world {expert = 2 : i64, attention = #ep.attention<data>}
func.func @f() {
  // expected-error @+1 {{rows of f8E4M3FN have scales, and no others, got 'tensor<?x64xbf16>'}}
  %r, %c, %n, %p, %w, %s = ep.dispatch_receive on @world {placement = #ep.placement<experts = 4, ranks = 2>, capacity = 8 : i64}
      : tensor<?x64xbf16>, tensor<2xi32>, tensor<1xi32>, tensor<16x4xi32>, tensor<16x4xf32> scale tensor<?x1xf32>
  return
}

// -----

// ep.combine_send (C1)
ep.mesh @world {expert = 2 : i64, attention = #ep.attention<data>}
func.func @f(%y: tensor<?x64xbf16>, %p: tensor<16x4xi32>, %w: tensor<16x3xf32>) {
  // expected-error @+1 {{weights must have shape [16, 4], but its type is 'tensor<16x3xf32>'}}
  ep.combine_send %y, %p, %w on @world {capacity = 8 : i64} : tensor<?x64xbf16>, tensor<16x4xi32>, tensor<16x3xf32>
  return
}

// -----

// ep.combine_send (C2)
ep.mesh @world {expert = 2 : i64, attention = #ep.attention<data>}
func.func @f(%y: tensor<?x64xbf16>, %p: tensor<8x4xi32>, %w: tensor<8x4xf32>) {
  // expected-error @+1 {{places must have shape [16, 4], but its type is 'tensor<8x4xi32>'}}
  ep.combine_send %y, %p, %w on @world {capacity = 8 : i64} : tensor<?x64xbf16>, tensor<8x4xi32>, tensor<8x4xf32>
  return
}

// -----

// ep.combine_receive (C1)
ep.mesh @world {expert = 2 : i64, attention = #ep.attention<data>}
func.func @f(%y: tensor<?x64xbf16>, %p: tensor<16x4xi32>, %ids: tensor<?x4xi32>, %w: tensor<?x3xf32>) {
  // expected-error @+1 {{weights must have shape [?, 4], but its type is 'tensor<?x3xf32>'}}
  %r = ep.combine_receive %y, %p, %ids, %w on @world {placement = #ep.placement<experts = 4, ranks = 2>, capacity = 8 : i64}
      : tensor<?x64xbf16>, tensor<16x4xi32>, tensor<?x4xi32>, tensor<?x3xf32> -> tensor<?x64xbf16>
  return
}

// -----

// ep.combine_receive (C2)
ep.mesh @world {expert = 2 : i64, attention = #ep.attention<data>}
func.func @f(%y: tensor<?x64xbf16>, %p: tensor<8x4xi32>, %ids: tensor<?x4xi32>, %w: tensor<?x4xf32>) {
  // expected-error @+1 {{places must have shape [16, 4], but its type is 'tensor<8x4xi32>'}}
  %r = ep.combine_receive %y, %p, %ids, %w on @world {placement = #ep.placement<experts = 4, ranks = 2>, capacity = 8 : i64}
      : tensor<?x64xbf16>, tensor<8x4xi32>, tensor<?x4xi32>, tensor<?x4xf32> -> tensor<?x64xbf16>
  return
}

// -----

// ep.combine_receive (C3)
ep.mesh @world {expert = 2 : i64, attention = #ep.attention<data>}
func.func @f(%y: tensor<?x64xbf16>, %p: tensor<16x4xi32>, %ids: tensor<?x4xi32>, %w: tensor<?x4xf32>) {
  // expected-error @+1 {{the result must have element type 'bf16'}}
  %r = ep.combine_receive %y, %p, %ids, %w on @world {placement = #ep.placement<experts = 4, ranks = 2>, capacity = 8 : i64}
      : tensor<?x64xbf16>, tensor<16x4xi32>, tensor<?x4xi32>, tensor<?x4xf32> -> tensor<?x64xf32>
  return
}
