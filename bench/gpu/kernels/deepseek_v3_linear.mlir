// Projections of DeepSeek-V3 by columns and depth: queries and latents down, queries up, keys and values up, attention's
// output, the dense layers' two, an expert's two; and, in bf16 alone, the output head.
exec.kernel @bf16_2112_7168(%x: tensor<?x7168xbf16>, %w: tensor<2112x7168xbf16>) -> tensor<?x2112xbf16> {
  %y = epi.linear %x, %w : (tensor<?x7168xbf16>, tensor<2112x7168xbf16>) -> tensor<?x2112xbf16>
  exec.yield %y : tensor<?x2112xbf16>
}
exec.kernel @bf16_24576_1536(%x: tensor<?x1536xbf16>, %w: tensor<24576x1536xbf16>) -> tensor<?x24576xbf16> {
  %y = epi.linear %x, %w : (tensor<?x1536xbf16>, tensor<24576x1536xbf16>) -> tensor<?x24576xbf16>
  exec.yield %y : tensor<?x24576xbf16>
}
exec.kernel @bf16_32768_512(%x: tensor<?x512xbf16>, %w: tensor<32768x512xbf16>) -> tensor<?x32768xbf16> {
  %y = epi.linear %x, %w : (tensor<?x512xbf16>, tensor<32768x512xbf16>) -> tensor<?x32768xbf16>
  exec.yield %y : tensor<?x32768xbf16>
}
exec.kernel @bf16_7168_16384(%x: tensor<?x16384xbf16>, %w: tensor<7168x16384xbf16>) -> tensor<?x7168xbf16> {
  %y = epi.linear %x, %w : (tensor<?x16384xbf16>, tensor<7168x16384xbf16>) -> tensor<?x7168xbf16>
  exec.yield %y : tensor<?x7168xbf16>
}
exec.kernel @bf16_36864_7168(%x: tensor<?x7168xbf16>, %w: tensor<36864x7168xbf16>) -> tensor<?x36864xbf16> {
  %y = epi.linear %x, %w : (tensor<?x7168xbf16>, tensor<36864x7168xbf16>) -> tensor<?x36864xbf16>
  exec.yield %y : tensor<?x36864xbf16>
}
exec.kernel @bf16_7168_18432(%x: tensor<?x18432xbf16>, %w: tensor<7168x18432xbf16>) -> tensor<?x7168xbf16> {
  %y = epi.linear %x, %w : (tensor<?x18432xbf16>, tensor<7168x18432xbf16>) -> tensor<?x7168xbf16>
  exec.yield %y : tensor<?x7168xbf16>
}
exec.kernel @bf16_4096_7168(%x: tensor<?x7168xbf16>, %w: tensor<4096x7168xbf16>) -> tensor<?x4096xbf16> {
  %y = epi.linear %x, %w : (tensor<?x7168xbf16>, tensor<4096x7168xbf16>) -> tensor<?x4096xbf16>
  exec.yield %y : tensor<?x4096xbf16>
}
exec.kernel @bf16_7168_2048(%x: tensor<?x2048xbf16>, %w: tensor<7168x2048xbf16>) -> tensor<?x7168xbf16> {
  %y = epi.linear %x, %w : (tensor<?x2048xbf16>, tensor<7168x2048xbf16>) -> tensor<?x7168xbf16>
  exec.yield %y : tensor<?x7168xbf16>
}
exec.kernel @bf16_129280_7168(%x: tensor<?x7168xbf16>, %w: tensor<129280x7168xbf16>) -> tensor<?x129280xbf16> {
  %y = epi.linear %x, %w : (tensor<?x7168xbf16>, tensor<129280x7168xbf16>) -> tensor<?x129280xbf16>
  exec.yield %y : tensor<?x129280xbf16>
}
exec.kernel @fp8_2112_7168(%x: tensor<?x7168xf8E4M3FN>, %xs: tensor<?x56xf32>, %w: tensor<2112x7168xf8E4M3FN>, %ws: tensor<17x56xf32>) -> tensor<?x2112xbf16> {
  %y = epi.linear %x scale %xs, %w scale %ws
      : (tensor<?x7168xf8E4M3FN> scale tensor<?x56xf32>, tensor<2112x7168xf8E4M3FN> scale tensor<17x56xf32>) -> tensor<?x2112xbf16>
  exec.yield %y : tensor<?x2112xbf16>
}
exec.kernel @fp8_24576_1536(%x: tensor<?x1536xf8E4M3FN>, %xs: tensor<?x12xf32>, %w: tensor<24576x1536xf8E4M3FN>, %ws: tensor<192x12xf32>) -> tensor<?x24576xbf16> {
  %y = epi.linear %x scale %xs, %w scale %ws
      : (tensor<?x1536xf8E4M3FN> scale tensor<?x12xf32>, tensor<24576x1536xf8E4M3FN> scale tensor<192x12xf32>) -> tensor<?x24576xbf16>
  exec.yield %y : tensor<?x24576xbf16>
}
exec.kernel @fp8_32768_512(%x: tensor<?x512xf8E4M3FN>, %xs: tensor<?x4xf32>, %w: tensor<32768x512xf8E4M3FN>, %ws: tensor<256x4xf32>) -> tensor<?x32768xbf16> {
  %y = epi.linear %x scale %xs, %w scale %ws
      : (tensor<?x512xf8E4M3FN> scale tensor<?x4xf32>, tensor<32768x512xf8E4M3FN> scale tensor<256x4xf32>) -> tensor<?x32768xbf16>
  exec.yield %y : tensor<?x32768xbf16>
}
exec.kernel @fp8_7168_16384(%x: tensor<?x16384xf8E4M3FN>, %xs: tensor<?x128xf32>, %w: tensor<7168x16384xf8E4M3FN>, %ws: tensor<56x128xf32>) -> tensor<?x7168xbf16> {
  %y = epi.linear %x scale %xs, %w scale %ws
      : (tensor<?x16384xf8E4M3FN> scale tensor<?x128xf32>, tensor<7168x16384xf8E4M3FN> scale tensor<56x128xf32>) -> tensor<?x7168xbf16>
  exec.yield %y : tensor<?x7168xbf16>
}
exec.kernel @fp8_36864_7168(%x: tensor<?x7168xf8E4M3FN>, %xs: tensor<?x56xf32>, %w: tensor<36864x7168xf8E4M3FN>, %ws: tensor<288x56xf32>) -> tensor<?x36864xbf16> {
  %y = epi.linear %x scale %xs, %w scale %ws
      : (tensor<?x7168xf8E4M3FN> scale tensor<?x56xf32>, tensor<36864x7168xf8E4M3FN> scale tensor<288x56xf32>) -> tensor<?x36864xbf16>
  exec.yield %y : tensor<?x36864xbf16>
}
exec.kernel @fp8_7168_18432(%x: tensor<?x18432xf8E4M3FN>, %xs: tensor<?x144xf32>, %w: tensor<7168x18432xf8E4M3FN>, %ws: tensor<56x144xf32>) -> tensor<?x7168xbf16> {
  %y = epi.linear %x scale %xs, %w scale %ws
      : (tensor<?x18432xf8E4M3FN> scale tensor<?x144xf32>, tensor<7168x18432xf8E4M3FN> scale tensor<56x144xf32>) -> tensor<?x7168xbf16>
  exec.yield %y : tensor<?x7168xbf16>
}
exec.kernel @fp8_4096_7168(%x: tensor<?x7168xf8E4M3FN>, %xs: tensor<?x56xf32>, %w: tensor<4096x7168xf8E4M3FN>, %ws: tensor<32x56xf32>) -> tensor<?x4096xbf16> {
  %y = epi.linear %x scale %xs, %w scale %ws
      : (tensor<?x7168xf8E4M3FN> scale tensor<?x56xf32>, tensor<4096x7168xf8E4M3FN> scale tensor<32x56xf32>) -> tensor<?x4096xbf16>
  exec.yield %y : tensor<?x4096xbf16>
}
exec.kernel @fp8_7168_2048(%x: tensor<?x2048xf8E4M3FN>, %xs: tensor<?x16xf32>, %w: tensor<7168x2048xf8E4M3FN>, %ws: tensor<56x16xf32>) -> tensor<?x7168xbf16> {
  %y = epi.linear %x scale %xs, %w scale %ws
      : (tensor<?x2048xf8E4M3FN> scale tensor<?x16xf32>, tensor<7168x2048xf8E4M3FN> scale tensor<56x16xf32>) -> tensor<?x7168xbf16>
  exec.yield %y : tensor<?x7168xbf16>
}
