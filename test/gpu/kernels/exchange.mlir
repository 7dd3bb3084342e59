// Dispatch and combine through the memory of peers, in their four parts: models' shapes, and odd ones.
ep.mesh @ranks2 {expert = 2 : i64, attention = #ep.attention<data>}
ep.mesh @ranks4 {expert = 4 : i64, attention = #ep.attention<data>}
// DeepSeek-V3 on two ranks.
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
// The same with quantized rows on their way out.
exec.kernel @deepseek_v3_quantized_dispatch_send(%x: tensor<?x7168xf8E4M3FN>, %ids: tensor<?x8xi32>, %w: tensor<?x8xf32>, %s: tensor<?x56xf32>) {
  ep.dispatch_send %x, %ids, %w scale %s on @ranks2
      {placement = #ep.placement<experts = 256, ranks = 2>, capacity = 512 : i64}
      : tensor<?x7168xf8E4M3FN>, tensor<?x8xi32>, tensor<?x8xf32> scale tensor<?x56xf32>
  exec.yield
}
exec.kernel @deepseek_v3_quantized_dispatch_receive()
    -> (tensor<?x7168xf8E4M3FN>, tensor<128xi32>, tensor<1xi32>, tensor<1024x8xi32>, tensor<1024x8xf32>, tensor<?x56xf32>) {
  %rows, %counts, %received, %places, %w, %s = ep.dispatch_receive on @ranks2
      {placement = #ep.placement<experts = 256, ranks = 2>, capacity = 512 : i64}
      : tensor<?x7168xf8E4M3FN>, tensor<128xi32>, tensor<1xi32>, tensor<1024x8xi32>, tensor<1024x8xf32> scale tensor<?x56xf32>
  exec.yield %rows, %counts, %received, %places, %w, %s : tensor<?x7168xf8E4M3FN>, tensor<128xi32>, tensor<1xi32>, tensor<1024x8xi32>, tensor<1024x8xf32>, tensor<?x56xf32>
}
exec.kernel @deepseek_v3_quantized_combine_send(%y: tensor<?x7168xbf16>, %places: tensor<1024x8xi32>, %w: tensor<1024x8xf32>) {
  ep.combine_send %y, %places, %w on @ranks2 {capacity = 512 : i64} : tensor<?x7168xbf16>, tensor<1024x8xi32>, tensor<1024x8xf32>
  exec.yield
}
exec.kernel @deepseek_v3_quantized_combine_receive(%y: tensor<?x7168xbf16>, %places: tensor<1024x8xi32>, %ids: tensor<?x8xi32>, %w: tensor<?x8xf32>) -> tensor<?x7168xbf16> {
  %r = ep.combine_receive %y, %places, %ids, %w on @ranks2
      {placement = #ep.placement<experts = 256, ranks = 2>, capacity = 512 : i64}
      : tensor<?x7168xbf16>, tensor<1024x8xi32>, tensor<?x8xi32>, tensor<?x8xf32> -> tensor<?x7168xbf16>
  exec.yield %r : tensor<?x7168xbf16>
}
// The tests' model.
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
// Four ranks, an odd number of choices, and rows that are no multiple of 16 bytes.
exec.kernel @odd_dispatch_send(%x: tensor<?x45xbf16>, %ids: tensor<?x3xi32>, %w: tensor<?x3xf32>) {
  ep.dispatch_send %x, %ids, %w on @ranks4
      {placement = #ep.placement<experts = 12, ranks = 4>, capacity = 40 : i64}
      : tensor<?x45xbf16>, tensor<?x3xi32>, tensor<?x3xf32>
  exec.yield
}
exec.kernel @odd_dispatch_receive()
    -> (tensor<?x45xbf16>, tensor<3xi32>, tensor<1xi32>, tensor<160x3xi32>, tensor<160x3xf32>) {
  %rows, %counts, %received, %places, %w = ep.dispatch_receive on @ranks4
      {placement = #ep.placement<experts = 12, ranks = 4>, capacity = 40 : i64}
      : tensor<?x45xbf16>, tensor<3xi32>, tensor<1xi32>, tensor<160x3xi32>, tensor<160x3xf32>
  exec.yield %rows, %counts, %received, %places, %w : tensor<?x45xbf16>, tensor<3xi32>, tensor<1xi32>, tensor<160x3xi32>, tensor<160x3xf32>
}
exec.kernel @odd_combine_send(%y: tensor<?x45xbf16>, %places: tensor<160x3xi32>, %w: tensor<160x3xf32>) {
  ep.combine_send %y, %places, %w on @ranks4 {capacity = 40 : i64} : tensor<?x45xbf16>, tensor<160x3xi32>, tensor<160x3xf32>
  exec.yield
}
exec.kernel @odd_combine_receive(%y: tensor<?x45xbf16>, %places: tensor<160x3xi32>, %ids: tensor<?x3xi32>, %w: tensor<?x3xf32>) -> tensor<?x45xbf16> {
  %r = ep.combine_receive %y, %places, %ids, %w on @ranks4
      {placement = #ep.placement<experts = 12, ranks = 4>, capacity = 40 : i64}
      : tensor<?x45xbf16>, tensor<160x3xi32>, tensor<?x3xi32>, tensor<?x3xf32> -> tensor<?x45xbf16>
  exec.yield %r : tensor<?x45xbf16>
}
