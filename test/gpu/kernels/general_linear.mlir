// Projections without matrix units: shapes and types that those cannot take.

// No access of several elements divides rows or columns.
exec.kernel @linear(%x: tensor<?x27xbf16>, %w: tensor<45x27xbf16>) -> tensor<?x45xbf16> attributes {general} {
  %y = epi.linear %x, %w : (tensor<?x27xbf16>, tensor<45x27xbf16>) -> tensor<?x45xbf16>
  exec.yield %y : tensor<?x45xbf16>
}

exec.kernel @linear_float32(%x: tensor<?x192xf32>, %w: tensor<176x192xf32>) -> tensor<?x176xf32> attributes {general} {
  %y = epi.linear %x, %w : (tensor<?x192xf32>, tensor<176x192xf32>) -> tensor<?x176xf32>
  exec.yield %y : tensor<?x176xf32>
}

exec.kernel @linear_residual(%x: tensor<?x100xbf16>, %w: tensor<131x100xbf16>, %residual: tensor<?x131xbf16>) -> tensor<?x131xbf16>
    attributes {general} {
  %y = epi.linear %x, %w : (tensor<?x100xbf16>, tensor<131x100xbf16>) -> tensor<?x131xbf16>
  %z = epi.add %residual, %y : tensor<?x131xbf16>
  exec.yield %z : tensor<?x131xbf16>
}

exec.kernel @linear_gated(%x: tensor<?x30xbf16>, %w: tensor<70x30xbf16>) -> tensor<?x35xbf16> attributes {general} {
  %y = epi.linear %x, %w : (tensor<?x30xbf16>, tensor<70x30xbf16>) -> tensor<?x70xbf16>
  %gate, %up = epi.split %y dim 1 : tensor<?x70xbf16> to tensor<?x35xbf16>, tensor<?x35xbf16>
  %0 = epi.silu %gate : tensor<?x35xbf16>
  %1 = epi.mul %0, %up : tensor<?x35xbf16>
  exec.yield %1 : tensor<?x35xbf16>
}

exec.kernel @grouped(%x: tensor<?x27xbf16>, %counts: tensor<8xi32>, %w: tensor<8x45x27xbf16>) -> tensor<?x45xbf16>
    attributes {general} {
  %y = epi.grouped_linear %x, %counts, %w
      : (tensor<?x27xbf16>, tensor<8xi32>, tensor<8x45x27xbf16>) -> tensor<?x45xbf16>
  exec.yield %y : tensor<?x45xbf16>
}

exec.kernel @grouped_bias(%x: tensor<?x50xbf16>, %counts: tensor<40xi32>, %w: tensor<40x64x50xbf16>, %bias: tensor<40x64xbf16>) -> tensor<?x64xbf16>
    attributes {general} {
  %y = epi.grouped_linear %x, %counts, %w bias %bias
      : (tensor<?x50xbf16>, tensor<40xi32>, tensor<40x64x50xbf16>) bias tensor<40x64xbf16> -> tensor<?x64xbf16>
  exec.yield %y : tensor<?x64xbf16>
}

exec.kernel @heads(%x: tensor<?x156xbf16>, %w: tensor<6x33x21xbf16>) -> tensor<?x6x33xbf16> attributes {general} {
  %0 = epi.reshape %x : tensor<?x156xbf16> to tensor<?x6x26xbf16>
  %part, %rest = epi.split %0 dim 2 : tensor<?x6x26xbf16> to tensor<?x6x21xbf16>, tensor<?x6x5xbf16>
  %y = epi.head_linear %part, %w : (tensor<?x6x21xbf16>, tensor<6x33x21xbf16>) -> tensor<?x6x33xbf16>
  exec.yield %y : tensor<?x6x33xbf16>
}

exec.kernel @heads_float32(%x: tensor<?x6x32xf32>, %w: tensor<6x64x32xf32>) -> tensor<?x6x64xf32> attributes {general} {
  %y = epi.head_linear %x, %w : (tensor<?x6x32xf32>, tensor<6x64x32xf32>) -> tensor<?x6x64xf32>
  exec.yield %y : tensor<?x6x64xf32>
}

exec.kernel @fp8_linear(%x: tensor<?x141xf8E4M3FN>, %xs: tensor<?x2xf32>, %w: tensor<150x141xf8E4M3FN>, %ws: tensor<2x2xf32>)
    -> tensor<?x150xbf16> attributes {general} {
  %y = epi.linear %x scale %xs, %w scale %ws
      : (tensor<?x141xf8E4M3FN> scale tensor<?x2xf32>, tensor<150x141xf8E4M3FN> scale tensor<2x2xf32>) -> tensor<?x150xbf16>
  exec.yield %y : tensor<?x150xbf16>
}

// Only the weights are quantized.
exec.kernel @fp8_linear_of_bf16(%x: tensor<?x192xbf16>, %w: tensor<176x192xf8E4M3FN>, %ws: tensor<2x2xf32>)
    -> tensor<?x176xbf16> attributes {general} {
  %y = epi.linear %x, %w scale %ws
      : (tensor<?x192xbf16>, tensor<176x192xf8E4M3FN> scale tensor<2x2xf32>) -> tensor<?x176xbf16>
  exec.yield %y : tensor<?x176xbf16>
}

exec.kernel @fp8_grouped(%x: tensor<?x200xf8E4M3FN>, %xs: tensor<?x2xf32>, %counts: tensor<8xi32>, %w: tensor<8x130x200xf8E4M3FN>, %ws: tensor<8x2x2xf32>)
    -> tensor<?x130xbf16> attributes {general} {
  %y = epi.grouped_linear %x scale %xs, %counts, %w scale %ws
      : (tensor<?x200xf8E4M3FN> scale tensor<?x2xf32>, tensor<8xi32>, tensor<8x130x200xf8E4M3FN> scale tensor<8x2x2xf32>) -> tensor<?x130xbf16>
  exec.yield %y : tensor<?x130xbf16>
}
