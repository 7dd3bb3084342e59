// RUN: epigraph-opt %s --ep-overlap --verify-diagnostics

module attributes {exec.limits = #exec.limits<batch_tokens = 16, sequences = 4, context = 64>} {
  ep.mesh @world {expert = 2 : i64, attention = #ep.attention<replicated>}
  func.func @main(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
    %a, %t = ep.all_reduce %x on @world : tensor<?x8xf32>, !ep.token
    // expected-error @below {{is in the way of --ep-overlap, which runs before waits are inserted (--exec-insert-waits)}}
    ep.wait %t
    return %a : tensor<?x8xf32>
  }
}
