// RUN: epigraph-opt %s --exec-verify-memory-plan | FileCheck %s
// RUN: epigraph-opt %s --exec-verify-memory-plan --remarks-filter=.* -o /dev/null 2>&1 | FileCheck %s --check-prefix=STATS

// A plan made by hand, looser than the planner's: a gap, a buffer larger than its value, and %c over %a, which is dead by
// then. The pass changes nothing.

// STATS: Category:exec-verify-memory-plan | buffers=3
// CHECK: attributes {exec.arena_bytes = 1024 : i64}
// CHECK: exec.buffer<offset = 128, bytes = 256>
// CHECK: exec.buffer<offset = 512, bytes = 512>
// CHECK: exec.buffer<offset = 64, bytes = 256>
module attributes {exec.limits = #exec.limits<batch_tokens = 8, sequences = 2, context = 64>} {
  exec.kernel @silu_0(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
    %0 = epi.silu %x : tensor<?x8xf32>
    exec.yield %0 : tensor<?x8xf32>
  }
  func.func @main(%x: tensor<?x8xf32>) -> tensor<?x8xf32> attributes {exec.arena_bytes = 1024 : i64} {
    %a = exec.launch @silu_0(%x) {exec.buffers = [#exec.buffer<offset = 128, bytes = 256>]} : (tensor<?x8xf32>) -> tensor<?x8xf32>
    %b = exec.launch @silu_0(%a) {exec.buffers = [#exec.buffer<offset = 512, bytes = 512>]} : (tensor<?x8xf32>) -> tensor<?x8xf32>
    %c = exec.launch @silu_0(%b) {exec.buffers = [#exec.buffer<offset = 64, bytes = 256>]} : (tensor<?x8xf32>) -> tensor<?x8xf32>
    return %c : tensor<?x8xf32>
  }
}
