// Norm, projection to logits, routing and permutation in one kernel: models' shapes, and ones that clusters cannot take.
exec.kernel @qwen3(%x: tensor<?x2048xbf16>, %n: tensor<2048xbf16>, %w: tensor<128x2048xbf16>)
    -> (tensor<?x2048xbf16>, tensor<?x128xf32>, tensor<?x8xi32>, tensor<?x8xf32>, tensor<?x2048xbf16>, tensor<?x8xi32>, tensor<128xi32>) {
  %0 = epi.rms_norm %x, %n {eps = 1.0e-6 : f64} : tensor<?x2048xbf16>, tensor<2048xbf16>
  %1 = epi.linear %0, %w : (tensor<?x2048xbf16>, tensor<128x2048xbf16>) -> tensor<?x128xf32>
  %ids, %weights = epi.route %1 {group_score = #epi.group_score<max>, groups = 1 : i64, normalize, scale = 1.0 : f64,
      score = #epi.score<softmax>, top_groups = 1 : i64, top_k = 8 : i64} : tensor<?x128xf32> -> tensor<?x8xi32>, tensor<?x8xf32>
  %rows, %slots, %counts = epi.permute %0, %ids
      : tensor<?x2048xbf16>, tensor<?x8xi32> -> tensor<?x2048xbf16>, tensor<?x8xi32>, tensor<128xi32>
  exec.yield %0, %1, %ids, %weights, %rows, %slots, %counts
      : tensor<?x2048xbf16>, tensor<?x128xf32>, tensor<?x8xi32>, tensor<?x8xf32>, tensor<?x2048xbf16>, tensor<?x8xi32>, tensor<128xi32>
}
exec.kernel @deepseek_v3(%x: tensor<?x7168xbf16>, %n: tensor<7168xbf16>, %w: tensor<256x7168xbf16>, %b: tensor<256xf32>)
    -> (tensor<?x7168xbf16>, tensor<?x7168xf8E4M3FN>, tensor<?x56xf32>, tensor<?x256xf32>, tensor<?x8xi32>, tensor<?x8xf32>,
        tensor<?x7168xf8E4M3FN>, tensor<?x56xf32>, tensor<?x8xi32>, tensor<256xi32>) {
  %0 = epi.rms_norm %x, %n {eps = 1.0e-6 : f64} : tensor<?x7168xbf16>, tensor<7168xbf16>
  %q, %s = epi.quantize %0 {block = array<i64: 1, 128>} : tensor<?x7168xbf16> -> tensor<?x7168xf8E4M3FN>, tensor<?x56xf32>
  %1 = epi.linear %0, %w : (tensor<?x7168xbf16>, tensor<256x7168xbf16>) -> tensor<?x256xf32>
  %ids, %weights = epi.route %1 bias %b {group_score = #epi.group_score<top2_sum>, groups = 8 : i64, normalize, scale = 2.5 : f64,
      score = #epi.score<sigmoid>, top_groups = 4 : i64, top_k = 8 : i64} : tensor<?x256xf32> bias tensor<256xf32> -> tensor<?x8xi32>, tensor<?x8xf32>
  %rows, %slots, %counts = epi.permute %0, %ids
      : tensor<?x7168xbf16>, tensor<?x8xi32> -> tensor<?x7168xbf16>, tensor<?x8xi32>, tensor<256xi32>
  %pq, %ps = epi.quantize %rows {block = array<i64: 1, 128>} : tensor<?x7168xbf16> -> tensor<?x7168xf8E4M3FN>, tensor<?x56xf32>
  exec.yield %0, %q, %s, %1, %ids, %weights, %pq, %ps, %slots, %counts
      : tensor<?x7168xbf16>, tensor<?x7168xf8E4M3FN>, tensor<?x56xf32>, tensor<?x256xf32>, tensor<?x8xi32>, tensor<?x8xf32>,
        tensor<?x7168xf8E4M3FN>, tensor<?x56xf32>, tensor<?x8xi32>, tensor<256xi32>
}
// As DeepSeek-V3's, with weights that a cluster takes.
exec.kernel @quantized(%x: tensor<?x1024xbf16>, %n: tensor<1024xbf16>, %w: tensor<256x1024xbf16>, %b: tensor<256xf32>)
    -> (tensor<?x1024xbf16>, tensor<?x1024xf8E4M3FN>, tensor<?x8xf32>, tensor<?x256xf32>, tensor<?x8xi32>, tensor<?x8xf32>,
        tensor<?x1024xf8E4M3FN>, tensor<?x8xf32>, tensor<?x8xi32>, tensor<256xi32>) {
  %0 = epi.rms_norm %x, %n {eps = 1.0e-6 : f64} : tensor<?x1024xbf16>, tensor<1024xbf16>
  %q, %s = epi.quantize %0 {block = array<i64: 1, 128>} : tensor<?x1024xbf16> -> tensor<?x1024xf8E4M3FN>, tensor<?x8xf32>
  %1 = epi.linear %0, %w : (tensor<?x1024xbf16>, tensor<256x1024xbf16>) -> tensor<?x256xf32>
  %ids, %weights = epi.route %1 bias %b {group_score = #epi.group_score<top2_sum>, groups = 8 : i64, normalize, scale = 2.5 : f64,
      score = #epi.score<sigmoid>, top_groups = 4 : i64, top_k = 8 : i64} : tensor<?x256xf32> bias tensor<256xf32> -> tensor<?x8xi32>, tensor<?x8xf32>
  %rows, %slots, %counts = epi.permute %0, %ids
      : tensor<?x1024xbf16>, tensor<?x8xi32> -> tensor<?x1024xbf16>, tensor<?x8xi32>, tensor<256xi32>
  %pq, %ps = epi.quantize %rows {block = array<i64: 1, 128>} : tensor<?x1024xbf16> -> tensor<?x1024xf8E4M3FN>, tensor<?x8xf32>
  exec.yield %0, %q, %s, %1, %ids, %weights, %pq, %ps, %slots, %counts
      : tensor<?x1024xbf16>, tensor<?x1024xf8E4M3FN>, tensor<?x8xf32>, tensor<?x256xf32>, tensor<?x8xi32>, tensor<?x8xf32>,
        tensor<?x1024xf8E4M3FN>, tensor<?x8xf32>, tensor<?x8xi32>, tensor<256xi32>
}
// The sum of two rows, of which the last warps have nothing to multiply.
exec.kernel @added(%x: tensor<?x576xbf16>, %y: tensor<?x576xbf16>, %n: tensor<576xbf16>, %w: tensor<256x576xbf16>)
    -> (tensor<?x576xbf16>, tensor<?x576xbf16>, tensor<?x256xf32>, tensor<?x3xi32>, tensor<?x3xf32>, tensor<?x576xbf16>, tensor<?x3xi32>, tensor<256xi32>) {
  %a = epi.add %x, %y : tensor<?x576xbf16>
  %0 = epi.rms_norm %a, %n {eps = 1.0e-6 : f64} : tensor<?x576xbf16>, tensor<576xbf16>
  %1 = epi.linear %0, %w : (tensor<?x576xbf16>, tensor<256x576xbf16>) -> tensor<?x256xf32>
  %ids, %weights = epi.route %1 {group_score = #epi.group_score<max>, groups = 1 : i64, scale = 1.0 : f64,
      score = #epi.score<softmax>, top_groups = 1 : i64, top_k = 3 : i64} : tensor<?x256xf32> -> tensor<?x3xi32>, tensor<?x3xf32>
  %rows, %slots, %counts = epi.permute %0, %ids
      : tensor<?x576xbf16>, tensor<?x3xi32> -> tensor<?x576xbf16>, tensor<?x3xi32>, tensor<256xi32>
  exec.yield %a, %0, %1, %ids, %weights, %rows, %slots, %counts
      : tensor<?x576xbf16>, tensor<?x576xbf16>, tensor<?x256xf32>, tensor<?x3xi32>, tensor<?x3xf32>, tensor<?x576xbf16>, tensor<?x3xi32>, tensor<256xi32>
}
// Too few experts for a cluster.
exec.kernel @tiny(%x: tensor<?x192xbf16>, %n: tensor<192xbf16>, %w: tensor<32x192xbf16>)
    -> (tensor<?x192xbf16>, tensor<?x32xf32>, tensor<?x4xi32>, tensor<?x4xf32>, tensor<?x192xbf16>, tensor<?x4xi32>, tensor<32xi32>) {
  %0 = epi.rms_norm %x, %n {eps = 1.0e-6 : f64} : tensor<?x192xbf16>, tensor<192xbf16>
  %1 = epi.linear %0, %w : (tensor<?x192xbf16>, tensor<32x192xbf16>) -> tensor<?x32xf32>
  %ids, %weights = epi.route %1 {group_score = #epi.group_score<max>, groups = 1 : i64, normalize, scale = 1.0 : f64,
      score = #epi.score<softmax>, top_groups = 1 : i64, top_k = 4 : i64} : tensor<?x32xf32> -> tensor<?x4xi32>, tensor<?x4xf32>
  %rows, %slots, %counts = epi.permute %0, %ids
      : tensor<?x192xbf16>, tensor<?x4xi32> -> tensor<?x192xbf16>, tensor<?x4xi32>, tensor<32xi32>
  exec.yield %0, %1, %ids, %weights, %rows, %slots, %counts
      : tensor<?x192xbf16>, tensor<?x32xf32>, tensor<?x4xi32>, tensor<?x4xf32>, tensor<?x192xbf16>, tensor<?x4xi32>, tensor<32xi32>
}
// Routing, and the quantization, by themselves.
exec.kernel @qwen3_route(%x: tensor<?x128xf32>) -> (tensor<?x8xi32>, tensor<?x8xf32>) {
  %ids, %weights = epi.route %x {group_score = #epi.group_score<max>, groups = 1 : i64, normalize, scale = 1.0 : f64,
      score = #epi.score<softmax>, top_groups = 1 : i64, top_k = 8 : i64} : tensor<?x128xf32> -> tensor<?x8xi32>, tensor<?x8xf32>
  exec.yield %ids, %weights : tensor<?x8xi32>, tensor<?x8xf32>
}
exec.kernel @deepseek_v3_route(%x: tensor<?x256xf32>, %b: tensor<256xf32>) -> (tensor<?x8xi32>, tensor<?x8xf32>) {
  %ids, %weights = epi.route %x bias %b {group_score = #epi.group_score<top2_sum>, groups = 8 : i64, normalize, scale = 2.5 : f64,
      score = #epi.score<sigmoid>, top_groups = 4 : i64, top_k = 8 : i64} : tensor<?x256xf32> bias tensor<256xf32> -> tensor<?x8xi32>, tensor<?x8xf32>
  exec.yield %ids, %weights : tensor<?x8xi32>, tensor<?x8xf32>
}
exec.kernel @quantized_route(%x: tensor<?x256xf32>, %b: tensor<256xf32>) -> (tensor<?x8xi32>, tensor<?x8xf32>) {
  %ids, %weights = epi.route %x bias %b {group_score = #epi.group_score<top2_sum>, groups = 8 : i64, normalize, scale = 2.5 : f64,
      score = #epi.score<sigmoid>, top_groups = 4 : i64, top_k = 8 : i64} : tensor<?x256xf32> bias tensor<256xf32> -> tensor<?x8xi32>, tensor<?x8xf32>
  exec.yield %ids, %weights : tensor<?x8xi32>, tensor<?x8xf32>
}
exec.kernel @added_route(%x: tensor<?x256xf32>) -> (tensor<?x3xi32>, tensor<?x3xf32>) {
  %ids, %weights = epi.route %x {group_score = #epi.group_score<max>, groups = 1 : i64, scale = 1.0 : f64,
      score = #epi.score<softmax>, top_groups = 1 : i64, top_k = 3 : i64} : tensor<?x256xf32> -> tensor<?x3xi32>, tensor<?x3xf32>
  exec.yield %ids, %weights : tensor<?x3xi32>, tensor<?x3xf32>
}
exec.kernel @tiny_route(%x: tensor<?x32xf32>) -> (tensor<?x4xi32>, tensor<?x4xf32>) {
  %ids, %weights = epi.route %x {group_score = #epi.group_score<max>, groups = 1 : i64, normalize, scale = 1.0 : f64,
      score = #epi.score<softmax>, top_groups = 1 : i64, top_k = 4 : i64} : tensor<?x32xf32> -> tensor<?x4xi32>, tensor<?x4xf32>
  exec.yield %ids, %weights : tensor<?x4xi32>, tensor<?x4xf32>
}
exec.kernel @deepseek_v3_quantize(%x: tensor<?x7168xbf16>) -> (tensor<?x7168xf8E4M3FN>, tensor<?x56xf32>) {
  %q, %s = epi.quantize %x {block = array<i64: 1, 128>} : tensor<?x7168xbf16> -> tensor<?x7168xf8E4M3FN>, tensor<?x56xf32>
  exec.yield %q, %s : tensor<?x7168xf8E4M3FN>, tensor<?x56xf32>
}
exec.kernel @quantized_quantize(%x: tensor<?x1024xbf16>) -> (tensor<?x1024xf8E4M3FN>, tensor<?x8xf32>) {
  %q, %s = epi.quantize %x {block = array<i64: 1, 128>} : tensor<?x1024xbf16> -> tensor<?x1024xf8E4M3FN>, tensor<?x8xf32>
  exec.yield %q, %s : tensor<?x1024xf8E4M3FN>, tensor<?x8xf32>
}
