// RUN: epigraph-opt %s --ep-partition-experts=ranks=3 --split-input-file --verify-diagnostics
// RUN: not epigraph-opt %s --ep-partition-experts=ranks=0 --split-input-file 2>&1 | FileCheck %s --check-prefix=ZERO
// RUN: not epigraph-opt %s --ep-partition-experts=attention=both 2>&1 | FileCheck %s --check-prefix=MODE

// ZERO: there must be at least one rank, got ranks = 0
// MODE: Cannot find option named 'both'

module {
  func.func @main(%x: tensor<?x8xf32>, %ids: tensor<?x2xi32>, %s: tensor<?x2xf32>, %gate: tensor<8x4x8xf32>,
                  %down: tensor<8x8x4xf32>) -> tensor<?x8xf32> {
    // expected-error @+1 {{has 8 experts, which 3 ranks cannot share equally; choose a number of ranks that divides them: 1, 2, 4, 8}}
    %y = epi.experts %x, %ids, %s, %gate, %gate, %down
        : tensor<?x8xf32>, tensor<?x2xi32>, tensor<?x2xf32>, tensor<8x4x8xf32>, tensor<8x4x8xf32>, tensor<8x8x4xf32>
    return %y : tensor<?x8xf32>
  }
}

// -----

module {
  // expected-error @+1 {{is here already: the experts are partitioned once}}
  ep.mesh @world {expert = 3 : i64, attention = #ep.attention<data>}
}
