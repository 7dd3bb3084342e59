// RUN: epigraph-opt %s --exec-plan-memory --split-input-file --verify-diagnostics

// expected-error @+1 {{there is no exec.limits on the module}}
module @no_limits {
  func.func @main(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
    return %x : tensor<?x8xf32>
  }
}

// -----

module @not_outlined attributes {exec.limits = #exec.limits<batch_tokens = 8, sequences = 2, context = 64>} {
  func.func @main(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
    // expected-error @+1 {{is not part of a schedule, so its rows are not known: outline kernels first (--exec-outline-kernels)}}
    %y = epi.silu %x : tensor<?x8xf32>
    return %y : tensor<?x8xf32>
  }
}

// -----

module @whole_rows attributes {exec.limits = #exec.limits<batch_tokens = 8, sequences = 2, context = 64>} {
  ep.mesh @world {expert = 2 : i64, attention = #ep.attention<replicated>}
  func.func @main(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
    // expected-error @+1 {{gathers rows that are not a rank's share of the tokens}}
    %y = ep.all_gather %x on @world : tensor<?x8xf32>
    return %y : tensor<?x8xf32>
  }
}
