// The tests' model on two ranks.
ep.mesh @ranks2 {expert = 2 : i64, attention = #ep.attention<data>}
exec.kernel @tiny_dispatch_send(%x: tensor<?x192xbf16>, %ids: tensor<?x4xi32>, %w: tensor<?x4xf32>) {
  ep.dispatch_send %x, %ids, %w on @ranks2
      {placement = #ep.placement<experts = 32, ranks = 2>, capacity = 64 : i64}
      : tensor<?x192xbf16>, tensor<?x4xi32>, tensor<?x4xf32>
  exec.yield
}
exec.kernel @tiny_dispatch_receive()
    -> (tensor<?x192xbf16>, tensor<16xi32>, tensor<1xi32>, tensor<128x4xi32>, tensor<128x4xf32>) {
  %rows, %counts, %received, %places, %w = ep.dispatch_receive on @ranks2
      {placement = #ep.placement<experts = 32, ranks = 2>, capacity = 64 : i64}
      : tensor<?x192xbf16>, tensor<16xi32>, tensor<1xi32>, tensor<128x4xi32>, tensor<128x4xf32>
  exec.yield %rows, %counts, %received, %places, %w : tensor<?x192xbf16>, tensor<16xi32>, tensor<1xi32>, tensor<128x4xi32>, tensor<128x4xf32>
}
exec.kernel @tiny_combine_send(%y: tensor<?x192xbf16>, %places: tensor<128x4xi32>, %w: tensor<128x4xf32>) {
  ep.combine_send %y, %places, %w on @ranks2 {capacity = 64 : i64} : tensor<?x192xbf16>, tensor<128x4xi32>, tensor<128x4xf32>
  exec.yield
}
exec.kernel @tiny_combine_receive(%y: tensor<?x192xbf16>, %places: tensor<128x4xi32>, %ids: tensor<?x4xi32>, %w: tensor<?x4xf32>) -> tensor<?x192xbf16> {
  %r = ep.combine_receive %y, %places, %ids, %w on @ranks2
      {placement = #ep.placement<experts = 32, ranks = 2>, capacity = 64 : i64}
      : tensor<?x192xbf16>, tensor<128x4xi32>, tensor<?x4xi32>, tensor<?x4xf32> -> tensor<?x192xbf16>
  exec.yield %r : tensor<?x192xbf16>
}
