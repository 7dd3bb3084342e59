// Projections of heads whose matrices blocks have in shared memory: DeepSeek-V3's with fewer heads, columns that few warps
// share or that several blocks do, views, epilogues.

exec.kernel @heads_of_queries(%x: tensor<?x768xbf16>, %w: tensor<4x512x128xbf16>) -> tensor<?x4x512xbf16> {
  %0 = epi.reshape %x : tensor<?x768xbf16> to tensor<?x4x192xbf16>
  %part, %rest = epi.split %0 dim 2 : tensor<?x4x192xbf16> to tensor<?x4x128xbf16>, tensor<?x4x64xbf16>
  %y = epi.head_linear %part, %w : (tensor<?x4x128xbf16>, tensor<4x512x128xbf16>) -> tensor<?x4x512xbf16>
  exec.yield %y : tensor<?x4x512xbf16>
}

exec.kernel @heads_of_values(%x: tensor<?x3x512xbf16>, %w: tensor<3x128x512xbf16>) -> tensor<?x3x128xbf16> {
  %y = epi.head_linear %x, %w : (tensor<?x3x512xbf16>, tensor<3x128x512xbf16>) -> tensor<?x3x128xbf16>
  exec.yield %y : tensor<?x3x128xbf16>
}

// One warp, and half of a load of 128 bytes.
exec.kernel @heads_small(%x: tensor<?x6x32xbf16>, %w: tensor<6x16x32xbf16>) -> tensor<?x6x16xbf16> {
  %y = epi.head_linear %x, %w : (tensor<?x6x32xbf16>, tensor<6x16x32xbf16>) -> tensor<?x6x16xbf16>
  exec.yield %y : tensor<?x6x16xbf16>
}

// Columns for one warp along them, and an odd number of steps.
exec.kernel @heads_odd(%x: tensor<?x5x160xbf16>, %w: tensor<5x48x160xbf16>) -> tensor<?x5x48xf32> {
  %y = epi.head_linear %x, %w : (tensor<?x5x160xbf16>, tensor<5x48x160xbf16>) -> tensor<?x5x48xf32>
  exec.yield %y : tensor<?x5x48xf32>
}

// A matrix that two blocks share.
exec.kernel @heads_large(%x: tensor<?x2x512xbf16>, %w: tensor<2x256x512xbf16>) -> tensor<?x2x256xbf16> {
  %y = epi.head_linear %x, %w : (tensor<?x2x512xbf16>, tensor<2x256x512xbf16>) -> tensor<?x2x256xbf16>
  exec.yield %y : tensor<?x2x256xbf16>
}

exec.kernel @heads_residual(%x: tensor<?x3x64xbf16>, %w: tensor<3x96x64xbf16>, %r: tensor<?x3x96xbf16>) -> tensor<?x3x96xbf16> {
  %y = epi.head_linear %x, %w : (tensor<?x3x64xbf16>, tensor<3x96x64xbf16>) -> tensor<?x3x96xbf16>
  %z = epi.add %y, %r : tensor<?x3x96xbf16>
  exec.yield %z : tensor<?x3x96xbf16>
}

exec.kernel @heads_quantized(%x: tensor<?x3x512xbf16>, %w: tensor<3x128x512xbf16>) -> (tensor<?x384xf8E4M3FN>, tensor<?x3xf32>) {
  %y = epi.head_linear %x, %w : (tensor<?x3x512xbf16>, tensor<3x128x512xbf16>) -> tensor<?x3x128xbf16>
  %flat = epi.reshape %y : tensor<?x3x128xbf16> to tensor<?x384xbf16>
  %q, %s = epi.quantize %flat {block = array<i64: 1, 128>} : tensor<?x384xbf16> -> tensor<?x384xf8E4M3FN>, tensor<?x3xf32>
  exec.yield %q, %s : tensor<?x384xf8E4M3FN>, tensor<?x3xf32>
}

exec.kernel @heads_quantized_in_blocks(%x: tensor<?x2x64xbf16>, %w: tensor<2x384x64xbf16>) -> (tensor<?x768xf8E4M3FN>, tensor<?x6xf32>) {
  %y = epi.head_linear %x, %w : (tensor<?x2x64xbf16>, tensor<2x384x64xbf16>) -> tensor<?x2x384xbf16>
  %flat = epi.reshape %y : tensor<?x2x384xbf16> to tensor<?x768xbf16>
  %q, %s = epi.quantize %flat {block = array<i64: 1, 128>} : tensor<?x768xbf16> -> tensor<?x768xf8E4M3FN>, tensor<?x6xf32>
  exec.yield %q, %s : tensor<?x768xf8E4M3FN>, tensor<?x6xf32>
}
