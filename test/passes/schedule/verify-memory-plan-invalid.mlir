// RUN: epigraph-opt %s --exec-verify-memory-plan --split-input-file --verify-diagnostics

module @no_plan attributes {exec.limits = #exec.limits<batch_tokens = 8, sequences = 2, context = 64>} {
  // expected-error @+1 {{has no exec.arena_bytes: plan its memory first (--exec-plan-memory)}}
  func.func @main(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
    return %x : tensor<?x8xf32>
  }
}

// -----

module @no_buffer attributes {exec.limits = #exec.limits<batch_tokens = 8, sequences = 2, context = 64>} {
  exec.kernel @silu_0(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
    %0 = epi.silu %x : tensor<?x8xf32>
    exec.yield %0 : tensor<?x8xf32>
  }
  func.func @main(%x: tensor<?x8xf32>) -> tensor<?x8xf32> attributes {exec.arena_bytes = 256 : i64} {
    // expected-error @+1 {{has no buffer for result 0}}
    %y = exec.launch @silu_0(%x) : (tensor<?x8xf32>) -> tensor<?x8xf32>
    return %y : tensor<?x8xf32>
  }
}

// -----

module @too_small attributes {exec.limits = #exec.limits<batch_tokens = 8, sequences = 2, context = 64>} {
  exec.kernel @silu_0(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
    %0 = epi.silu %x : tensor<?x8xf32>
    exec.yield %0 : tensor<?x8xf32>
  }
  func.func @main(%x: tensor<?x8xf32>) -> tensor<?x8xf32> attributes {exec.arena_bytes = 256 : i64} {
    // expected-error @+1 {{result 0 needs 256 bytes, its buffer has 255}}
    %y = exec.launch @silu_0(%x) {exec.buffers = [#exec.buffer<offset = 0, bytes = 255>]} : (tensor<?x8xf32>) -> tensor<?x8xf32>
    return %y : tensor<?x8xf32>
  }
}

// -----

module @outside attributes {exec.limits = #exec.limits<batch_tokens = 8, sequences = 2, context = 64>} {
  exec.kernel @silu_0(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
    %0 = epi.silu %x : tensor<?x8xf32>
    exec.yield %0 : tensor<?x8xf32>
  }
  func.func @main(%x: tensor<?x8xf32>) -> tensor<?x8xf32> attributes {exec.arena_bytes = 256 : i64} {
    // expected-error @+1 {{buffer of result 0 ends past the arena of 256 bytes}}
    %y = exec.launch @silu_0(%x) {exec.buffers = [#exec.buffer<offset = 64, bytes = 256>]} : (tensor<?x8xf32>) -> tensor<?x8xf32>
    return %y : tensor<?x8xf32>
  }
}

// -----

// A launch's result may not overlap its operand: %a is read while %b is written.
module @overlap attributes {exec.limits = #exec.limits<batch_tokens = 8, sequences = 2, context = 64>} {
  exec.kernel @silu_0(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
    %0 = epi.silu %x : tensor<?x8xf32>
    exec.yield %0 : tensor<?x8xf32>
  }
  func.func @main(%x: tensor<?x8xf32>) -> tensor<?x8xf32> attributes {exec.arena_bytes = 512 : i64} {
    // expected-note @+1 {{the other value}}
    %a = exec.launch @silu_0(%x) {exec.buffers = [#exec.buffer<offset = 0, bytes = 256>]} : (tensor<?x8xf32>) -> tensor<?x8xf32>
    // expected-error @+1 {{overlaps buffer #exec.buffer<offset = 0, bytes = 256> of a value that is still needed}}
    %b = exec.launch @silu_0(%a) {exec.buffers = [#exec.buffer<offset = 192, bytes = 256>]} : (tensor<?x8xf32>) -> tensor<?x8xf32>
    return %b : tensor<?x8xf32>
  }
}

// -----

// A result of the function may not be overwritten before its end.
module @result attributes {exec.limits = #exec.limits<batch_tokens = 8, sequences = 2, context = 64>} {
  exec.kernel @silu_0(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
    %0 = epi.silu %x : tensor<?x8xf32>
    exec.yield %0 : tensor<?x8xf32>
  }
  func.func @main(%x: tensor<?x8xf32>) -> (tensor<?x8xf32>, tensor<?x8xf32>) attributes {exec.arena_bytes = 256 : i64} {
    // expected-note @+1 {{the other value}}
    %a = exec.launch @silu_0(%x) {exec.buffers = [#exec.buffer<offset = 0, bytes = 256>]} : (tensor<?x8xf32>) -> tensor<?x8xf32>
    // expected-error @+1 {{of a value that is still needed}}
    %b = exec.launch @silu_0(%x) {exec.buffers = [#exec.buffer<offset = 0, bytes = 256>]} : (tensor<?x8xf32>) -> tensor<?x8xf32>
    return %a, %b : tensor<?x8xf32>, tensor<?x8xf32>
  }
}
