// Ordering rows by expert and back: models' shapes, and rows that are no multiple of 16 bytes.
exec.kernel @deepseek_v3(%x: tensor<?x7168xbf16>, %ids: tensor<?x8xi32>) -> (tensor<?x7168xbf16>, tensor<?x8xi32>, tensor<256xi32>) {
  %rows, %slots, %counts = epi.permute %x, %ids
      : tensor<?x7168xbf16>, tensor<?x8xi32> -> tensor<?x7168xbf16>, tensor<?x8xi32>, tensor<256xi32>
  exec.yield %rows, %slots, %counts : tensor<?x7168xbf16>, tensor<?x8xi32>, tensor<256xi32>
}
exec.kernel @deepseek_v3_quantized(%x: tensor<?x7168xf8E4M3FN>, %ids: tensor<?x8xi32>)
    -> (tensor<?x7168xf8E4M3FN>, tensor<?x8xi32>, tensor<256xi32>) {
  %rows, %slots, %counts = epi.permute %x, %ids
      : tensor<?x7168xf8E4M3FN>, tensor<?x8xi32> -> tensor<?x7168xf8E4M3FN>, tensor<?x8xi32>, tensor<256xi32>
  exec.yield %rows, %slots, %counts : tensor<?x7168xf8E4M3FN>, tensor<?x8xi32>, tensor<256xi32>
}
exec.kernel @qwen3(%x: tensor<?x2048xbf16>, %ids: tensor<?x8xi32>) -> (tensor<?x2048xbf16>, tensor<?x8xi32>, tensor<128xi32>) {
  %rows, %slots, %counts = epi.permute %x, %ids
      : tensor<?x2048xbf16>, tensor<?x8xi32> -> tensor<?x2048xbf16>, tensor<?x8xi32>, tensor<128xi32>
  exec.yield %rows, %slots, %counts : tensor<?x2048xbf16>, tensor<?x8xi32>, tensor<128xi32>
}
exec.kernel @tiny(%x: tensor<?x192xbf16>, %ids: tensor<?x4xi32>) -> (tensor<?x192xbf16>, tensor<?x4xi32>, tensor<32xi32>) {
  %rows, %slots, %counts = epi.permute %x, %ids
      : tensor<?x192xbf16>, tensor<?x4xi32> -> tensor<?x192xbf16>, tensor<?x4xi32>, tensor<32xi32>
  exec.yield %rows, %slots, %counts : tensor<?x192xbf16>, tensor<?x4xi32>, tensor<32xi32>
}
// More experts than threads of a block, and pieces of 2 bytes.
exec.kernel @odd(%x: tensor<?x45xbf16>, %ids: tensor<?x3xi32>) -> (tensor<?x45xbf16>, tensor<?x3xi32>, tensor<600xi32>) {
  %rows, %slots, %counts = epi.permute %x, %ids
      : tensor<?x45xbf16>, tensor<?x3xi32> -> tensor<?x45xbf16>, tensor<?x3xi32>, tensor<600xi32>
  exec.yield %rows, %slots, %counts : tensor<?x45xbf16>, tensor<?x3xi32>, tensor<600xi32>
}
// One of the halves of wider rows.
exec.kernel @split(%x: tensor<?x128xf32>, %ids: tensor<?x1xi32>) -> (tensor<?x64xf32>, tensor<?x1xi32>, tensor<2xi32>) {
  %a, %b = epi.split %x dim 1 : tensor<?x128xf32> to tensor<?x64xf32>, tensor<?x64xf32>
  %rows, %slots, %counts = epi.permute %b, %ids
      : tensor<?x64xf32>, tensor<?x1xi32> -> tensor<?x64xf32>, tensor<?x1xi32>, tensor<2xi32>
  exec.yield %rows, %slots, %counts : tensor<?x64xf32>, tensor<?x1xi32>, tensor<2xi32>
}
exec.kernel @deepseek_v3_back(%rows: tensor<?x7168xbf16>, %slots: tensor<?x8xi32>, %weights: tensor<?x8xf32>) -> tensor<?x7168xbf16> {
  %y = epi.unpermute %rows, %slots, %weights : tensor<?x7168xbf16>, tensor<?x8xi32>, tensor<?x8xf32> -> tensor<?x7168xbf16>
  exec.yield %y : tensor<?x7168xbf16>
}
exec.kernel @qwen3_back(%rows: tensor<?x2048xbf16>, %slots: tensor<?x8xi32>, %weights: tensor<?x8xf32>) -> tensor<?x2048xbf16> {
  %y = epi.unpermute %rows, %slots, %weights : tensor<?x2048xbf16>, tensor<?x8xi32>, tensor<?x8xf32> -> tensor<?x2048xbf16>
  exec.yield %y : tensor<?x2048xbf16>
}
exec.kernel @tiny_back(%rows: tensor<?x192xbf16>, %slots: tensor<?x4xi32>, %weights: tensor<?x4xf32>) -> tensor<?x192xbf16> {
  %y = epi.unpermute %rows, %slots, %weights : tensor<?x192xbf16>, tensor<?x4xi32>, tensor<?x4xf32> -> tensor<?x192xbf16>
  exec.yield %y : tensor<?x192xbf16>
}
exec.kernel @odd_back(%rows: tensor<?x45xbf16>, %slots: tensor<?x3xi32>, %weights: tensor<?x3xf32>) -> tensor<?x45xf32> {
  %y = epi.unpermute %rows, %slots, %weights : tensor<?x45xbf16>, tensor<?x3xi32>, tensor<?x3xf32> -> tensor<?x45xf32>
  exec.yield %y : tensor<?x45xf32>
}
// Sums of its own type, rounded to it.
exec.kernel @odd_back_bf16(%rows: tensor<?x45xbf16>, %slots: tensor<?x3xi32>, %weights: tensor<?x3xf32>) -> tensor<?x45xbf16> {
  %y = epi.unpermute %rows, %slots, %weights : tensor<?x45xbf16>, tensor<?x3xi32>, tensor<?x3xf32> -> tensor<?x45xbf16>
  exec.yield %y : tensor<?x45xbf16>
}
