// Projections in tiles of wgmma: edges, epilogues, groups, scales. Each asks for its tile, so that every form is tried.
// wide_tile: whether swapped, rows, columns, multicast, split, blocks of a multiprocessor, whether streamed.

// Whole tiles along N and K.
exec.kernel @linear(%x: tensor<?x512xbf16>, %w: tensor<640x512xbf16>) -> tensor<?x640xbf16> attributes {wide_tile = array<i64: 0, 128, 128, 1, 1, 1, 0>} {
  %y = epi.linear %x, %w
      : (tensor<?x512xbf16>, tensor<640x512xbf16>) -> tensor<?x640xbf16>
  exec.yield %y : tensor<?x640xbf16>
}

// Partial tiles along N and K.
exec.kernel @linear_edges(%x: tensor<?x192xbf16>, %w: tensor<176x192xbf16>) -> tensor<?x176xbf16> attributes {wide_tile = array<i64: 0, 128, 256, 1, 1, 1, 0>} {
  %y = epi.linear %x, %w
      : (tensor<?x192xbf16>, tensor<176x192xbf16>) -> tensor<?x176xbf16>
  exec.yield %y : tensor<?x176xbf16>
}

// Two blocks share the weights.
exec.kernel @linear_multicast(%x: tensor<?x448xbf16>, %w: tensor<520x448xbf16>) -> tensor<?x520xbf16> attributes {wide_tile = array<i64: 0, 128, 256, 2, 1, 1, 0>} {
  %y = epi.linear %x, %w
      : (tensor<?x448xbf16>, tensor<520x448xbf16>) -> tensor<?x520xbf16>
  exec.yield %y : tensor<?x520xbf16>
}

// Columns that 16-byte accesses do not divide.
exec.kernel @linear_odd(%x: tensor<?x64xbf16>, %w: tensor<171x64xbf16>) -> tensor<?x171xbf16> attributes {wide_tile = array<i64: 0, 128, 128, 1, 1, 1, 0>} {
  %y = epi.linear %x, %w
      : (tensor<?x64xbf16>, tensor<171x64xbf16>) -> tensor<?x171xbf16>
  exec.yield %y : tensor<?x171xbf16>
}

// One warpgroup that multiplies.
exec.kernel @linear_short(%x: tensor<?x320xbf16>, %w: tensor<264x320xbf16>) -> tensor<?x264xbf16> attributes {wide_tile = array<i64: 0, 64, 128, 1, 1, 1, 0>} {
  %y = epi.linear %x, %w
      : (tensor<?x320xbf16>, tensor<264x320xbf16>) -> tensor<?x264xbf16>
  exec.yield %y : tensor<?x264xbf16>
}

// Two blocks share a multiprocessor.
exec.kernel @linear_shared(%x: tensor<?x1000xbf16>, %w: tensor<264x1000xbf16>) -> tensor<?x264xbf16> attributes {wide_tile = array<i64: 0, 64, 64, 1, 2, 2, 0>} {
  %y = epi.linear %x, %w
      : (tensor<?x1000xbf16>, tensor<264x1000xbf16>) -> tensor<?x264xbf16>
  exec.yield %y : tensor<?x264xbf16>
}

// Slabs of 64 columns.
exec.kernel @linear_residual_narrow(%x: tensor<?x320xbf16>, %w: tensor<264x320xbf16>, %residual: tensor<?x264xbf16>) -> tensor<?x264xbf16> attributes {wide_tile = array<i64: 0, 64, 64, 1, 1, 1, 0>} {
  %y = epi.linear %x, %w
      : (tensor<?x320xbf16>, tensor<264x320xbf16>) -> tensor<?x264xbf16>
  %z = epi.add %residual, %y : tensor<?x264xbf16>
  exec.yield %z : tensor<?x264xbf16>
}

// Columns that are no power of two.
exec.kernel @linear_three_slabs(%x: tensor<?x320xbf16>, %w: tensor<600x320xbf16>) -> tensor<?x600xbf16> attributes {wide_tile = array<i64: 0, 128, 192, 1, 1, 1, 0>} {
  %y = epi.linear %x, %w
      : (tensor<?x320xbf16>, tensor<600x320xbf16>) -> tensor<?x600xbf16>
  exec.yield %y : tensor<?x600xbf16>
}

// A result that is not rounded.
exec.kernel @linear_f32(%x: tensor<?x512xbf16>, %w: tensor<256x512xbf16>) -> tensor<?x256xf32> attributes {wide_tile = array<i64: 0, 128, 128, 1, 1, 1, 0>} {
  %y = epi.linear %x, %w
      : (tensor<?x512xbf16>, tensor<256x512xbf16>) -> tensor<?x256xf32>
  exec.yield %y : tensor<?x256xf32>
}

// x is part of the columns of a tensor.
exec.kernel @linear_view(%x: tensor<?x576xbf16>, %w: tensor<128x256xbf16>) -> tensor<?x128xbf16> attributes {wide_tile = array<i64: 0, 128, 128, 1, 1, 1, 0>} {
  %left, %part = epi.split %x dim 1 : tensor<?x576xbf16> to tensor<?x320xbf16>, tensor<?x256xbf16>
  %y = epi.linear %part, %w
      : (tensor<?x256xbf16>, tensor<128x256xbf16>) -> tensor<?x128xbf16>
  exec.yield %y : tensor<?x128xbf16>
}

// An epilogue that reads rows.
exec.kernel @linear_residual(%x: tensor<?x512xbf16>, %w: tensor<384x512xbf16>, %residual: tensor<?x384xbf16>) -> tensor<?x384xbf16> attributes {wide_tile = array<i64: 0, 128, 128, 2, 1, 1, 0>} {
  %y = epi.linear %x, %w
      : (tensor<?x512xbf16>, tensor<384x512xbf16>) -> tensor<?x384xbf16>
  %z = epi.add %residual, %y : tensor<?x384xbf16>
  exec.yield %z : tensor<?x384xbf16>
}

// An epilogue that reads a value of each row and of each column; two results.
exec.kernel @linear_scaled(%x: tensor<?x256xbf16>, %w: tensor<192x256xbf16>, %gate: tensor<?x1xbf16>, %offset: tensor<192xbf16>) -> (tensor<?x192xbf16>, tensor<?x192xbf16>) attributes {wide_tile = array<i64: 0, 128, 128, 1, 1, 1, 0>} {
  %y = epi.linear %x, %w
      : (tensor<?x256xbf16>, tensor<192x256xbf16>) -> tensor<?x192xbf16>
  %s = epi.sigmoid %gate : tensor<?x1xbf16>
  %z = epi.mul %y, %s : tensor<?x192xbf16>, tensor<?x1xbf16>
  %u = epi.add %z, %offset : tensor<?x192xbf16>, tensor<192xbf16>
  exec.yield %u, %y : tensor<?x192xbf16>, tensor<?x192xbf16>
}

// Halves that meet.
exec.kernel @linear_gated(%x: tensor<?x256xbf16>, %w: tensor<400x256xbf16>) -> tensor<?x200xbf16> attributes {wide_tile = array<i64: 0, 128, 128, 1, 1, 1, 0>} {
  %y = epi.linear %x, %w
      : (tensor<?x256xbf16>, tensor<400x256xbf16>) -> tensor<?x400xbf16>
  %gate, %up = epi.split %y dim 1 : tensor<?x400xbf16> to tensor<?x200xbf16>, tensor<?x200xbf16>
  %a = epi.silu %gate : tensor<?x200xbf16>
  %h = epi.mul %a, %up : tensor<?x200xbf16>
  exec.yield %h : tensor<?x200xbf16>
}

// Halves that meet and are quantized, the last block partial.
exec.kernel @linear_gated_quantized(%x: tensor<?x256xbf16>, %w: tensor<384x256xbf16>) -> (tensor<?x192xf8E4M3FN>, tensor<?x2xf32>) attributes {wide_tile = array<i64: 0, 128, 128, 1, 1, 1, 0>} {
  %y = epi.linear %x, %w
      : (tensor<?x256xbf16>, tensor<384x256xbf16>) -> tensor<?x384xbf16>
  %gate, %up = epi.split %y dim 1 : tensor<?x384xbf16> to tensor<?x192xbf16>, tensor<?x192xbf16>
  %a = epi.silu %gate : tensor<?x192xbf16>
  %h = epi.mul %a, %up : tensor<?x192xbf16>
  %q, %s = epi.quantize %h {block = array<i64: 1, 128>} : tensor<?x192xbf16> -> tensor<?x192xf8E4M3FN>, tensor<?x2xf32>
  exec.yield %q, %s : tensor<?x192xf8E4M3FN>, tensor<?x2xf32>
}

// Weights are the operand with 64 rows.
exec.kernel @linear_swapped(%x: tensor<?x448xbf16>, %w: tensor<272x448xbf16>) -> tensor<?x272xbf16> attributes {wide_tile = array<i64: 1, 16, 128, 1, 1, 1, 0>} {
  %y = epi.linear %x, %w
      : (tensor<?x448xbf16>, tensor<272x448xbf16>) -> tensor<?x272xbf16>
  exec.yield %y : tensor<?x272xbf16>
}

// Slabs of half the rows.
exec.kernel @linear_residual_swapped(%x: tensor<?x320xbf16>, %w: tensor<520x320xbf16>, %residual: tensor<?x520xbf16>) -> tensor<?x520xbf16> attributes {wide_tile = array<i64: 1, 96, 256, 1, 1, 1, 0>} {
  %y = epi.linear %x, %w
      : (tensor<?x320xbf16>, tensor<520x320xbf16>) -> tensor<?x520xbf16>
  %z = epi.add %residual, %y : tensor<?x520xbf16>
  exec.yield %z : tensor<?x520xbf16>
}

// Swapped, not rounded.
exec.kernel @linear_swapped_f32(%x: tensor<?x320xbf16>, %w: tensor<264x320xbf16>) -> tensor<?x264xf32> attributes {wide_tile = array<i64: 1, 64, 128, 1, 1, 1, 0>} {
  %y = epi.linear %x, %w
      : (tensor<?x320xbf16>, tensor<264x320xbf16>) -> tensor<?x264xf32>
  exec.yield %y : tensor<?x264xf32>
}

// Blocks share K.
exec.kernel @linear_residual_split(%x: tensor<?x1000xbf16>, %w: tensor<272x1000xbf16>, %residual: tensor<?x272xbf16>) -> tensor<?x272xbf16> attributes {wide_tile = array<i64: 0, 64, 64, 1, 4, 1, 0>} {
  %y = epi.linear %x, %w
      : (tensor<?x1000xbf16>, tensor<272x1000xbf16>) -> tensor<?x272xbf16>
  %z = epi.add %residual, %y : tensor<?x272xbf16>
  exec.yield %z : tensor<?x272xbf16>
}

// Blocks share K; two warpgroups.
exec.kernel @linear_split_wide(%x: tensor<?x448xbf16>, %w: tensor<256x448xbf16>) -> tensor<?x256xf32> attributes {wide_tile = array<i64: 0, 128, 128, 1, 2, 1, 0>} {
  %y = epi.linear %x, %w
      : (tensor<?x448xbf16>, tensor<256x448xbf16>) -> tensor<?x256xf32>
  exec.yield %y : tensor<?x256xf32>
}

// Blocks share K, swapped.
exec.kernel @linear_gated_split(%x: tensor<?x1024xbf16>, %w: tensor<384x1024xbf16>) -> tensor<?x192xbf16> attributes {wide_tile = array<i64: 1, 32, 128, 1, 2, 1, 0>} {
  %y = epi.linear %x, %w
      : (tensor<?x1024xbf16>, tensor<384x1024xbf16>) -> tensor<?x384xbf16>
  %gate, %up = epi.split %y dim 1 : tensor<?x384xbf16> to tensor<?x192xbf16>, tensor<?x192xbf16>
  %a = epi.silu %gate : tensor<?x192xbf16>
  %h = epi.mul %a, %up : tensor<?x192xbf16>
  exec.yield %h : tensor<?x192xbf16>
}

// Streamed: blocks have parts of two tiles, and tiles parts in several blocks.
exec.kernel @linear_streamed(%x: tensor<?x448xbf16>, %w: tensor<176x448xbf16>) -> tensor<?x176xbf16> attributes {wide_tile = array<i64: 1, 16, 64, 1, 1, 2, 1>} {
  %y = epi.linear %x, %w
      : (tensor<?x448xbf16>, tensor<176x448xbf16>) -> tensor<?x176xbf16>
  exec.yield %y : tensor<?x176xbf16>
}

// Streamed, as many blocks for each tile, of two warpgroups.
exec.kernel @linear_residual_streamed(%x: tensor<?x1000xbf16>, %w: tensor<520x1000xbf16>, %residual: tensor<?x520xbf16>) -> tensor<?x520xbf16> attributes {wide_tile = array<i64: 1, 32, 128, 1, 1, 1, 1>} {
  %y = epi.linear %x, %w
      : (tensor<?x1000xbf16>, tensor<520x1000xbf16>) -> tensor<?x520xbf16>
  %z = epi.add %residual, %y : tensor<?x520xbf16>
  exec.yield %z : tensor<?x520xbf16>
}

// Streamed halves that meet, each half a fragment.
exec.kernel @linear_gated_streamed(%x: tensor<?x1024xbf16>, %w: tensor<384x1024xbf16>) -> tensor<?x192xbf16> attributes {wide_tile = array<i64: 1, 16, 64, 1, 1, 2, 1>} {
  %y = epi.linear %x, %w
      : (tensor<?x1024xbf16>, tensor<384x1024xbf16>) -> tensor<?x384xbf16>
  %gate, %up = epi.split %y dim 1 : tensor<?x384xbf16> to tensor<?x192xbf16>, tensor<?x192xbf16>
  %a = epi.silu %gate : tensor<?x192xbf16>
  %h = epi.mul %a, %up : tensor<?x192xbf16>
  exec.yield %h : tensor<?x192xbf16>
}

// Streamed, rows of x are the operand with 64 rows.
exec.kernel @linear_f32_streamed(%x: tensor<?x448xbf16>, %w: tensor<264x448xbf16>) -> tensor<?x264xf32> attributes {wide_tile = array<i64: 0, 64, 64, 1, 1, 2, 1>} {
  %y = epi.linear %x, %w
      : (tensor<?x448xbf16>, tensor<264x448xbf16>) -> tensor<?x264xf32>
  exec.yield %y : tensor<?x264xf32>
}

// A matrix for each group of rows.
exec.kernel @grouped(%x: tensor<?x192xbf16>, %counts: tensor<13xi32>, %w: tensor<13x320x192xbf16>) -> tensor<?x320xbf16> attributes {wide_tile = array<i64: 0, 128, 128, 1, 1, 1, 0>} {
  %y = epi.grouped_linear %x, %counts, %w
      : (tensor<?x192xbf16>, tensor<13xi32>, tensor<13x320x192xbf16>) -> tensor<?x320xbf16>
  exec.yield %y : tensor<?x320xbf16>
}

// Groups and shared weights.
exec.kernel @grouped_multicast(%x: tensor<?x320xbf16>, %counts: tensor<5xi32>, %w: tensor<5x264x320xbf16>) -> tensor<?x264xbf16> attributes {wide_tile = array<i64: 0, 128, 256, 2, 1, 1, 0>} {
  %y = epi.grouped_linear %x, %counts, %w
      : (tensor<?x320xbf16>, tensor<5xi32>, tensor<5x264x320xbf16>) -> tensor<?x264xbf16>
  exec.yield %y : tensor<?x264xbf16>
}

// Groups of few rows.
exec.kernel @grouped_swapped(%x: tensor<?x448xbf16>, %counts: tensor<40xi32>, %w: tensor<40x320x448xbf16>, %bias: tensor<40x320xbf16>) -> tensor<?x320xbf16> attributes {wide_tile = array<i64: 1, 32, 128, 1, 1, 1, 0>} {
  %y = epi.grouped_linear %x, %counts, %w bias %bias
      : (tensor<?x448xbf16>, tensor<40xi32>, tensor<40x320x448xbf16>) bias tensor<40x320xbf16> -> tensor<?x320xbf16>
  exec.yield %y : tensor<?x320xbf16>
}

// Groups, streamed.
exec.kernel @grouped_streamed(%x: tensor<?x448xbf16>, %counts: tensor<40xi32>, %w: tensor<40x320x448xbf16>, %bias: tensor<40x320xbf16>) -> tensor<?x320xbf16> attributes {wide_tile = array<i64: 1, 32, 128, 1, 1, 1, 1>} {
  %y = epi.grouped_linear %x, %counts, %w bias %bias
      : (tensor<?x448xbf16>, tensor<40xi32>, tensor<40x320x448xbf16>) bias tensor<40x320xbf16> -> tensor<?x320xbf16>
  exec.yield %y : tensor<?x320xbf16>
}

// A bias for each group.
exec.kernel @grouped_bias(%x: tensor<?x192xbf16>, %counts: tensor<7xi32>, %w: tensor<7x171x192xbf16>, %bias: tensor<7x171xbf16>) -> tensor<?x171xbf16> attributes {wide_tile = array<i64: 0, 64, 128, 1, 1, 1, 0>} {
  %y = epi.grouped_linear %x, %counts, %w bias %bias
      : (tensor<?x192xbf16>, tensor<7xi32>, tensor<7x171x192xbf16>) bias tensor<7x171xbf16> -> tensor<?x171xbf16>
  exec.yield %y : tensor<?x171xbf16>
}

// More groups than a block has threads.
exec.kernel @grouped_gated(%x: tensor<?x256xbf16>, %counts: tensor<500xi32>, %w: tensor<500x384x256xbf16>) -> tensor<?x192xbf16> attributes {wide_tile = array<i64: 1, 48, 128, 1, 1, 1, 0>} {
  %y = epi.grouped_linear %x, %counts, %w
      : (tensor<?x256xbf16>, tensor<500xi32>, tensor<500x384x256xbf16>) -> tensor<?x384xbf16>
  %gate, %up = epi.split %y dim 1 : tensor<?x384xbf16> to tensor<?x192xbf16>, tensor<?x192xbf16>
  %a = epi.silu %gate : tensor<?x192xbf16>
  %h = epi.mul %a, %up : tensor<?x192xbf16>
  exec.yield %h : tensor<?x192xbf16>
}

// Scales of rows and of blocks; the last block of K is partial.
exec.kernel @fp8(%x: tensor<?x448xf8E4M3FN>, %xs: tensor<?x4xf32>, %w: tensor<320x448xf8E4M3FN>, %ws: tensor<3x4xf32>) -> tensor<?x320xbf16> attributes {wide_tile = array<i64: 0, 128, 128, 1, 1, 1, 0>} {
  %y = epi.linear %x scale %xs, %w scale %ws
      : (tensor<?x448xf8E4M3FN> scale tensor<?x4xf32>, tensor<320x448xf8E4M3FN> scale tensor<3x4xf32>) -> tensor<?x320xbf16>
  exec.yield %y : tensor<?x320xbf16>
}

// Scales and shared weights.
exec.kernel @fp8_residual(%x: tensor<?x1024xf8E4M3FN>, %xs: tensor<?x8xf32>, %w: tensor<520x1024xf8E4M3FN>, %ws: tensor<5x8xf32>, %residual: tensor<?x520xbf16>) -> tensor<?x520xbf16> attributes {wide_tile = array<i64: 0, 128, 128, 2, 1, 1, 0>} {
  %y = epi.linear %x scale %xs, %w scale %ws
      : (tensor<?x1024xf8E4M3FN> scale tensor<?x8xf32>, tensor<520x1024xf8E4M3FN> scale tensor<5x8xf32>) -> tensor<?x520xbf16>
  %z = epi.add %residual, %y : tensor<?x520xbf16>
  exec.yield %z : tensor<?x520xbf16>
}

// Scales, swapped.
exec.kernel @fp8_swapped(%x: tensor<?x1040xf8E4M3FN>, %xs: tensor<?x9xf32>, %w: tensor<512x1040xf8E4M3FN>, %ws: tensor<4x9xf32>) -> tensor<?x512xbf16> attributes {wide_tile = array<i64: 1, 64, 256, 1, 1, 1, 0>} {
  %y = epi.linear %x scale %xs, %w scale %ws
      : (tensor<?x1040xf8E4M3FN> scale tensor<?x9xf32>, tensor<512x1040xf8E4M3FN> scale tensor<4x9xf32>) -> tensor<?x512xbf16>
  exec.yield %y : tensor<?x512xbf16>
}

// Scales, streamed.
exec.kernel @fp8_streamed(%x: tensor<?x2048xf8E4M3FN>, %xs: tensor<?x16xf32>, %w: tensor<320x2048xf8E4M3FN>, %ws: tensor<3x16xf32>) -> tensor<?x320xbf16> attributes {wide_tile = array<i64: 1, 16, 64, 1, 1, 2, 1>} {
  %y = epi.linear %x scale %xs, %w scale %ws
      : (tensor<?x2048xf8E4M3FN> scale tensor<?x16xf32>, tensor<320x2048xf8E4M3FN> scale tensor<3x16xf32>) -> tensor<?x320xbf16>
  exec.yield %y : tensor<?x320xbf16>
}

// Scales, streamed by many rows.
exec.kernel @fp8_residual_streamed(%x: tensor<?x1024xf8E4M3FN>, %xs: tensor<?x8xf32>, %w: tensor<520x1024xf8E4M3FN>, %ws: tensor<5x8xf32>, %residual: tensor<?x520xbf16>) -> tensor<?x520xbf16> attributes {wide_tile = array<i64: 0, 128, 128, 1, 1, 1, 1>} {
  %y = epi.linear %x scale %xs, %w scale %ws
      : (tensor<?x1024xf8E4M3FN> scale tensor<?x8xf32>, tensor<520x1024xf8E4M3FN> scale tensor<5x8xf32>) -> tensor<?x520xbf16>
  %z = epi.add %residual, %y : tensor<?x520xbf16>
  exec.yield %z : tensor<?x520xbf16>
}

// Scales, streamed halves that are quantized.
exec.kernel @fp8_gated_streamed(%x: tensor<?x1536xf8E4M3FN>, %xs: tensor<?x12xf32>, %w: tensor<512x1536xf8E4M3FN>, %ws: tensor<4x12xf32>) -> (tensor<?x256xf8E4M3FN>, tensor<?x2xf32>) attributes {wide_tile = array<i64: 1, 32, 128, 1, 1, 1, 1>} {
  %y = epi.linear %x scale %xs, %w scale %ws
      : (tensor<?x1536xf8E4M3FN> scale tensor<?x12xf32>, tensor<512x1536xf8E4M3FN> scale tensor<4x12xf32>) -> tensor<?x512xbf16>
  %gate, %up = epi.split %y dim 1 : tensor<?x512xbf16> to tensor<?x256xbf16>, tensor<?x256xbf16>
  %a = epi.silu %gate : tensor<?x256xbf16>
  %h = epi.mul %a, %up : tensor<?x256xbf16>
  %q, %s = epi.quantize %h {block = array<i64: 1, 128>} : tensor<?x256xbf16> -> tensor<?x256xf8E4M3FN>, tensor<?x2xf32>
  exec.yield %q, %s : tensor<?x256xf8E4M3FN>, tensor<?x2xf32>
}

// Scales, and blocks share K.
exec.kernel @fp8_split(%x: tensor<?x2048xf8E4M3FN>, %xs: tensor<?x16xf32>, %w: tensor<384x2048xf8E4M3FN>, %ws: tensor<3x16xf32>) -> tensor<?x384xbf16> attributes {wide_tile = array<i64: 1, 32, 128, 1, 2, 1, 0>} {
  %y = epi.linear %x scale %xs, %w scale %ws
      : (tensor<?x2048xf8E4M3FN> scale tensor<?x16xf32>, tensor<384x2048xf8E4M3FN> scale tensor<3x16xf32>) -> tensor<?x384xbf16>
  exec.yield %y : tensor<?x384xbf16>
}

// Two accumulators of each warpgroup.
exec.kernel @fp8_wide(%x: tensor<?x1024xf8E4M3FN>, %xs: tensor<?x8xf32>, %w: tensor<512x1024xf8E4M3FN>, %ws: tensor<4x8xf32>) -> tensor<?x512xbf16> attributes {wide_tile = array<i64: 0, 128, 256, 1, 1, 1, 0>} {
  %y = epi.linear %x scale %xs, %w scale %ws
      : (tensor<?x1024xf8E4M3FN> scale tensor<?x8xf32>, tensor<512x1024xf8E4M3FN> scale tensor<4x8xf32>) -> tensor<?x512xbf16>
  exec.yield %y : tensor<?x512xbf16>
}

// Scales of groups that start at any row.
exec.kernel @fp8_grouped(%x: tensor<?x448xf8E4M3FN>, %xs: tensor<?x4xf32>, %counts: tensor<13xi32>, %w: tensor<13x384x448xf8E4M3FN>, %ws: tensor<13x3x4xf32>) -> tensor<?x384xbf16> attributes {wide_tile = array<i64: 0, 128, 128, 1, 1, 1, 0>} {
  %y = epi.grouped_linear %x scale %xs, %counts, %w scale %ws
      : (tensor<?x448xf8E4M3FN> scale tensor<?x4xf32>, tensor<13xi32>, tensor<13x384x448xf8E4M3FN> scale tensor<13x3x4xf32>) -> tensor<?x384xbf16>
  exec.yield %y : tensor<?x384xbf16>
}

// All at once, for few rows.
exec.kernel @fp8_grouped_gated(%x: tensor<?x512xf8E4M3FN>, %xs: tensor<?x4xf32>, %counts: tensor<9xi32>, %w: tensor<9x512x512xf8E4M3FN>, %ws: tensor<9x4x4xf32>) -> (tensor<?x256xf8E4M3FN>, tensor<?x2xf32>) attributes {wide_tile = array<i64: 1, 32, 128, 1, 1, 1, 0>} {
  %y = epi.grouped_linear %x scale %xs, %counts, %w scale %ws
      : (tensor<?x512xf8E4M3FN> scale tensor<?x4xf32>, tensor<9xi32>, tensor<9x512x512xf8E4M3FN> scale tensor<9x4x4xf32>) -> tensor<?x512xbf16>
  %gate, %up = epi.split %y dim 1 : tensor<?x512xbf16> to tensor<?x256xbf16>, tensor<?x256xbf16>
  %a = epi.silu %gate : tensor<?x256xbf16>
  %h = epi.mul %a, %up : tensor<?x256xbf16>
  %q, %s = epi.quantize %h {block = array<i64: 1, 128>} : tensor<?x256xbf16> -> tensor<?x256xf8E4M3FN>, tensor<?x2xf32>
  exec.yield %q, %s : tensor<?x256xf8E4M3FN>, tensor<?x2xf32>
}

// All at once, streamed.
exec.kernel @fp8_grouped_gated_streamed(%x: tensor<?x512xf8E4M3FN>, %xs: tensor<?x4xf32>, %counts: tensor<9xi32>, %w: tensor<9x512x512xf8E4M3FN>, %ws: tensor<9x4x4xf32>) -> (tensor<?x256xf8E4M3FN>, tensor<?x2xf32>) attributes {wide_tile = array<i64: 0, 128, 128, 1, 1, 1, 1>} {
  %y = epi.grouped_linear %x scale %xs, %counts, %w scale %ws
      : (tensor<?x512xf8E4M3FN> scale tensor<?x4xf32>, tensor<9xi32>, tensor<9x512x512xf8E4M3FN> scale tensor<9x4x4xf32>) -> tensor<?x512xbf16>
  %gate, %up = epi.split %y dim 1 : tensor<?x512xbf16> to tensor<?x256xbf16>, tensor<?x256xbf16>
  %a = epi.silu %gate : tensor<?x256xbf16>
  %h = epi.mul %a, %up : tensor<?x256xbf16>
  %q, %s = epi.quantize %h {block = array<i64: 1, 128>} : tensor<?x256xbf16> -> tensor<?x256xf8E4M3FN>, tensor<?x2xf32>
  exec.yield %q, %s : tensor<?x256xf8E4M3FN>, tensor<?x2xf32>
}

// All at once, for many rows.
exec.kernel @fp8_grouped_gated_tall(%x: tensor<?x512xf8E4M3FN>, %xs: tensor<?x4xf32>, %counts: tensor<9xi32>, %w: tensor<9x512x512xf8E4M3FN>, %ws: tensor<9x4x4xf32>) -> (tensor<?x256xf8E4M3FN>, tensor<?x2xf32>) attributes {wide_tile = array<i64: 0, 128, 128, 1, 1, 1, 0>} {
  %y = epi.grouped_linear %x scale %xs, %counts, %w scale %ws
      : (tensor<?x512xf8E4M3FN> scale tensor<?x4xf32>, tensor<9xi32>, tensor<9x512x512xf8E4M3FN> scale tensor<9x4x4xf32>) -> tensor<?x512xbf16>
  %gate, %up = epi.split %y dim 1 : tensor<?x512xbf16> to tensor<?x256xbf16>, tensor<?x256xbf16>
  %a = epi.silu %gate : tensor<?x256xbf16>
  %h = epi.mul %a, %up : tensor<?x256xbf16>
  %q, %s = epi.quantize %h {block = array<i64: 1, 128>} : tensor<?x256xbf16> -> tensor<?x256xf8E4M3FN>, tensor<?x2xf32>
  exec.yield %q, %s : tensor<?x256xf8E4M3FN>, tensor<?x2xf32>
}

// Swapped, of rows that are no power of two, up to the most that registers have room for.
exec.kernel @grouped_swapped_80(%x: tensor<?x448xbf16>, %counts: tensor<13xi32>, %w: tensor<13x320x448xbf16>, %bias: tensor<13x320xbf16>) -> tensor<?x320xbf16> attributes {wide_tile = array<i64: 1, 80, 128, 1, 1, 1, 0>} {
  %y = epi.grouped_linear %x, %counts, %w bias %bias
      : (tensor<?x448xbf16>, tensor<13xi32>, tensor<13x320x448xbf16>) bias tensor<13x320xbf16> -> tensor<?x320xbf16>
  exec.yield %y : tensor<?x320xbf16>
}
exec.kernel @linear_f32_swapped_112(%x: tensor<?x512xbf16>, %w: tensor<256x512xbf16>) -> tensor<?x256xf32> attributes {wide_tile = array<i64: 1, 112, 128, 1, 1, 1, 0>} {
  %y = epi.linear %x, %w
      : (tensor<?x512xbf16>, tensor<256x512xbf16>) -> tensor<?x256xf32>
  exec.yield %y : tensor<?x256xf32>
}
exec.kernel @linear_residual_swapped_144(%x: tensor<?x512xbf16>, %w: tensor<384x512xbf16>, %residual: tensor<?x384xbf16>) -> tensor<?x384xbf16> attributes {wide_tile = array<i64: 1, 144, 128, 1, 1, 1, 0>} {
  %y = epi.linear %x, %w
      : (tensor<?x512xbf16>, tensor<384x512xbf16>) -> tensor<?x384xbf16>
  %z = epi.add %residual, %y : tensor<?x384xbf16>
  exec.yield %z : tensor<?x384xbf16>
}
exec.kernel @fp8_grouped_gated_swapped_112(%x: tensor<?x512xf8E4M3FN>, %xs: tensor<?x4xf32>, %counts: tensor<9xi32>, %w: tensor<9x512x512xf8E4M3FN>, %ws: tensor<9x4x4xf32>) -> (tensor<?x256xf8E4M3FN>, tensor<?x2xf32>) attributes {wide_tile = array<i64: 1, 112, 128, 1, 1, 1, 0>} {
  %y = epi.grouped_linear %x scale %xs, %counts, %w scale %ws
      : (tensor<?x512xf8E4M3FN> scale tensor<?x4xf32>, tensor<9xi32>, tensor<9x512x512xf8E4M3FN> scale tensor<9x4x4xf32>) -> tensor<?x512xbf16>
  %gate, %up = epi.split %y dim 1 : tensor<?x512xbf16> to tensor<?x256xbf16>, tensor<?x256xbf16>
  %a = epi.silu %gate : tensor<?x256xbf16>
  %h = epi.mul %a, %up : tensor<?x256xbf16>
  %q, %s = epi.quantize %h {block = array<i64: 1, 128>} : tensor<?x256xbf16> -> tensor<?x256xf8E4M3FN>, tensor<?x2xf32>
  exec.yield %q, %s : tensor<?x256xf8E4M3FN>, tensor<?x2xf32>
}
exec.kernel @fp8_grouped_swapped_144(%x: tensor<?x448xf8E4M3FN>, %xs: tensor<?x4xf32>, %counts: tensor<13xi32>, %w: tensor<13x384x448xf8E4M3FN>, %ws: tensor<13x3x4xf32>) -> tensor<?x384xbf16> attributes {wide_tile = array<i64: 1, 144, 128, 1, 1, 1, 0>} {
  %y = epi.grouped_linear %x scale %xs, %counts, %w scale %ws
      : (tensor<?x448xf8E4M3FN> scale tensor<?x4xf32>, tensor<13xi32>, tensor<13x384x448xf8E4M3FN> scale tensor<13x3x4xf32>) -> tensor<?x384xbf16>
  exec.yield %y : tensor<?x384xbf16>
}
exec.kernel @fp8_grouped_swapped_160(%x: tensor<?x448xf8E4M3FN>, %xs: tensor<?x4xf32>, %counts: tensor<13xi32>, %w: tensor<13x384x448xf8E4M3FN>, %ws: tensor<13x3x4xf32>) -> tensor<?x384xbf16> attributes {wide_tile = array<i64: 1, 160, 128, 1, 1, 1, 0>} {
  %y = epi.grouped_linear %x scale %xs, %counts, %w scale %ws
      : (tensor<?x448xf8E4M3FN> scale tensor<?x4xf32>, tensor<13xi32>, tensor<13x384x448xf8E4M3FN> scale tensor<13x3x4xf32>) -> tensor<?x384xbf16>
  exec.yield %y : tensor<?x384xbf16>
}
exec.kernel @linear_swapped_192(%x: tensor<?x448xbf16>, %w: tensor<272x448xbf16>) -> tensor<?x272xbf16> attributes {wide_tile = array<i64: 1, 192, 128, 1, 1, 1, 0>} {
  %y = epi.linear %x, %w
      : (tensor<?x448xbf16>, tensor<272x448xbf16>) -> tensor<?x272xbf16>
  exec.yield %y : tensor<?x272xbf16>
}
exec.kernel @linear_residual_swapped_256(%x: tensor<?x512xbf16>, %w: tensor<384x512xbf16>, %residual: tensor<?x384xbf16>) -> tensor<?x384xbf16> attributes {wide_tile = array<i64: 1, 256, 128, 1, 1, 1, 0>} {
  %y = epi.linear %x, %w
      : (tensor<?x512xbf16>, tensor<384x512xbf16>) -> tensor<?x384xbf16>
  %z = epi.add %residual, %y : tensor<?x384xbf16>
  exec.yield %z : tensor<?x384xbf16>
}

// Streamed: columns that are no power of two, and as many as there can be.
exec.kernel @linear_three_slabs_streamed(%x: tensor<?x1984xbf16>, %w: tensor<600x1984xbf16>) -> tensor<?x600xbf16> attributes {wide_tile = array<i64: 0, 128, 192, 1, 1, 1, 1>} {
  %y = epi.linear %x, %w
      : (tensor<?x1984xbf16>, tensor<600x1984xbf16>) -> tensor<?x600xbf16>
  exec.yield %y : tensor<?x600xbf16>
}
exec.kernel @linear_wide_streamed(%x: tensor<?x1984xbf16>, %w: tensor<600x1984xbf16>) -> tensor<?x600xbf16> attributes {wide_tile = array<i64: 0, 128, 256, 1, 1, 1, 1>} {
  %y = epi.linear %x, %w
      : (tensor<?x1984xbf16>, tensor<600x1984xbf16>) -> tensor<?x600xbf16>
  exec.yield %y : tensor<?x600xbf16>
}

// Two blocks of 128 columns share a multiprocessor.
exec.kernel @linear_shared_wide(%x: tensor<?x1000xbf16>, %w: tensor<264x1000xbf16>) -> tensor<?x264xbf16> attributes {wide_tile = array<i64: 0, 64, 128, 1, 1, 2, 0>} {
  %y = epi.linear %x, %w
      : (tensor<?x1000xbf16>, tensor<264x1000xbf16>) -> tensor<?x264xbf16>
  exec.yield %y : tensor<?x264xbf16>
}
