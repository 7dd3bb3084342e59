// Projections of few rows, by products of single warps; each asks for its tile, so that every form is tried.
// skinny_tile: rows, fragments, warps across, warps that share K, blocks that share K, loads in a row.

exec.kernel @linear(%x: tensor<?x512xbf16>, %w: tensor<640x512xbf16>) -> tensor<?x640xbf16> attributes {skinny_tile = array<i64: 8, 1, 1, 8, 1, 4>} {
  %y = epi.linear %x, %w : (tensor<?x512xbf16>, tensor<640x512xbf16>) -> tensor<?x640xbf16>
  exec.yield %y : tensor<?x640xbf16>
}

// Four blocks share K.
exec.kernel @linear_split(%x: tensor<?x7168xbf16>, %w: tensor<96x7168xbf16>) -> tensor<?x96xbf16> attributes {skinny_tile = array<i64: 8, 1, 1, 8, 4, 4>} {
  %y = epi.linear %x, %w : (tensor<?x7168xbf16>, tensor<96x7168xbf16>) -> tensor<?x96xbf16>
  exec.yield %y : tensor<?x96xbf16>
}

exec.kernel @linear_16(%x: tensor<?x512xbf16>, %w: tensor<640x512xbf16>) -> tensor<?x640xbf16> attributes {skinny_tile = array<i64: 16, 2, 1, 8, 1, 2>} {
  %y = epi.linear %x, %w : (tensor<?x512xbf16>, tensor<640x512xbf16>) -> tensor<?x640xbf16>
  exec.yield %y : tensor<?x640xbf16>
}

// Two warps side by side, four along K, in each of two blocks.
exec.kernel @linear_32(%x: tensor<?x1024xbf16>, %w: tensor<640x1024xbf16>) -> tensor<?x640xbf16> attributes {skinny_tile = array<i64: 32, 4, 2, 4, 2, 2>} {
  %y = epi.linear %x, %w : (tensor<?x1024xbf16>, tensor<640x1024xbf16>) -> tensor<?x640xbf16>
  exec.yield %y : tensor<?x640xbf16>
}

// Neither K nor the columns fill the last tile.
exec.kernel @linear_edges(%x: tensor<?x104xbf16>, %w: tensor<83x104xbf16>) -> tensor<?x83xbf16> attributes {skinny_tile = array<i64: 8, 2, 2, 2, 1, 4>} {
  %y = epi.linear %x, %w : (tensor<?x104xbf16>, tensor<83x104xbf16>) -> tensor<?x83xbf16>
  exec.yield %y : tensor<?x83xbf16>
}

// Some of the warps that share K have nothing to do.
exec.kernel @linear_short(%x: tensor<?x64xbf16>, %w: tensor<48x64xbf16>) -> tensor<?x48xbf16> attributes {skinny_tile = array<i64: 8, 1, 1, 8, 2, 2>} {
  %y = epi.linear %x, %w : (tensor<?x64xbf16>, tensor<48x64xbf16>) -> tensor<?x48xbf16>
  exec.yield %y : tensor<?x48xbf16>
}

exec.kernel @linear_to_f32(%x: tensor<?x192xbf16>, %w: tensor<32x192xbf16>) -> tensor<?x32xf32> attributes {skinny_tile = array<i64: 8, 1, 1, 4, 1, 2>} {
  %y = epi.linear %x, %w : (tensor<?x192xbf16>, tensor<32x192xbf16>) -> tensor<?x32xf32>
  exec.yield %y : tensor<?x32xf32>
}

exec.kernel @linear_residual(%x: tensor<?x192xbf16>, %w: tensor<192x192xbf16>, %residual: tensor<?x192xbf16>) -> tensor<?x192xbf16>
    attributes {skinny_tile = array<i64: 16, 2, 1, 4, 1, 2>} {
  %y = epi.linear %x, %w : (tensor<?x192xbf16>, tensor<192x192xbf16>) -> tensor<?x192xbf16>
  %z = epi.add %residual, %y : tensor<?x192xbf16>
  exec.yield %z : tensor<?x192xbf16>
}

// Gate and up of a column in one warp; the last tile is partial.
exec.kernel @linear_gated(%x: tensor<?x192xbf16>, %w: tensor<176x192xbf16>) -> tensor<?x88xbf16> attributes {skinny_tile = array<i64: 8, 2, 1, 4, 2, 4>} {
  %y = epi.linear %x, %w : (tensor<?x192xbf16>, tensor<176x192xbf16>) -> tensor<?x176xbf16>
  %gate, %up = epi.split %y dim 1 : tensor<?x176xbf16> to tensor<?x88xbf16>, tensor<?x88xbf16>
  %0 = epi.silu %gate : tensor<?x88xbf16>
  %1 = epi.mul %0, %up : tensor<?x88xbf16>
  exec.yield %1 : tensor<?x88xbf16>
}

exec.kernel @grouped(%x: tensor<?x192xbf16>, %counts: tensor<8xi32>, %w: tensor<8x128x192xbf16>) -> tensor<?x128xbf16>
    attributes {skinny_tile = array<i64: 8, 1, 1, 4, 1, 2>} {
  %y = epi.grouped_linear %x, %counts, %w
      : (tensor<?x192xbf16>, tensor<8xi32>, tensor<8x128x192xbf16>) -> tensor<?x128xbf16>
  exec.yield %y : tensor<?x128xbf16>
}

// More groups than lanes; blocks that share K go from tile to tile together.
exec.kernel @grouped_split(%x: tensor<?x512xbf16>, %counts: tensor<40xi32>, %w: tensor<40x112x512xbf16>, %bias: tensor<40x112xbf16>) -> tensor<?x112xbf16>
    attributes {skinny_tile = array<i64: 16, 2, 1, 4, 2, 2>} {
  %y = epi.grouped_linear %x, %counts, %w bias %bias
      : (tensor<?x512xbf16>, tensor<40xi32>, tensor<40x112x512xbf16>) bias tensor<40x112xbf16> -> tensor<?x112xbf16>
  exec.yield %y : tensor<?x112xbf16>
}

// Of a part of each head.
exec.kernel @heads(%x: tensor<?x288xbf16>, %w: tensor<6x64x32xbf16>) -> tensor<?x6x64xbf16> attributes {skinny_tile = array<i64: 8, 1, 1, 2, 1, 2>} {
  %0 = epi.reshape %x : tensor<?x288xbf16> to tensor<?x6x48xbf16>
  %part, %rest = epi.split %0 dim 2 : tensor<?x6x48xbf16> to tensor<?x6x32xbf16>, tensor<?x6x16xbf16>
  %y = epi.head_linear %part, %w : (tensor<?x6x32xbf16>, tensor<6x64x32xbf16>) -> tensor<?x6x64xbf16>
  exec.yield %y : tensor<?x6x64xbf16>
}

exec.kernel @heads_wide(%x: tensor<?x5x128xbf16>, %w: tensor<5x512x128xbf16>) -> tensor<?x5x512xbf16> attributes {skinny_tile = array<i64: 32, 4, 2, 2, 1, 2>} {
  %y = epi.head_linear %x, %w : (tensor<?x5x128xbf16>, tensor<5x512x128xbf16>) -> tensor<?x5x512xbf16>
  exec.yield %y : tensor<?x5x512xbf16>
}

exec.kernel @fp8_linear(%x: tensor<?x1024xf8E4M3FN>, %xs: tensor<?x8xf32>, %w: tensor<320x1024xf8E4M3FN>, %ws: tensor<3x8xf32>)
    -> tensor<?x320xbf16> attributes {skinny_tile = array<i64: 8, 1, 1, 4, 1, 2>} {
  %y = epi.linear %x scale %xs, %w scale %ws
      : (tensor<?x1024xf8E4M3FN> scale tensor<?x8xf32>, tensor<320x1024xf8E4M3FN> scale tensor<3x8xf32>) -> tensor<?x320xbf16>
  exec.yield %y : tensor<?x320xbf16>
}

exec.kernel @fp8_linear_split(%x: tensor<?x2048xf8E4M3FN>, %xs: tensor<?x16xf32>, %w: tensor<160x2048xf8E4M3FN>, %ws: tensor<2x16xf32>)
    -> tensor<?x160xbf16> attributes {skinny_tile = array<i64: 16, 2, 1, 4, 2, 4>} {
  %y = epi.linear %x scale %xs, %w scale %ws
      : (tensor<?x2048xf8E4M3FN> scale tensor<?x16xf32>, tensor<160x2048xf8E4M3FN> scale tensor<2x16xf32>) -> tensor<?x160xbf16>
  exec.yield %y : tensor<?x160xbf16>
}

// The last block of 128 is partial both ways.
exec.kernel @fp8_linear_partial(%x: tensor<?x176xf8E4M3FN>, %xs: tensor<?x2xf32>, %w: tensor<200x176xf8E4M3FN>, %ws: tensor<2x2xf32>)
    -> tensor<?x200xbf16> attributes {skinny_tile = array<i64: 8, 2, 1, 2, 1, 2>} {
  %y = epi.linear %x scale %xs, %w scale %ws
      : (tensor<?x176xf8E4M3FN> scale tensor<?x2xf32>, tensor<200x176xf8E4M3FN> scale tensor<2x2xf32>) -> tensor<?x200xbf16>
  exec.yield %y : tensor<?x200xbf16>
}

exec.kernel @fp8_grouped(%x: tensor<?x512xf8E4M3FN>, %xs: tensor<?x4xf32>, %counts: tensor<8xi32>, %w: tensor<8x256x512xf8E4M3FN>, %ws: tensor<8x2x4xf32>)
    -> tensor<?x256xbf16> attributes {skinny_tile = array<i64: 8, 1, 1, 4, 1, 2>} {
  %y = epi.grouped_linear %x scale %xs, %counts, %w scale %ws
      : (tensor<?x512xf8E4M3FN> scale tensor<?x4xf32>, tensor<8xi32>, tensor<8x256x512xf8E4M3FN> scale tensor<8x2x4xf32>) -> tensor<?x256xbf16>
  exec.yield %y : tensor<?x256xbf16>
}
