// Projections of few rows whose weights pass through shared memory; each asks for its tile, so that every form is tried.
// narrow_tile: rows, columns of each part, warps that share K, loads of a warp in a stage.

exec.kernel @linear(%x: tensor<?x2048xbf16>, %w: tensor<640x2048xbf16>) -> tensor<?x640xbf16>
    attributes {narrow_tile = array<i64: 8, 16, 8, 2>} {
  %y = epi.linear %x, %w
      : (tensor<?x2048xbf16>, tensor<640x2048xbf16>) -> tensor<?x640xbf16>
  exec.yield %y : tensor<?x640xbf16>
}

// Each row is a tile.
exec.kernel @linear_one_row(%x: tensor<?x2048xbf16>, %w: tensor<640x2048xbf16>) -> tensor<?x640xbf16>
    attributes {narrow_tile = array<i64: 1, 16, 8, 2>} {
  %y = epi.linear %x, %w
      : (tensor<?x2048xbf16>, tensor<640x2048xbf16>) -> tensor<?x640xbf16>
  exec.yield %y : tensor<?x640xbf16>
}

// Half of a fragment.
exec.kernel @linear_8(%x: tensor<?x4096xbf16>, %w: tensor<640x4096xbf16>) -> tensor<?x640xbf16>
    attributes {narrow_tile = array<i64: 8, 8, 8, 4>} {
  %y = epi.linear %x, %w
      : (tensor<?x4096xbf16>, tensor<640x4096xbf16>) -> tensor<?x640xbf16>
  exec.yield %y : tensor<?x640xbf16>
}

exec.kernel @linear_32(%x: tensor<?x1536xbf16>, %w: tensor<672x1536xbf16>) -> tensor<?x672xbf16>
    attributes {narrow_tile = array<i64: 8, 32, 8, 2>} {
  %y = epi.linear %x, %w
      : (tensor<?x1536xbf16>, tensor<672x1536xbf16>) -> tensor<?x672xbf16>
  exec.yield %y : tensor<?x672xbf16>
}

exec.kernel @linear_16_rows(%x: tensor<?x1024xbf16>, %w: tensor<640x1024xbf16>) -> tensor<?x640xbf16>
    attributes {narrow_tile = array<i64: 16, 16, 8, 2>} {
  %y = epi.linear %x, %w
      : (tensor<?x1024xbf16>, tensor<640x1024xbf16>) -> tensor<?x640xbf16>
  exec.yield %y : tensor<?x640xbf16>
}

exec.kernel @linear_32_rows(%x: tensor<?x1024xbf16>, %w: tensor<640x1024xbf16>) -> tensor<?x640xbf16>
    attributes {narrow_tile = array<i64: 32, 16, 8, 2>} {
  %y = epi.linear %x, %w
      : (tensor<?x1024xbf16>, tensor<640x1024xbf16>) -> tensor<?x640xbf16>
  exec.yield %y : tensor<?x640xbf16>
}

// As many registers of x as there are.
exec.kernel @linear_long(%x: tensor<?x7168xbf16>, %w: tensor<128x7168xbf16>) -> tensor<?x128xbf16>
    attributes {narrow_tile = array<i64: 8, 16, 8, 1>} {
  %y = epi.linear %x, %w
      : (tensor<?x7168xbf16>, tensor<128x7168xbf16>) -> tensor<?x128xbf16>
  exec.yield %y : tensor<?x128xbf16>
}

// Many short stages.
exec.kernel @linear_short_stages(%x: tensor<?x2048xbf16>, %w: tensor<2048x2048xbf16>) -> tensor<?x2048xbf16>
    attributes {narrow_tile = array<i64: 8, 8, 8, 1>} {
  %y = epi.linear %x, %w
      : (tensor<?x2048xbf16>, tensor<2048x2048xbf16>) -> tensor<?x2048xbf16>
  exec.yield %y : tensor<?x2048xbf16>
}

exec.kernel @linear_16_warps(%x: tensor<?x4096xbf16>, %w: tensor<2048x4096xbf16>) -> tensor<?x2048xbf16>
    attributes {narrow_tile = array<i64: 8, 16, 16, 1>} {
  %y = epi.linear %x, %w
      : (tensor<?x4096xbf16>, tensor<2048x4096xbf16>) -> tensor<?x2048xbf16>
  exec.yield %y : tensor<?x2048xbf16>
}

// Neither K nor the columns fill the last stage.
exec.kernel @linear_edges(%x: tensor<?x776xbf16>, %w: tensor<83x776xbf16>) -> tensor<?x83xbf16>
    attributes {narrow_tile = array<i64: 8, 16, 4, 2>} {
  %y = epi.linear %x, %w
      : (tensor<?x776xbf16>, tensor<83x776xbf16>) -> tensor<?x83xbf16>
  exec.yield %y : tensor<?x83xbf16>
}

// Most of the warps that share K have nothing to do.
exec.kernel @linear_short(%x: tensor<?x64xbf16>, %w: tensor<48x64xbf16>) -> tensor<?x48xbf16>
    attributes {narrow_tile = array<i64: 8, 16, 8, 2>} {
  %y = epi.linear %x, %w
      : (tensor<?x64xbf16>, tensor<48x64xbf16>) -> tensor<?x48xbf16>
  exec.yield %y : tensor<?x48xbf16>
}

exec.kernel @linear_to_f32(%x: tensor<?x192xbf16>, %w: tensor<40x192xbf16>) -> tensor<?x40xf32>
    attributes {narrow_tile = array<i64: 8, 8, 4, 3>} {
  %y = epi.linear %x, %w
      : (tensor<?x192xbf16>, tensor<40x192xbf16>) -> tensor<?x40xf32>
  exec.yield %y : tensor<?x40xf32>
}

// Most blocks have a unit, the last of which is partial.
exec.kernel @linear_residual(%x: tensor<?x768xbf16>, %w: tensor<2112x768xbf16>, %residual: tensor<?x2112xbf16>) -> tensor<?x2112xbf16>
    attributes {narrow_tile = array<i64: 8, 16, 8, 2>} {
  %y = epi.linear %x, %w
      : (tensor<?x768xbf16>, tensor<2112x768xbf16>) -> tensor<?x2112xbf16>
  %z = epi.add %residual, %y : tensor<?x2112xbf16>
  exec.yield %z : tensor<?x2112xbf16>
}

// Gate and up of a column are the halves of a fragment.
exec.kernel @linear_gated(%x: tensor<?x1536xbf16>, %w: tensor<176x1536xbf16>) -> tensor<?x88xbf16>
    attributes {narrow_tile = array<i64: 8, 8, 8, 2>} {
  %y = epi.linear %x, %w
      : (tensor<?x1536xbf16>, tensor<176x1536xbf16>) -> tensor<?x176xbf16>
  %gate, %up = epi.split %y dim 1 : tensor<?x176xbf16> to tensor<?x88xbf16>, tensor<?x88xbf16>
  %0 = epi.silu %gate : tensor<?x88xbf16>
  %1 = epi.mul %0, %up : tensor<?x88xbf16>
  exec.yield %1 : tensor<?x88xbf16>
}

// The last unit is partial.
exec.kernel @linear_gated_16(%x: tensor<?x192xbf16>, %w: tensor<176x192xbf16>) -> tensor<?x88xbf16>
    attributes {narrow_tile = array<i64: 8, 16, 8, 2>} {
  %y = epi.linear %x, %w
      : (tensor<?x192xbf16>, tensor<176x192xbf16>) -> tensor<?x176xbf16>
  %gate, %up = epi.split %y dim 1 : tensor<?x176xbf16> to tensor<?x88xbf16>, tensor<?x88xbf16>
  %0 = epi.silu %gate : tensor<?x88xbf16>
  %1 = epi.mul %0, %up : tensor<?x88xbf16>
  exec.yield %1 : tensor<?x88xbf16>
}

exec.kernel @grouped(%x: tensor<?x2048xbf16>, %counts: tensor<8xi32>, %w: tensor<8x384x2048xbf16>) -> tensor<?x384xbf16>
    attributes {narrow_tile = array<i64: 8, 16, 8, 2>} {
  %y = epi.grouped_linear %x, %counts, %w
      : (tensor<?x2048xbf16>, tensor<8xi32>, tensor<8x384x2048xbf16>) -> tensor<?x384xbf16>
  exec.yield %y : tensor<?x384xbf16>
}

exec.kernel @grouped_one_row(%x: tensor<?x768xbf16>, %counts: tensor<40xi32>, %w: tensor<40x384x768xbf16>) -> tensor<?x384xbf16>
    attributes {narrow_tile = array<i64: 1, 16, 8, 2>} {
  %y = epi.grouped_linear %x, %counts, %w
      : (tensor<?x768xbf16>, tensor<40xi32>, tensor<40x384x768xbf16>) -> tensor<?x384xbf16>
  exec.yield %y : tensor<?x384xbf16>
}

// More groups than lanes; K is partial.
exec.kernel @grouped_bias(%x: tensor<?x520xbf16>, %counts: tensor<40xi32>, %w: tensor<40x112x520xbf16>, %bias: tensor<40x112xbf16>) -> tensor<?x112xbf16>
    attributes {narrow_tile = array<i64: 16, 16, 4, 2>} {
  %y = epi.grouped_linear %x, %counts, %w bias %bias
      : (tensor<?x520xbf16>, tensor<40xi32>, tensor<40x112x520xbf16>) bias tensor<40x112xbf16> -> tensor<?x112xbf16>
  exec.yield %y : tensor<?x112xbf16>
}

exec.kernel @grouped_gated(%x: tensor<?x2048xbf16>, %counts: tensor<128xi32>, %w: tensor<128x96x2048xbf16>) -> tensor<?x48xbf16>
    attributes {narrow_tile = array<i64: 8, 8, 8, 2>} {
  %y = epi.grouped_linear %x, %counts, %w
      : (tensor<?x2048xbf16>, tensor<128xi32>, tensor<128x96x2048xbf16>) -> tensor<?x96xbf16>
  %gate, %up = epi.split %y dim 1 : tensor<?x96xbf16> to tensor<?x48xbf16>, tensor<?x48xbf16>
  %0 = epi.silu %gate : tensor<?x48xbf16>
  %1 = epi.mul %0, %up : tensor<?x48xbf16>
  exec.yield %1 : tensor<?x48xbf16>
}

exec.kernel @fp8_linear(%x: tensor<?x2048xf8E4M3FN>, %xs: tensor<?x16xf32>, %w: tensor<320x2048xf8E4M3FN>, %ws: tensor<3x16xf32>) -> tensor<?x320xbf16>
    attributes {narrow_tile = array<i64: 8, 16, 8, 2>} {
  %y = epi.linear %x scale %xs, %w scale %ws
      : (tensor<?x2048xf8E4M3FN> scale tensor<?x16xf32>, tensor<320x2048xf8E4M3FN> scale tensor<3x16xf32>) -> tensor<?x320xbf16>
  exec.yield %y : tensor<?x320xbf16>
}

exec.kernel @fp8_linear_one_row(%x: tensor<?x7168xf8E4M3FN>, %xs: tensor<?x56xf32>, %w: tensor<2112x7168xf8E4M3FN>, %ws: tensor<17x56xf32>) -> tensor<?x2112xbf16>
    attributes {narrow_tile = array<i64: 1, 16, 8, 2>} {
  %y = epi.linear %x scale %xs, %w scale %ws
      : (tensor<?x7168xf8E4M3FN> scale tensor<?x56xf32>, tensor<2112x7168xf8E4M3FN> scale tensor<17x56xf32>) -> tensor<?x2112xbf16>
  exec.yield %y : tensor<?x2112xbf16>
}

exec.kernel @fp8_linear_long(%x: tensor<?x7168xf8E4M3FN>, %xs: tensor<?x56xf32>, %w: tensor<160x7168xf8E4M3FN>, %ws: tensor<2x56xf32>) -> tensor<?x160xbf16>
    attributes {narrow_tile = array<i64: 8, 16, 8, 2>} {
  %y = epi.linear %x scale %xs, %w scale %ws
      : (tensor<?x7168xf8E4M3FN> scale tensor<?x56xf32>, tensor<160x7168xf8E4M3FN> scale tensor<2x56xf32>) -> tensor<?x160xbf16>
  exec.yield %y : tensor<?x160xbf16>
}

// Two warps share a block of scales.
exec.kernel @fp8_linear_16_warps(%x: tensor<?x3072xf8E4M3FN>, %xs: tensor<?x24xf32>, %w: tensor<160x3072xf8E4M3FN>, %ws: tensor<2x24xf32>) -> tensor<?x160xbf16>
    attributes {narrow_tile = array<i64: 8, 8, 16, 1>} {
  %y = epi.linear %x scale %xs, %w scale %ws
      : (tensor<?x3072xf8E4M3FN> scale tensor<?x24xf32>, tensor<160x3072xf8E4M3FN> scale tensor<2x24xf32>) -> tensor<?x160xbf16>
  exec.yield %y : tensor<?x160xbf16>
}

exec.kernel @fp8_linear_12_warps(%x: tensor<?x1536xf8E4M3FN>, %xs: tensor<?x12xf32>, %w: tensor<640x1536xf8E4M3FN>, %ws: tensor<5x12xf32>) -> tensor<?x640xbf16>
    attributes {narrow_tile = array<i64: 8, 16, 12, 2>} {
  %y = epi.linear %x scale %xs, %w scale %ws
      : (tensor<?x1536xf8E4M3FN> scale tensor<?x12xf32>, tensor<640x1536xf8E4M3FN> scale tensor<5x12xf32>) -> tensor<?x640xbf16>
  exec.yield %y : tensor<?x640xbf16>
}

// The last stage is partial.
exec.kernel @fp8_linear_wide(%x: tensor<?x1664xf8E4M3FN>, %xs: tensor<?x13xf32>, %w: tensor<272x1664xf8E4M3FN>, %ws: tensor<3x13xf32>) -> tensor<?x272xbf16>
    attributes {narrow_tile = array<i64: 8, 32, 8, 2>} {
  %y = epi.linear %x scale %xs, %w scale %ws
      : (tensor<?x1664xf8E4M3FN> scale tensor<?x13xf32>, tensor<272x1664xf8E4M3FN> scale tensor<3x13xf32>) -> tensor<?x272xbf16>
  exec.yield %y : tensor<?x272xbf16>
}

// Two blocks of scales of each warp in a step.
exec.kernel @fp8_linear_two_blocks(%x: tensor<?x1664xf8E4M3FN>, %xs: tensor<?x13xf32>, %w: tensor<272x1664xf8E4M3FN>, %ws: tensor<3x13xf32>) -> tensor<?x272xbf16>
    attributes {narrow_tile = array<i64: 8, 16, 4, 4>} {
  %y = epi.linear %x scale %xs, %w scale %ws
      : (tensor<?x1664xf8E4M3FN> scale tensor<?x13xf32>, tensor<272x1664xf8E4M3FN> scale tensor<3x13xf32>) -> tensor<?x272xbf16>
  exec.yield %y : tensor<?x272xbf16>
}

// The last block of 128 is partial both ways.
exec.kernel @fp8_linear_partial(%x: tensor<?x176xf8E4M3FN>, %xs: tensor<?x2xf32>, %w: tensor<200x176xf8E4M3FN>, %ws: tensor<2x2xf32>) -> tensor<?x200xbf16>
    attributes {narrow_tile = array<i64: 8, 16, 4, 2>} {
  %y = epi.linear %x scale %xs, %w scale %ws
      : (tensor<?x176xf8E4M3FN> scale tensor<?x2xf32>, tensor<200x176xf8E4M3FN> scale tensor<2x2xf32>) -> tensor<?x200xbf16>
  exec.yield %y : tensor<?x200xbf16>
}

// The halves of a fragment have different scales.
exec.kernel @fp8_linear_gated(%x: tensor<?x6144xf8E4M3FN>, %xs: tensor<?x48xf32>, %w: tensor<512x6144xf8E4M3FN>, %ws: tensor<4x48xf32>) -> tensor<?x256xbf16>
    attributes {narrow_tile = array<i64: 1, 8, 8, 2>} {
  %y = epi.linear %x scale %xs, %w scale %ws
      : (tensor<?x6144xf8E4M3FN> scale tensor<?x48xf32>, tensor<512x6144xf8E4M3FN> scale tensor<4x48xf32>) -> tensor<?x512xbf16>
  %gate, %up = epi.split %y dim 1 : tensor<?x512xbf16> to tensor<?x256xbf16>, tensor<?x256xbf16>
  %0 = epi.silu %gate : tensor<?x256xbf16>
  %1 = epi.mul %0, %up : tensor<?x256xbf16>
  exec.yield %1 : tensor<?x256xbf16>
}

exec.kernel @fp8_grouped(%x: tensor<?x2048xf8E4M3FN>, %xs: tensor<?x16xf32>, %counts: tensor<8xi32>, %w: tensor<8x256x2048xf8E4M3FN>, %ws: tensor<8x2x16xf32>) -> tensor<?x256xbf16>
    attributes {narrow_tile = array<i64: 8, 16, 8, 2>} {
  %y = epi.grouped_linear %x scale %xs, %counts, %w scale %ws
      : (tensor<?x2048xf8E4M3FN> scale tensor<?x16xf32>, tensor<8xi32>, tensor<8x256x2048xf8E4M3FN> scale tensor<8x2x16xf32>) -> tensor<?x256xbf16>
  exec.yield %y : tensor<?x256xbf16>
}

exec.kernel @fp8_grouped_gated(%x: tensor<?x1024xf8E4M3FN>, %xs: tensor<?x8xf32>, %counts: tensor<33xi32>, %w: tensor<33x416x1024xf8E4M3FN>, %ws: tensor<33x4x8xf32>) -> tensor<?x208xbf16>
    attributes {narrow_tile = array<i64: 8, 16, 8, 2>} {
  %y = epi.grouped_linear %x scale %xs, %counts, %w scale %ws
      : (tensor<?x1024xf8E4M3FN> scale tensor<?x8xf32>, tensor<33xi32>, tensor<33x416x1024xf8E4M3FN> scale tensor<33x4x8xf32>) -> tensor<?x416xbf16>
  %gate, %up = epi.split %y dim 1 : tensor<?x416xbf16> to tensor<?x208xbf16>, tensor<?x208xbf16>
  %0 = epi.silu %gate : tensor<?x208xbf16>
  %1 = epi.mul %0, %up : tensor<?x208xbf16>
  exec.yield %1 : tensor<?x208xbf16>
}
