// RUN: epigraph-opt %s --ep-decompose-dispatch --split-input-file --verify-diagnostics

ep.mesh @world {expert = 2 : i64, attention = #ep.attention<data>}
func.func @foreign(%y: tensor<?x8xf32>, %s: tensor<?x2xf32>, %back: !ep.exchange) -> tensor<?x8xf32> {
  // expected-error @+1 {{takes an exchange that is no result of an ep.dispatch in its function}}
  %z = ep.combine %y, %s, %back on @world : tensor<?x8xf32>, tensor<?x2xf32> -> tensor<?x8xf32>
  return %z : tensor<?x8xf32>
}

// -----

ep.mesh @world {expert = 2 : i64, attention = #ep.attention<data>}
func.func @escapes(%x: tensor<?x8xf32>, %ids: tensor<?x2xi32>) -> !ep.exchange {
  %rows, %counts, %back = ep.dispatch %x, %ids on @world {placement = #ep.placement<experts = 4, ranks = 2>}
      : tensor<?x8xf32>, tensor<?x2xi32> -> tensor<?x8xf32>, tensor<2xi32>
  // expected-error @+1 {{uses the exchange of an ep.dispatch; only ep.combine can}}
  return %back : !ep.exchange
}
