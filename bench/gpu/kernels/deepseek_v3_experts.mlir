// DeepSeek-V3's experts as one of 8 GPUs has them, in FP8: 32 of 256.
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
exec.kernel @down_weighted(%x: tensor<?x2048xf8E4M3FN>, %xs: tensor<?x16xf32>, %counts: tensor<32xi32>, %w: tensor<32x7168x2048xf8E4M3FN>, %ws: tensor<32x56x16xf32>, %share: tensor<?x1xbf16>)
    -> tensor<?x7168xbf16> {
  %y = epi.grouped_linear %x scale %xs, %counts, %w scale %ws
      : (tensor<?x2048xf8E4M3FN> scale tensor<?x16xf32>, tensor<32xi32>, tensor<32x7168x2048xf8E4M3FN> scale tensor<32x56x16xf32>) -> tensor<?x7168xbf16>
  %z = epi.mul %y, %share : tensor<?x7168xbf16>, tensor<?x1xbf16>
  exec.yield %z : tensor<?x7168xbf16>
}

// As they are launched: what comes before a kernel decides what it may read before that has ended.
func.func @experts(%x: tensor<?x7168xf8E4M3FN>, %xs: tensor<?x56xf32>, %counts: tensor<32xi32>, %w: tensor<32x4096x7168xf8E4M3FN>, %ws: tensor<32x32x56xf32>,
                   %v: tensor<32x7168x2048xf8E4M3FN>, %vs: tensor<32x56x16xf32>, %share: tensor<?x1xbf16>) -> tensor<?x7168xbf16> {
  %q, %s = exec.launch @gate_up(%x, %xs, %counts, %w, %ws)
      : (tensor<?x7168xf8E4M3FN>, tensor<?x56xf32>, tensor<32xi32>, tensor<32x4096x7168xf8E4M3FN>, tensor<32x32x56xf32>)
      -> (tensor<?x2048xf8E4M3FN>, tensor<?x16xf32>)
  %y = exec.launch @down_weighted(%q, %s, %counts, %v, %vs, %share)
      : (tensor<?x2048xf8E4M3FN>, tensor<?x16xf32>, tensor<32xi32>, tensor<32x7168x2048xf8E4M3FN>, tensor<32x56x16xf32>, tensor<?x1xbf16>)
      -> tensor<?x7168xbf16>
  return %y : tensor<?x7168xbf16>
}
