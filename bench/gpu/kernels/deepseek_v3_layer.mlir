// 32 of DeepSeek-V3's experts, in FP8, on each of two ranks, which send each other up to 4,096 tokens.
exec.kernel @gate_up(%x: tensor<?x7168xf8E4M3FN>, %xs: tensor<?x56xf32>, %counts: tensor<32xi32>, %w: tensor<32x4096x7168xf8E4M3FN>, %ws: tensor<32x32x56xf32>)
    -> (tensor<?x2048xf8E4M3FN>, tensor<?x16xf32>) {
  %y = epi.grouped_linear %x scale %xs, %counts, %w scale %ws
      : (tensor<?x7168xf8E4M3FN> scale tensor<?x56xf32>, tensor<32xi32>, tensor<32x4096x7168xf8E4M3FN> scale tensor<32x32x56xf32>) -> tensor<?x4096xbf16>
  %gate, %up = epi.split %y dim 1 : tensor<?x4096xbf16> to tensor<?x2048xbf16>, tensor<?x2048xbf16>
  %a = epi.silu %gate : tensor<?x2048xbf16>
  %h = epi.mul %a, %up : tensor<?x2048xbf16>
  %q, %s = epi.quantize %h {block = array<i64: 1, 128>} : tensor<?x2048xbf16> -> tensor<?x2048xf8E4M3FN>, tensor<?x16xf32>
  exec.yield %q, %s : tensor<?x2048xf8E4M3FN>, tensor<?x16xf32>
}
exec.kernel @down(%x: tensor<?x2048xf8E4M3FN>, %xs: tensor<?x16xf32>, %counts: tensor<32xi32>, %w: tensor<32x7168x2048xf8E4M3FN>, %ws: tensor<32x56x16xf32>)
    -> tensor<?x7168xbf16> {
  %y = epi.grouped_linear %x scale %xs, %counts, %w scale %ws
      : (tensor<?x2048xf8E4M3FN> scale tensor<?x16xf32>, tensor<32xi32>, tensor<32x7168x2048xf8E4M3FN> scale tensor<32x56x16xf32>) -> tensor<?x7168xbf16>
  exec.yield %y : tensor<?x7168xbf16>
}
ep.mesh @ranks {expert = 2 : i64, attention = #ep.attention<data>}
exec.kernel @layer_dispatch_send(%x: tensor<?x7168xf8E4M3FN>, %ids: tensor<?x8xi32>, %w: tensor<?x8xf32>, %s: tensor<?x56xf32>) {
  ep.dispatch_send %x, %ids, %w scale %s on @ranks
      {placement = #ep.placement<experts = 64, ranks = 2>, capacity = 4096 : i64}
      : tensor<?x7168xf8E4M3FN>, tensor<?x8xi32>, tensor<?x8xf32> scale tensor<?x56xf32>
  exec.yield
}
exec.kernel @layer_dispatch_receive()
    -> (tensor<?x7168xf8E4M3FN>, tensor<32xi32>, tensor<1xi32>, tensor<8192x8xi32>, tensor<8192x8xf32>, tensor<?x56xf32>) {
  %rows, %counts, %received, %places, %w, %s = ep.dispatch_receive on @ranks
      {placement = #ep.placement<experts = 64, ranks = 2>, capacity = 4096 : i64}
      : tensor<?x7168xf8E4M3FN>, tensor<32xi32>, tensor<1xi32>, tensor<8192x8xi32>, tensor<8192x8xf32> scale tensor<?x56xf32>
  exec.yield %rows, %counts, %received, %places, %w, %s : tensor<?x7168xf8E4M3FN>, tensor<32xi32>, tensor<1xi32>, tensor<8192x8xi32>, tensor<8192x8xf32>, tensor<?x56xf32>
}
exec.kernel @layer_combine_send(%y: tensor<?x7168xbf16>, %places: tensor<8192x8xi32>, %w: tensor<8192x8xf32>) {
  ep.combine_send %y, %places, %w on @ranks {capacity = 4096 : i64} : tensor<?x7168xbf16>, tensor<8192x8xi32>, tensor<8192x8xf32>
  exec.yield
}
exec.kernel @layer_combine_receive(%y: tensor<?x7168xbf16>, %places: tensor<8192x8xi32>, %ids: tensor<?x8xi32>, %w: tensor<?x8xf32>) -> tensor<?x7168xbf16> {
  %r = ep.combine_receive %y, %places, %ids, %w on @ranks
      {placement = #ep.placement<experts = 64, ranks = 2>, capacity = 4096 : i64}
      : tensor<?x7168xbf16>, tensor<8192x8xi32>, tensor<?x8xi32>, tensor<?x8xf32> -> tensor<?x7168xbf16>
  exec.yield %r : tensor<?x7168xbf16>
}

// As they are launched: what comes before a kernel decides what it may read before that has ended.
func.func @experts(%x: tensor<?x7168xf8E4M3FN>, %xs: tensor<?x56xf32>, %counts: tensor<32xi32>, %w: tensor<32x4096x7168xf8E4M3FN>, %ws: tensor<32x32x56xf32>,
                   %v: tensor<32x7168x2048xf8E4M3FN>, %vs: tensor<32x56x16xf32>) -> tensor<?x7168xbf16> {
  %q, %s = exec.launch @gate_up(%x, %xs, %counts, %w, %ws)
      : (tensor<?x7168xf8E4M3FN>, tensor<?x56xf32>, tensor<32xi32>, tensor<32x4096x7168xf8E4M3FN>, tensor<32x32x56xf32>)
      -> (tensor<?x2048xf8E4M3FN>, tensor<?x16xf32>)
  %y = exec.launch @down(%q, %s, %counts, %v, %vs)
      : (tensor<?x2048xf8E4M3FN>, tensor<?x16xf32>, tensor<32xi32>, tensor<32x7168x2048xf8E4M3FN>, tensor<32x56x16xf32>) -> tensor<?x7168xbf16>
  return %y : tensor<?x7168xbf16>
}
