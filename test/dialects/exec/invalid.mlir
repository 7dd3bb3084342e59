// A case for every numbered constraint, and for every name and attribute.
// RUN: epigraph-opt %s --split-input-file --verify-diagnostics

// #exec.limits: positive
// expected-error @+1 {{limits must be positive}}
module attributes {exec.limits = #exec.limits<batch_tokens = 0, sequences = 0, context = 64>} {}

// -----

// #exec.limits: every sequence decodes one token a step
// expected-error @+1 {{sequences (9) may not exceed batch_tokens (8)}}
module attributes {exec.limits = #exec.limits<batch_tokens = 8, sequences = 9, context = 64>} {}

// -----

// #exec.buffer: aligned
// expected-error @+1 {{offset must be a multiple of 64 and bytes not negative, got offset 32, bytes 8}}
module attributes {b = #exec.buffer<offset = 32, bytes = 8>} {}

// -----

// #exec.buffer: sizes
// expected-error @+1 {{offset must be a multiple of 64 and bytes not negative, got offset 64, bytes -1}}
module attributes {b = #exec.buffer<offset = 64, bytes = -1>} {}

// -----

// #exec.tiling
// expected-error @+1 {{rows may not be negative and columns must be positive, got rows 8, columns 0}}
module attributes {t = #exec.tiling<rows = 8, columns = 0>} {}

// -----

// #exec.panel
// expected-error @+1 {{columns and depth must be positive}}
module attributes {t = #exec.panel<columns = 32, depth = 0>} {}

// -----

// exec.weight (C1): type
// expected-error @+1 {{the region must have no arguments and yield one value of type}}
exec.weight @w : tensor<8xf32> {
  %0 = epi.weight "w" : tensor<4xf32>
  exec.yield %0 : tensor<4xf32>
}

// -----

// exec.weight (C1): two values
// expected-error @+1 {{the region must have no arguments and yield one value of type}}
exec.weight @w : tensor<8xf32> {
  %0 = epi.weight "w" : tensor<8xf32>
  exec.yield %0, %0 : tensor<8xf32>, tensor<8xf32>
}

// -----

// exec.weight (C1): arguments
// expected-error @+1 {{the region must have no arguments and yield one value of type}}
exec.weight @w : tensor<8xf32> {
^bb0(%0: tensor<8xf32>):
  exec.yield %0 : tensor<8xf32>
}

// -----

// exec.weight (C2)
// expected-error @+1 {{must have a static shape, got 'tensor<?xf32>'}}
exec.weight @w : tensor<?xf32> {
  %0 = epi.weight "w" : tensor<8xf32>
  %1 = epi.transpose %0 [0] : tensor<8xf32> to tensor<?xf32>
  exec.yield %1 : tensor<?xf32>
}

// -----

// exec.weight (C3): slices but is not rank_local
// expected-error @+1 {{differs from rank to rank (ep.local_experts, ep.local_shard): mark it rank_local}}
exec.weight @w : tensor<2x8xf32> {
  %0 = epi.weight_stack "w.{}" : tensor<4x8xf32>
  %1 = ep.local_experts %0 {placement = #ep.placement<experts = 4, ranks = 2>} : tensor<4x8xf32> to tensor<2x8xf32>
  exec.yield %1 : tensor<2x8xf32>
}

// -----

// exec.weight (C3): rank_local without a slice
// expected-error @+1 {{is marked rank_local but is the same on every rank}}
exec.weight rank_local @w : tensor<8xf32> {
  %0 = epi.weight "w" : tensor<8xf32>
  exec.yield %0 : tensor<8xf32>
}

// -----

// exec.load_weight names a weight.
func.func @f() {
  // expected-error @+1 {{there is no exec.weight @w}}
  %w = exec.load_weight @w : tensor<8xf32>
  return
}

// -----

// exec.load_weight (C1)
exec.weight @w : tensor<8xf32> {
  %0 = epi.weight "w" : tensor<8xf32>
  exec.yield %0 : tensor<8xf32>
}
func.func @f() {
  // expected-error @+1 {{has type 'tensor<4xf32>' but @w has 'tensor<8xf32>'}}
  %w = exec.load_weight @w : tensor<4xf32>
  return
}

// -----

// exec.pack (C1)
func.func @f(%x: tensor<4x8xf32>) {
  // expected-error @+1 {{must keep shape and element type}}
  %p = exec.pack %x : tensor<4x8xf32> to tensor<8x8xf32, #exec.panel<columns = 32, depth = 1>>
  return
}

// -----

// exec.pack (C2): no encoding
func.func @f(%x: tensor<4x8xf32>) {
  // expected-error @+1 {{packs weights of rank 2 or more into an #exec.panel layout, got 'tensor<4x8xf32>'}}
  %p = exec.pack %x : tensor<4x8xf32> to tensor<4x8xf32>
  return
}

// -----

// exec.pack (C2): rank
func.func @f(%x: tensor<8xf32>) {
  // expected-error @+1 {{packs weights of rank 2 or more into an #exec.panel layout}}
  %p = exec.pack %x : tensor<8xf32> to tensor<8xf32, #exec.panel<columns = 32, depth = 1>>
  return
}

// -----

// exec.kernel (C1)
// expected-error @+1 {{must have a body of one block}}
exec.kernel @k(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  exec.yield %x : tensor<?x8xf32>
^bb1:
  exec.yield %x : tensor<?x8xf32>
}

// -----

// exec.kernel (C2)
// expected-error @+1 {{must end with exec.yield of its result types}}
exec.kernel @k(%x: tensor<?x8xf32>) -> tensor<?x4xf32> {
  exec.yield %x : tensor<?x8xf32>
}

// -----

// exec.launch names a kernel.
func.func @f(%x: tensor<?x8xf32>) {
  // expected-error @+1 {{there is no exec.kernel @k}}
  exec.launch @k(%x) : (tensor<?x8xf32>) -> ()
  return
}

// -----

// exec.launch (C1): operands
exec.kernel @k(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  exec.yield %x : tensor<?x8xf32>
}
func.func @f(%x: tensor<?x4xf32>) {
  // expected-error @+1 {{must have the operand and result types of @k}}
  %y = exec.launch @k(%x) : (tensor<?x4xf32>) -> tensor<?x8xf32>
  return
}

// -----

// exec.launch (C1): results
exec.kernel @k(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  exec.yield %x : tensor<?x8xf32>
}
func.func @f(%x: tensor<?x8xf32>) {
  // expected-error @+1 {{must have the operand and result types of @k}}
  exec.launch @k(%x) : (tensor<?x8xf32>) -> ()
  return
}

// -----

// exec.yield ends kernels and weights only.
func.func @f(%x: tensor<?x8xf32>) {
  // expected-error @+1 {{expects parent op to be one of 'exec.kernel, exec.weight'}}
  exec.yield %x : tensor<?x8xf32>
}

// -----

// #exec.target (C1)
// expected-error @+1 {{all numbers of a target must be positive}}
module attributes {exec.target = #exec.target<name = "x", cores = 0, vector_bits = 256, registers = 16,
  cache_bytes = 1024, memory_gbps = 20.0, gflops = 100.0, launch_ns = 300, link_gbps = 10.0, link_latency_ns = 1000>} {
}
