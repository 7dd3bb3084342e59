// Four ranks, an odd number of choices, and rows that are no multiple of 16 bytes.
ep.mesh @ranks4 {expert = 4 : i64, attention = #ep.attention<data>}
exec.kernel @odd_dispatch_send(%x: tensor<?x45xbf16>, %ids: tensor<?x3xi32>, %w: tensor<?x3xf32>) {
  ep.dispatch_send %x, %ids, %w on @ranks4
      {placement = #ep.placement<experts = 12, ranks = 4>, capacity = 300 : i64}
      : tensor<?x45xbf16>, tensor<?x3xi32>, tensor<?x3xf32>
  exec.yield
}
exec.kernel @odd_dispatch_receive()
    -> (tensor<?x45xbf16>, tensor<3xi32>, tensor<1xi32>, tensor<1200x3xi32>, tensor<1200x3xf32>) {
  %rows, %counts, %received, %places, %w = ep.dispatch_receive on @ranks4
      {placement = #ep.placement<experts = 12, ranks = 4>, capacity = 300 : i64}
      : tensor<?x45xbf16>, tensor<3xi32>, tensor<1xi32>, tensor<1200x3xi32>, tensor<1200x3xf32>
  exec.yield %rows, %counts, %received, %places, %w : tensor<?x45xbf16>, tensor<3xi32>, tensor<1xi32>, tensor<1200x3xi32>, tensor<1200x3xf32>
}
exec.kernel @odd_combine_send(%y: tensor<?x45xbf16>, %places: tensor<1200x3xi32>, %w: tensor<1200x3xf32>) {
  ep.combine_send %y, %places, %w on @ranks4 {capacity = 300 : i64} : tensor<?x45xbf16>, tensor<1200x3xi32>, tensor<1200x3xf32>
  exec.yield
}
exec.kernel @odd_combine_receive(%y: tensor<?x45xbf16>, %places: tensor<1200x3xi32>, %ids: tensor<?x3xi32>, %w: tensor<?x3xf32>) -> tensor<?x45xbf16> {
  %r = ep.combine_receive %y, %places, %ids, %w on @ranks4
      {placement = #ep.placement<experts = 12, ranks = 4>, capacity = 300 : i64}
      : tensor<?x45xbf16>, tensor<1200x3xi32>, tensor<?x3xi32>, tensor<?x3xf32> -> tensor<?x45xbf16>
  exec.yield %r : tensor<?x45xbf16>
}
