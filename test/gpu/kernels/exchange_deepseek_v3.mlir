// Dispatch and combine through the memory of peers, in their four parts: DeepSeek-V3 on two ranks.
ep.mesh @ranks2 {expert = 2 : i64, attention = #ep.attention<data>}
exec.kernel @deepseek_v3_dispatch_send(%x: tensor<?x7168xbf16>, %ids: tensor<?x8xi32>, %w: tensor<?x8xf32>) {
  ep.dispatch_send %x, %ids, %w on @ranks2
      {placement = #ep.placement<experts = 256, ranks = 2>, capacity = 512 : i64}
      : tensor<?x7168xbf16>, tensor<?x8xi32>, tensor<?x8xf32>
  exec.yield
}
exec.kernel @deepseek_v3_dispatch_receive()
    -> (tensor<?x7168xbf16>, tensor<128xi32>, tensor<1xi32>, tensor<1024x8xi32>, tensor<1024x8xf32>) {
  %rows, %counts, %received, %places, %w = ep.dispatch_receive on @ranks2
      {placement = #ep.placement<experts = 256, ranks = 2>, capacity = 512 : i64}
      : tensor<?x7168xbf16>, tensor<128xi32>, tensor<1xi32>, tensor<1024x8xi32>, tensor<1024x8xf32>
  exec.yield %rows, %counts, %received, %places, %w : tensor<?x7168xbf16>, tensor<128xi32>, tensor<1xi32>, tensor<1024x8xi32>, tensor<1024x8xf32>
}
exec.kernel @deepseek_v3_combine_send(%y: tensor<?x7168xbf16>, %places: tensor<1024x8xi32>, %w: tensor<1024x8xf32>) {
  ep.combine_send %y, %places, %w on @ranks2 {capacity = 512 : i64} : tensor<?x7168xbf16>, tensor<1024x8xi32>, tensor<1024x8xf32>
  exec.yield
}
exec.kernel @deepseek_v3_combine_receive(%y: tensor<?x7168xbf16>, %places: tensor<1024x8xi32>, %ids: tensor<?x8xi32>, %w: tensor<?x8xf32>) -> tensor<?x7168xbf16> {
  %r = ep.combine_receive %y, %places, %ids, %w on @ranks2
      {placement = #ep.placement<experts = 256, ranks = 2>, capacity = 512 : i64}
      : tensor<?x7168xbf16>, tensor<1024x8xi32>, tensor<?x8xi32>, tensor<?x8xf32> -> tensor<?x7168xbf16>
  exec.yield %r : tensor<?x7168xbf16>
}
