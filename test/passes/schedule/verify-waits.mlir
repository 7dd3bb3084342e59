// RUN: epigraph-opt %s --exec-verify-waits | FileCheck %s
// RUN: epigraph-opt %s --exec-verify-waits --remarks-filter=exec-verify-waits -o /dev/null 2>&1 | FileCheck %s --check-prefix=STATS

// A right schedule passes unchanged: what a collective reads may be read, memory of others written, and a collective that
// does not only start ends those before it.

// STATS: Category:exec-verify-waits | started=3, waits=2
module {
  ep.mesh @world {expert = 2 : i64, attention = #ep.attention<replicated>}
  exec.kernel @silu_0(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
    %0 = epi.silu %x : tensor<?x8xf32>
    exec.yield %0 : tensor<?x8xf32>
  }
  // CHECK-LABEL: func.func @main
  func.func @main(%x: tensor<?x8xf32>) -> tensor<?x8xf32> attributes {exec.arena_bytes = 512 : i64} {
    // CHECK-NEXT: exec.launch
    %0 = exec.launch @silu_0(%x) {exec.buffers = [#exec.buffer<offset = 0, bytes = 128>]} : (tensor<?x8xf32>) -> tensor<?x8xf32>
    // CHECK-NEXT: ep.all_reduce
    %a, %ta = ep.all_reduce %0 on @world {exec.buffers = [#exec.buffer<offset = 128, bytes = 128>]} : tensor<?x8xf32>, !ep.token
    // CHECK-NEXT: exec.launch
    %1 = exec.launch @silu_0(%0) {exec.buffers = [#exec.buffer<offset = 256, bytes = 128>]} : (tensor<?x8xf32>) -> tensor<?x8xf32>
    // CHECK-NEXT: ep.wait
    ep.wait %ta
    // CHECK-NEXT: exec.launch
    %2 = exec.launch @silu_0(%a) {exec.buffers = [#exec.buffer<offset = 0, bytes = 128>]} : (tensor<?x8xf32>) -> tensor<?x8xf32>
    // CHECK-NEXT: ep.all_reduce
    %b, %tb = ep.all_reduce %2 on @world {exec.buffers = [#exec.buffer<offset = 128, bytes = 128>]} : tensor<?x8xf32>, !ep.token
    // CHECK-NEXT: ep.all_reduce
    %c = ep.all_reduce %1 on @world {exec.buffers = [#exec.buffer<offset = 384, bytes = 128>]} : tensor<?x8xf32>
    // CHECK-NEXT: exec.launch
    %3 = exec.launch @silu_0(%b) {exec.buffers = [#exec.buffer<offset = 0, bytes = 128>]} : (tensor<?x8xf32>) -> tensor<?x8xf32>
    // CHECK-NEXT: ep.all_reduce
    %d, %td = ep.all_reduce %3 on @world {exec.buffers = [#exec.buffer<offset = 256, bytes = 128>]} : tensor<?x8xf32>, !ep.token
    // CHECK-NEXT: ep.wait
    ep.wait %td
    // CHECK-NEXT: return
    return %d : tensor<?x8xf32>
  }
}
