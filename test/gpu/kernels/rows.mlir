// Fused rows: rows of one warp, of a block, longer than registers hold; parts of rows that views and concats make; groups of
// lanes that reduce by themselves.

exec.kernel @rms_norm(%x: tensor<?x192xbf16>, %w: tensor<192xbf16>) -> tensor<?x192xbf16> {
  %y = epi.rms_norm %x, %w {eps = 1.0e-6 : f64} : tensor<?x192xbf16>, tensor<192xbf16>
  exec.yield %y : tensor<?x192xbf16>
}

// Of four lanes a row, and of columns that no vector access divides.
exec.kernel @rms_norm_short(%x: tensor<?x27xbf16>, %w: tensor<27xbf16>) -> tensor<?x27xbf16> {
  %y = epi.rms_norm %x, %w {eps = 1.0e-5 : f64} : tensor<?x27xbf16>, tensor<27xbf16>
  exec.yield %y : tensor<?x27xbf16>
}

exec.kernel @rms_norm_float32(%x: tensor<?x300xf32>, %w: tensor<300xf32>) -> tensor<?x300xf32> {
  %y = epi.rms_norm %x, %w {eps = 1.0e-6 : f64} : tensor<?x300xf32>, tensor<300xf32>
  exec.yield %y : tensor<?x300xf32>
}

// Parts of a row of the projection of queries and latents.
exec.kernel @rms_norm_x2(%x: tensor<?x2112xbf16>, %w: tensor<1536xbf16>, %v: tensor<512xbf16>)
    -> (tensor<?x1536xbf16>, tensor<?x512xbf16>) {
  %q, %kv = epi.split %x dim 1 : tensor<?x2112xbf16> to tensor<?x1536xbf16>, tensor<?x576xbf16>
  %y = epi.rms_norm %q, %w {eps = 1.0e-6 : f64} : tensor<?x1536xbf16>, tensor<1536xbf16>
  %c, %k = epi.split %kv dim 1 : tensor<?x576xbf16> to tensor<?x512xbf16>, tensor<?x64xbf16>
  %z = epi.rms_norm %c, %v {eps = 1.0e-6 : f64} : tensor<?x512xbf16>, tensor<512xbf16>
  exec.yield %y, %z : tensor<?x1536xbf16>, tensor<?x512xbf16>
}

exec.kernel @rms_norm_x2_concat(%x: tensor<?x192xbf16>, %w: tensor<192xbf16>, %y: tensor<?x192xbf16>, %v: tensor<192xbf16>)
    -> tensor<?x384xbf16> {
  %0 = epi.rms_norm %x, %w {eps = 1.0e-6 : f64} : tensor<?x192xbf16>, tensor<192xbf16>
  %1 = epi.rms_norm %y, %v {eps = 1.0e-6 : f64} : tensor<?x192xbf16>, tensor<192xbf16>
  %2 = epi.concat %1, %0 dim 1 : tensor<?x192xbf16>, tensor<?x192xbf16> to tensor<?x384xbf16>
  exec.yield %2 : tensor<?x384xbf16>
}

// Each head by itself: 16 lanes; then 12 that take 16 places.
exec.kernel @rms_norm_heads(%x: tensor<?x5120xbf16>, %w: tensor<128xbf16>, %v: tensor<128xbf16>)
    -> (tensor<?x32x128xbf16>, tensor<?x4x128xbf16>) {
  %q, %k, %values = epi.split %x dim 1 : tensor<?x5120xbf16> to tensor<?x4096xbf16>, tensor<?x512xbf16>, tensor<?x512xbf16>
  %0 = epi.reshape %q : tensor<?x4096xbf16> to tensor<?x32x128xbf16>
  %1 = epi.rms_norm %0, %w {eps = 1.0e-6 : f64} : tensor<?x32x128xbf16>, tensor<128xbf16>
  %2 = epi.reshape %k : tensor<?x512xbf16> to tensor<?x4x128xbf16>
  %3 = epi.rms_norm %2, %v {eps = 1.0e-6 : f64} : tensor<?x4x128xbf16>, tensor<128xbf16>
  exec.yield %1, %3 : tensor<?x32x128xbf16>, tensor<?x4x128xbf16>
}

exec.kernel @rms_norm_heads_96(%x: tensor<?x6x96xbf16>, %w: tensor<96xbf16>) -> tensor<?x6x96xbf16> {
  %y = epi.rms_norm %x, %w {eps = 1.0e-6 : f64} : tensor<?x6x96xbf16>, tensor<96xbf16>
  exec.yield %y : tensor<?x6x96xbf16>
}

exec.kernel @add_rms_norm(%x: tensor<?x7168xbf16>, %residual: tensor<?x7168xbf16>, %w: tensor<7168xbf16>)
    -> (tensor<?x7168xbf16>, tensor<?x7168xbf16>) {
  %0 = epi.add %residual, %x : tensor<?x7168xbf16>
  %1 = epi.rms_norm %0, %w {eps = 1.0e-6 : f64} : tensor<?x7168xbf16>, tensor<7168xbf16>
  exec.yield %0, %1 : tensor<?x7168xbf16>, tensor<?x7168xbf16>
}

exec.kernel @add_rms_norm_quantize(%x: tensor<?x7168xbf16>, %residual: tensor<?x7168xbf16>, %w: tensor<7168xbf16>)
    -> (tensor<?x7168xbf16>, tensor<?x7168xf8E4M3FN>, tensor<?x56xf32>) {
  %0 = epi.add %residual, %x : tensor<?x7168xbf16>
  %1 = epi.rms_norm %0, %w {eps = 1.0e-6 : f64} : tensor<?x7168xbf16>, tensor<7168xbf16>
  %2, %3 = epi.quantize %1 {block = array<i64: 1, 128>} : tensor<?x7168xbf16> -> tensor<?x7168xf8E4M3FN>, tensor<?x56xf32>
  exec.yield %0, %2, %3 : tensor<?x7168xbf16>, tensor<?x7168xf8E4M3FN>, tensor<?x56xf32>
}

exec.kernel @quantize(%x: tensor<?x2048xbf16>) -> (tensor<?x2048xf8E4M3FN>, tensor<?x16xf32>) {
  %0, %1 = epi.quantize %x {block = array<i64: 1, 128>} : tensor<?x2048xbf16> -> tensor<?x2048xf8E4M3FN>, tensor<?x16xf32>
  exec.yield %0, %1 : tensor<?x2048xf8E4M3FN>, tensor<?x16xf32>
}

// The last block is partial; then one with an odd number of columns.
exec.kernel @quantize_partial(%x: tensor<?x192xbf16>) -> (tensor<?x192xf8E4M3FN>, tensor<?x2xf32>) {
  %0, %1 = epi.quantize %x {block = array<i64: 1, 128>} : tensor<?x192xbf16> -> tensor<?x192xf8E4M3FN>, tensor<?x2xf32>
  exec.yield %0, %1 : tensor<?x192xf8E4M3FN>, tensor<?x2xf32>
}

exec.kernel @quantize_odd(%x: tensor<?x141xf32>) -> (tensor<?x141xf8E4M3FN>, tensor<?x2xf32>) {
  %0, %1 = epi.quantize %x {block = array<i64: 1, 128>} : tensor<?x141xf32> -> tensor<?x141xf8E4M3FN>, tensor<?x2xf32>
  exec.yield %0, %1 : tensor<?x141xf8E4M3FN>, tensor<?x2xf32>
}

exec.kernel @swiglu(%x: tensor<?x1024xbf16>) -> tensor<?x512xbf16> {
  %gate, %up = epi.split %x dim 1 : tensor<?x1024xbf16> to tensor<?x512xbf16>, tensor<?x512xbf16>
  %0 = epi.silu %gate : tensor<?x512xbf16>
  %1 = epi.mul %0, %up : tensor<?x512xbf16>
  exec.yield %1 : tensor<?x512xbf16>
}

exec.kernel @swiglu_quantize(%x: tensor<?x36864xbf16>) -> (tensor<?x18432xf8E4M3FN>, tensor<?x144xf32>) {
  %gate, %up = epi.split %x dim 1 : tensor<?x36864xbf16> to tensor<?x18432xbf16>, tensor<?x18432xbf16>
  %0 = epi.silu %gate : tensor<?x18432xbf16>
  %1 = epi.mul %0, %up : tensor<?x18432xbf16>
  %2, %3 = epi.quantize %1 {block = array<i64: 1, 128>} : tensor<?x18432xbf16> -> tensor<?x18432xf8E4M3FN>, tensor<?x144xf32>
  exec.yield %2, %3 : tensor<?x18432xf8E4M3FN>, tensor<?x144xf32>
}

exec.kernel @clamped_swiglu(%x: tensor<?x176xbf16>) -> tensor<?x88xbf16> {
  %gate, %up = epi.split %x dim 1 : tensor<?x176xbf16> to tensor<?x88xbf16>, tensor<?x88xbf16>
  %0 = epi.clamped_swiglu %gate, %up {clamp = #epi.clamp<alpha = 1.702, limit = 7.0>} : tensor<?x88xbf16>
  exec.yield %0 : tensor<?x88xbf16>
}

// One value a row meets the row; a vector meets all rows.
exec.kernel @gated_add(%x: tensor<?x200xbf16>, %gate: tensor<?x1xbf16>, %y: tensor<?x200xbf16>, %bias: tensor<200xbf16>)
    -> tensor<?x200xbf16> {
  %0 = epi.sigmoid %gate : tensor<?x1xbf16>
  %1 = epi.mul %x, %0 : tensor<?x200xbf16>, tensor<?x1xbf16>
  %2 = epi.add %1, %y : tensor<?x200xbf16>
  %3 = epi.add %2, %bias : tensor<?x200xbf16>, tensor<200xbf16>
  exec.yield %3 : tensor<?x200xbf16>
}

exec.kernel @softmax(%x: tensor<?x128xf32>) -> tensor<?x128xf32> {
  %0 = epi.softmax %x : tensor<?x128xf32>
  exec.yield %0 : tensor<?x128xf32>
}

// Too long for registers.
exec.kernel @softmax_long(%x: tensor<?x30011xbf16>) -> tensor<?x30011xf32> {
  %0 = epi.cast %x : tensor<?x30011xbf16> to tensor<?x30011xf32>
  %1 = epi.softmax %0 : tensor<?x30011xf32>
  exec.yield %1 : tensor<?x30011xf32>
}
