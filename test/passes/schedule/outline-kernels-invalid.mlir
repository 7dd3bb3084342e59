// RUN: epigraph-opt %s --exec-outline-kernels --split-input-file --verify-diagnostics

func.func @weight(%x: tensor<?x8xbf16>) -> tensor<?x8xbf16> {
  // expected-error @+1 {{cannot become a kernel: weights must be hoisted first (--exec-hoist-weights)}}
  %w = epi.weight "w" : tensor<8x8xbf16>
  %y = epi.linear %x, %w : (tensor<?x8xbf16>, tensor<8x8xbf16>) -> tensor<?x8xbf16>
  return %y : tensor<?x8xbf16>
}

// -----

func.func @experts(%x: tensor<?x8xf32>, %ids: tensor<?x2xi32>, %s: tensor<?x2xf32>, %w: tensor<4x4x8xf32>,
                   %d: tensor<4x8x4xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{cannot become a kernel: experts must be partitioned first (--ep-partition-experts)}}
  %y = epi.experts %x, %ids, %s, %w, %w, %d
      : tensor<?x8xf32>, tensor<?x2xi32>, tensor<?x2xf32>, tensor<4x4x8xf32>, tensor<4x4x8xf32>, tensor<4x8x4xf32>
  return %y : tensor<?x8xf32>
}

// -----

ep.mesh @world {expert = 2 : i64, attention = #ep.attention<replicated>}
func.func @dispatch(%x: tensor<?x8xf32>, %ids: tensor<?x2xi32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{cannot become a kernel: dispatches must be decomposed first (--ep-decompose-dispatch)}}
  %rows, %counts, %back = ep.dispatch %x, %ids on @world {placement = #ep.placement<experts = 4, ranks = 2>}
      : tensor<?x8xf32>, tensor<?x2xi32> -> tensor<?x8xf32>, tensor<2xi32>
  return %rows : tensor<?x8xf32>
}

// -----

func.func @transpose(%x: tensor<2x3xf32>) -> tensor<3x2xf32> {
  // expected-error @+1 {{cannot become a kernel: there is no kernel for it}}
  %y = epi.transpose %x [1, 0] : tensor<2x3xf32> to tensor<3x2xf32>
  return %y : tensor<3x2xf32>
}
