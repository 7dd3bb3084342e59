// RUN: epigraph-opt %s --ep-lower-dispatch --split-input-file --verify-diagnostics

ep.mesh @world {expert = 2 : i64, attention = #ep.attention<data>}
// expected-error @+1 {{there is no exec.limits on the module: the memory of peers has room for the largest batch only}}
func.func @no_limits(%x: tensor<?x64xbf16>, %ids: tensor<?x4xi32>, %w: tensor<?x4xf32>) -> tensor<?x64xbf16> {
  %rows, %counts, %back = ep.dispatch %x, %ids on @world {placement = #ep.placement<experts = 8, ranks = 2>}
      : tensor<?x64xbf16>, tensor<?x4xi32> -> tensor<?x64xbf16>, tensor<4xi32>
  %r = ep.combine %rows, %w, %back on @world : tensor<?x64xbf16>, tensor<?x4xf32> -> tensor<?x64xbf16>
  return %r : tensor<?x64xbf16>
}

// -----

module attributes {exec.limits = #exec.limits<batch_tokens = 48, sequences = 4, context = 256>} {
  ep.mesh @world {expert = 2 : i64, attention = #ep.attention<data>}
  func.func @never_back(%x: tensor<?x64xbf16>, %ids: tensor<?x4xi32>) -> tensor<?x64xbf16> {
    // expected-error @+1 {{must have one ep.combine, in the same block: over the memory of peers, rows come back once}}
    %rows, %counts, %back = ep.dispatch %x, %ids on @world {placement = #ep.placement<experts = 8, ranks = 2>}
        : tensor<?x64xbf16>, tensor<?x4xi32> -> tensor<?x64xbf16>, tensor<4xi32>
    return %rows : tensor<?x64xbf16>
  }
}

// -----

module attributes {exec.limits = #exec.limits<batch_tokens = 48, sequences = 4, context = 256>} {
  ep.mesh @world {expert = 2 : i64, attention = #ep.attention<data>}
  func.func @late_weights(%x: tensor<?x64xbf16>, %ids: tensor<?x4xi32>, %l: tensor<?x4xf32>) -> tensor<?x64xbf16> {
    // expected-error @+1 {{stands before the weights of its ep.combine, which go with the rows; compute them before it}}
    %rows, %counts, %back = ep.dispatch %x, %ids on @world {placement = #ep.placement<experts = 8, ranks = 2>}
        : tensor<?x64xbf16>, tensor<?x4xi32> -> tensor<?x64xbf16>, tensor<4xi32>
    %w = epi.softmax %l : tensor<?x4xf32>
    %r = ep.combine %rows, %w, %back on @world : tensor<?x64xbf16>, tensor<?x4xf32> -> tensor<?x64xbf16>
    return %r : tensor<?x64xbf16>
  }
}
