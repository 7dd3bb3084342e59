// RUN: epigraph-opt %s --split-input-file --verify-diagnostics --epigraph-verify-phase=phase=plan-memory

// expected-error @+1 {{'func.func' op has no exec.arena_bytes: --exec-plan-memory should have planned its memory}}
func.func @main() {
  return
}

// -----

module attributes {exec.limits = #exec.limits<batch_tokens = 8, sequences = 8, context = 8>} {
  exec.kernel @silu(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
    %0 = epi.silu %x : tensor<?x8xf32>
    exec.yield %0 : tensor<?x8xf32>
  }
  func.func @main(%x: tensor<?x8xf32>) -> tensor<?x8xf32> attributes {exec.arena_bytes = 64 : i64} {
    // expected-error @+1 {{'exec.launch' op buffer of result 0 ends past the arena of 64 bytes}}
    %y = exec.launch @silu(%x) {exec.buffers = [#exec.buffer<offset = 0, bytes = 256>]} : (tensor<?x8xf32>) -> tensor<?x8xf32>
    return %y : tensor<?x8xf32>
  }
}
