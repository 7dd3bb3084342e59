// What stands before and after experts' projections as one kernel, and what it is in kernels of its own.

// What is quantized on the way: of models' shapes, a last block of columns that is partial, rows of which no vector access takes
// more than an element.
exec.kernel @deepseek_v3_permute_quantize(%x: tensor<?x7168xbf16>, %ids: tensor<?x8xi32>)
    -> (tensor<?x7168xf8E4M3FN>, tensor<?x56xf32>, tensor<?x8xi32>, tensor<256xi32>) {
  %rows, %slots, %counts = epi.permute %x, %ids
      : tensor<?x7168xbf16>, tensor<?x8xi32> -> tensor<?x7168xbf16>, tensor<?x8xi32>, tensor<256xi32>
  %q, %s = epi.quantize %rows {block = array<i64: 1, 128>} : tensor<?x7168xbf16> -> tensor<?x7168xf8E4M3FN>, tensor<?x56xf32>
  exec.yield %q, %s, %slots, %counts : tensor<?x7168xf8E4M3FN>, tensor<?x56xf32>, tensor<?x8xi32>, tensor<256xi32>
}
exec.kernel @tiny_permute_quantize(%x: tensor<?x192xbf16>, %ids: tensor<?x4xi32>)
    -> (tensor<?x192xf8E4M3FN>, tensor<?x2xf32>, tensor<?x4xi32>, tensor<32xi32>) {
  %rows, %slots, %counts = epi.permute %x, %ids
      : tensor<?x192xbf16>, tensor<?x4xi32> -> tensor<?x192xbf16>, tensor<?x4xi32>, tensor<32xi32>
  %q, %s = epi.quantize %rows {block = array<i64: 1, 128>} : tensor<?x192xbf16> -> tensor<?x192xf8E4M3FN>, tensor<?x2xf32>
  exec.yield %q, %s, %slots, %counts : tensor<?x192xf8E4M3FN>, tensor<?x2xf32>, tensor<?x4xi32>, tensor<32xi32>
}
exec.kernel @odd_permute_quantize(%x: tensor<?x141xf32>, %ids: tensor<?x3xi32>)
    -> (tensor<?x141xf8E4M3FN>, tensor<?x2xf32>, tensor<?x3xi32>, tensor<600xi32>) {
  %rows, %slots, %counts = epi.permute %x, %ids
      : tensor<?x141xf32>, tensor<?x3xi32> -> tensor<?x141xf32>, tensor<?x3xi32>, tensor<600xi32>
  %q, %s = epi.quantize %rows {block = array<i64: 1, 128>} : tensor<?x141xf32> -> tensor<?x141xf8E4M3FN>, tensor<?x2xf32>
  exec.yield %q, %s, %slots, %counts : tensor<?x141xf8E4M3FN>, tensor<?x2xf32>, tensor<?x3xi32>, tensor<600xi32>
}
// The same, as it is done by a kernel of its own.
exec.kernel @deepseek_v3_quantize(%x: tensor<?x7168xbf16>) -> (tensor<?x7168xf8E4M3FN>, tensor<?x56xf32>) {
  %q, %s = epi.quantize %x {block = array<i64: 1, 128>} : tensor<?x7168xbf16> -> tensor<?x7168xf8E4M3FN>, tensor<?x56xf32>
  exec.yield %q, %s : tensor<?x7168xf8E4M3FN>, tensor<?x56xf32>
}
exec.kernel @tiny_quantize(%x: tensor<?x192xbf16>) -> (tensor<?x192xf8E4M3FN>, tensor<?x2xf32>) {
  %q, %s = epi.quantize %x {block = array<i64: 1, 128>} : tensor<?x192xbf16> -> tensor<?x192xf8E4M3FN>, tensor<?x2xf32>
  exec.yield %q, %s : tensor<?x192xf8E4M3FN>, tensor<?x2xf32>
}
exec.kernel @odd_quantize(%x: tensor<?x141xf32>) -> (tensor<?x141xf8E4M3FN>, tensor<?x2xf32>) {
  %q, %s = epi.quantize %x {block = array<i64: 1, 128>} : tensor<?x141xf32> -> tensor<?x141xf8E4M3FN>, tensor<?x2xf32>
  exec.yield %q, %s : tensor<?x141xf8E4M3FN>, tensor<?x2xf32>
}
// Sums that are added to other rows, normalized and quantized; and what that is in kernels of its own.
exec.kernel @deepseek_v3_back_norm(%rows: tensor<?x7168xbf16>, %slots: tensor<?x8xi32>, %weights: tensor<?x8xf32>,
                                   %shared: tensor<?x7168xbf16>, %residual: tensor<?x7168xbf16>, %w: tensor<7168xbf16>)
    -> (tensor<?x7168xbf16>, tensor<?x7168xf8E4M3FN>, tensor<?x56xf32>) {
  %y = epi.unpermute %rows, %slots, %weights : tensor<?x7168xbf16>, tensor<?x8xi32>, tensor<?x8xf32> -> tensor<?x7168xbf16>
  %0 = epi.add %y, %shared : tensor<?x7168xbf16>
  %1 = epi.add %residual, %0 : tensor<?x7168xbf16>
  %2 = epi.rms_norm %1, %w {eps = 1.0e-6 : f64} : tensor<?x7168xbf16>, tensor<7168xbf16>
  %q, %s = epi.quantize %2 {block = array<i64: 1, 128>} : tensor<?x7168xbf16> -> tensor<?x7168xf8E4M3FN>, tensor<?x56xf32>
  exec.yield %1, %q, %s : tensor<?x7168xbf16>, tensor<?x7168xf8E4M3FN>, tensor<?x56xf32>
}
exec.kernel @deepseek_v3_norm(%y: tensor<?x7168xbf16>, %shared: tensor<?x7168xbf16>, %residual: tensor<?x7168xbf16>,
                              %w: tensor<7168xbf16>) -> (tensor<?x7168xbf16>, tensor<?x7168xf8E4M3FN>, tensor<?x56xf32>) {
  %0 = epi.add %y, %shared : tensor<?x7168xbf16>
  %1 = epi.add %residual, %0 : tensor<?x7168xbf16>
  %2 = epi.rms_norm %1, %w {eps = 1.0e-6 : f64} : tensor<?x7168xbf16>, tensor<7168xbf16>
  %q, %s = epi.quantize %2 {block = array<i64: 1, 128>} : tensor<?x7168xbf16> -> tensor<?x7168xf8E4M3FN>, tensor<?x56xf32>
  exec.yield %1, %q, %s : tensor<?x7168xbf16>, tensor<?x7168xf8E4M3FN>, tensor<?x56xf32>
}
exec.kernel @qwen3_back_norm(%rows: tensor<?x2048xbf16>, %slots: tensor<?x8xi32>, %weights: tensor<?x8xf32>,
                             %residual: tensor<?x2048xbf16>, %w: tensor<2048xbf16>) -> (tensor<?x2048xbf16>, tensor<?x2048xbf16>) {
  %y = epi.unpermute %rows, %slots, %weights : tensor<?x2048xbf16>, tensor<?x8xi32>, tensor<?x8xf32> -> tensor<?x2048xbf16>
  %0 = epi.add %residual, %y : tensor<?x2048xbf16>
  %1 = epi.rms_norm %0, %w {eps = 1.0e-6 : f64} : tensor<?x2048xbf16>, tensor<2048xbf16>
  exec.yield %0, %1 : tensor<?x2048xbf16>, tensor<?x2048xbf16>
}
exec.kernel @qwen3_norm(%y: tensor<?x2048xbf16>, %residual: tensor<?x2048xbf16>, %w: tensor<2048xbf16>)
    -> (tensor<?x2048xbf16>, tensor<?x2048xbf16>) {
  %0 = epi.add %residual, %y : tensor<?x2048xbf16>
  %1 = epi.rms_norm %0, %w {eps = 1.0e-6 : f64} : tensor<?x2048xbf16>, tensor<2048xbf16>
  exec.yield %0, %1 : tensor<?x2048xbf16>, tensor<?x2048xbf16>
}
// Short rows, of a warp or less, whose columns no vector access divides.
exec.kernel @odd_back_norm(%rows: tensor<?x45xbf16>, %slots: tensor<?x3xi32>, %weights: tensor<?x3xf32>,
                           %residual: tensor<?x45xbf16>, %w: tensor<45xbf16>) -> (tensor<?x45xbf16>, tensor<?x45xbf16>) {
  %y = epi.unpermute %rows, %slots, %weights : tensor<?x45xbf16>, tensor<?x3xi32>, tensor<?x3xf32> -> tensor<?x45xbf16>
  %0 = epi.add %residual, %y : tensor<?x45xbf16>
  %1 = epi.rms_norm %0, %w {eps = 1.0e-6 : f64} : tensor<?x45xbf16>, tensor<45xbf16>
  exec.yield %0, %1 : tensor<?x45xbf16>, tensor<?x45xbf16>
}
exec.kernel @odd_norm(%y: tensor<?x45xbf16>, %residual: tensor<?x45xbf16>, %w: tensor<45xbf16>)
    -> (tensor<?x45xbf16>, tensor<?x45xbf16>) {
  %0 = epi.add %residual, %y : tensor<?x45xbf16>
  %1 = epi.rms_norm %0, %w {eps = 1.0e-6 : f64} : tensor<?x45xbf16>, tensor<45xbf16>
  exec.yield %0, %1 : tensor<?x45xbf16>, tensor<?x45xbf16>
}
// Routing and ordering as one kernel: of a bias and groups, quantized; of neither; of a lane with few experts.
exec.kernel @deepseek_v3_route_permute_quantize(%logits: tensor<?x256xf32>, %bias: tensor<256xf32>, %x: tensor<?x7168xbf16>)
    -> (tensor<?x8xi32>, tensor<?x8xf32>, tensor<?x7168xf8E4M3FN>, tensor<?x56xf32>, tensor<?x8xi32>, tensor<256xi32>) {
  %ids, %w = epi.route %logits bias %bias {score = #epi.score<sigmoid>, top_k = 8 : i64, groups = 8 : i64, top_groups = 4 : i64,
               group_score = #epi.group_score<top2_sum>, normalize, scale = 2.5 : f64}
           : tensor<?x256xf32> bias tensor<256xf32> -> tensor<?x8xi32>, tensor<?x8xf32>
  %rows, %slots, %counts = epi.permute %x, %ids
      : tensor<?x7168xbf16>, tensor<?x8xi32> -> tensor<?x7168xbf16>, tensor<?x8xi32>, tensor<256xi32>
  %q, %s = epi.quantize %rows {block = array<i64: 1, 128>} : tensor<?x7168xbf16> -> tensor<?x7168xf8E4M3FN>, tensor<?x56xf32>
  exec.yield %ids, %w, %q, %s, %slots, %counts
      : tensor<?x8xi32>, tensor<?x8xf32>, tensor<?x7168xf8E4M3FN>, tensor<?x56xf32>, tensor<?x8xi32>, tensor<256xi32>
}
exec.kernel @qwen3_route_permute(%logits: tensor<?x128xf32>, %x: tensor<?x2048xbf16>)
    -> (tensor<?x8xi32>, tensor<?x8xf32>, tensor<?x2048xbf16>, tensor<?x8xi32>, tensor<128xi32>) {
  %ids, %w = epi.route %logits {score = #epi.score<softmax>, top_k = 8 : i64, groups = 1 : i64, top_groups = 1 : i64,
               group_score = #epi.group_score<max>, normalize, scale = 1.0 : f64}
           : tensor<?x128xf32> -> tensor<?x8xi32>, tensor<?x8xf32>
  %rows, %slots, %counts = epi.permute %x, %ids
      : tensor<?x2048xbf16>, tensor<?x8xi32> -> tensor<?x2048xbf16>, tensor<?x8xi32>, tensor<128xi32>
  exec.yield %ids, %w, %rows, %slots, %counts
      : tensor<?x8xi32>, tensor<?x8xf32>, tensor<?x2048xbf16>, tensor<?x8xi32>, tensor<128xi32>
}
exec.kernel @tiny_route_permute(%logits: tensor<?x32xf32>, %bias: tensor<32xf32>, %x: tensor<?x192xbf16>)
    -> (tensor<?x4xi32>, tensor<?x4xf32>, tensor<?x192xbf16>, tensor<?x4xi32>, tensor<32xi32>) {
  %ids, %w = epi.route %logits bias %bias {score = #epi.score<sigmoid>, top_k = 4 : i64, groups = 4 : i64, top_groups = 2 : i64,
               group_score = #epi.group_score<top2_sum>, normalize, scale = 2.5 : f64}
           : tensor<?x32xf32> bias tensor<32xf32> -> tensor<?x4xi32>, tensor<?x4xf32>
  %rows, %slots, %counts = epi.permute %x, %ids
      : tensor<?x192xbf16>, tensor<?x4xi32> -> tensor<?x192xbf16>, tensor<?x4xi32>, tensor<32xi32>
  exec.yield %ids, %w, %rows, %slots, %counts
      : tensor<?x4xi32>, tensor<?x4xf32>, tensor<?x192xbf16>, tensor<?x4xi32>, tensor<32xi32>
}
