// RUN: epigraph-opt %s --split-input-file --verify-diagnostics --epigraph-verify-phase=phase=partition

func.func @experts(%x: tensor<?x8xbf16>, %ids: tensor<?x2xi32>, %w: tensor<?x2xf32>, %g: tensor<4x6x8xbf16>, %d: tensor<4x8x6xbf16>) -> tensor<?x8xbf16> {
  // expected-error @+1 {{'epi.experts' op is not shared among ranks: --ep-partition-experts should have turned it into projections between a dispatch and a combine}}
  %y = epi.experts %x, %ids, %w, %g, %g, %d
      : tensor<?x8xbf16>, tensor<?x2xi32>, tensor<?x2xf32>, tensor<4x6x8xbf16>, tensor<4x6x8xbf16>, tensor<4x8x6xbf16>
  return %y : tensor<?x8xbf16>
}

// -----

ep.mesh @world {attention = #ep.attention<replicated>, expert = 2 : i64}
// expected-error @+1 {{'ep.mesh' op is a second mesh beside @world, but all ranks of a model are one mesh}}
ep.mesh @other {attention = #ep.attention<replicated>, expert = 2 : i64}
