// Routing: models' shapes, and shapes that do not fill a warp's lanes.
exec.kernel @deepseek_v3(%logits: tensor<?x256xf32>, %bias: tensor<256xf32>) -> (tensor<?x8xi32>, tensor<?x8xf32>) {
  %ids, %w = epi.route %logits bias %bias {score = #epi.score<sigmoid>, top_k = 8 : i64, groups = 8 : i64, top_groups = 4 : i64,
               group_score = #epi.group_score<top2_sum>, normalize, scale = 2.5 : f64}
           : tensor<?x256xf32> bias tensor<256xf32> -> tensor<?x8xi32>, tensor<?x8xf32>
  exec.yield %ids, %w : tensor<?x8xi32>, tensor<?x8xf32>
}
exec.kernel @tiny(%logits: tensor<?x32xf32>, %bias: tensor<32xf32>) -> (tensor<?x4xi32>, tensor<?x4xf32>) {
  %ids, %w = epi.route %logits bias %bias {score = #epi.score<sigmoid>, top_k = 4 : i64, groups = 4 : i64, top_groups = 2 : i64,
               group_score = #epi.group_score<top2_sum>, normalize, scale = 2.5 : f64}
           : tensor<?x32xf32> bias tensor<32xf32> -> tensor<?x4xi32>, tensor<?x4xf32>
  exec.yield %ids, %w : tensor<?x4xi32>, tensor<?x4xf32>
}
// Groups of 20 experts: 4 lanes of 5 each.
exec.kernel @deepseek_v2(%logits: tensor<?x160xf32>) -> (tensor<?x6xi32>, tensor<?x6xf32>) {
  %ids, %w = epi.route %logits {score = #epi.score<softmax>, top_k = 6 : i64, groups = 8 : i64, top_groups = 3 : i64,
               group_score = #epi.group_score<max>, scale = 16.0 : f64}
           : tensor<?x160xf32> -> tensor<?x6xi32>, tensor<?x6xf32>
  exec.yield %ids, %w : tensor<?x6xi32>, tensor<?x6xf32>
}
exec.kernel @qwen3(%logits: tensor<?x128xf32>) -> (tensor<?x8xi32>, tensor<?x8xf32>) {
  %ids, %w = epi.route %logits {score = #epi.score<softmax>, top_k = 8 : i64, groups = 1 : i64, top_groups = 1 : i64,
               group_score = #epi.group_score<max>, normalize, scale = 1.0 : f64}
           : tensor<?x128xf32> -> tensor<?x8xi32>, tensor<?x8xf32>
  exec.yield %ids, %w : tensor<?x8xi32>, tensor<?x8xf32>
}
// Lanes with places that have no expert, and lanes without a group.
exec.kernel @uneven(%logits: tensor<?x30xf32>) -> (tensor<?x3xi32>, tensor<?x3xf32>) {
  %ids, %w = epi.route %logits {score = #epi.score<identity>, top_k = 3 : i64, groups = 3 : i64, top_groups = 2 : i64,
               group_score = #epi.group_score<top2_sum>, scale = 1.0 : f64}
           : tensor<?x30xf32> -> tensor<?x3xi32>, tensor<?x3xf32>
  exec.yield %ids, %w : tensor<?x3xi32>, tensor<?x3xf32>
}
exec.kernel @few(%logits: tensor<?x6xf32>) -> (tensor<?x6xi32>, tensor<?x6xf32>) {
  %ids, %w = epi.route %logits {score = #epi.score<softmax>, top_k = 6 : i64, groups = 1 : i64, top_groups = 1 : i64,
               group_score = #epi.group_score<max>, scale = 1.0 : f64}
           : tensor<?x6xf32> -> tensor<?x6xi32>, tensor<?x6xf32>
  exec.yield %ids, %w : tensor<?x6xi32>, tensor<?x6xf32>
}
exec.kernel @many(%logits: tensor<?x512xf32>, %bias: tensor<512xf32>) -> (tensor<?x16xi32>, tensor<?x16xf32>) {
  %ids, %w = epi.route %logits bias %bias {score = #epi.score<sigmoid>, top_k = 16 : i64, groups = 16 : i64, top_groups = 8 : i64,
               group_score = #epi.group_score<top2_sum>, normalize, scale = 1.0 : f64}
           : tensor<?x512xf32> bias tensor<512xf32> -> tensor<?x16xi32>, tensor<?x16xf32>
  exec.yield %ids, %w : tensor<?x16xi32>, tensor<?x16xf32>
}
