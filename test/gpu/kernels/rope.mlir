// Rotary embedding: both forms of pairs, views, parts of a head, widths that allow small accesses
// only.

exec.kernel @neighbours_of_view(%x: tensor<?x24576xbf16>, %table: tensor<8192x64xf32>, %step: !epi.step) -> tensor<?x128x64xbf16> {
  %heads = epi.reshape %x : tensor<?x24576xbf16> to tensor<?x128x192xbf16>
  %nope, %rope = epi.split %heads dim 2 : tensor<?x128x192xbf16> to tensor<?x128x128xbf16>, tensor<?x128x64xbf16>
  %y = epi.rope %rope, %table, %step {interleaved} : tensor<?x128x64xbf16>, tensor<8192x64xf32>
  exec.yield %y : tensor<?x128x64xbf16>
}

exec.kernel @neighbours_of_one_head(%x: tensor<?x2112xbf16>, %table: tensor<8192x64xf32>, %step: !epi.step) -> tensor<?x64xbf16> {
  %q, %latent, %rope = epi.split %x dim 1 : tensor<?x2112xbf16> to tensor<?x1536xbf16>, tensor<?x512xbf16>, tensor<?x64xbf16>
  %y = epi.rope %rope, %table, %step {interleaved} : tensor<?x64xbf16>, tensor<8192x64xf32>
  exec.yield %y : tensor<?x64xbf16>
}

exec.kernel @halves(%x: tensor<?x32x128xbf16>, %table: tensor<4096x128xf32>, %step: !epi.step) -> tensor<?x32x128xbf16> {
  %y = epi.rope %x, %table, %step : tensor<?x32x128xbf16>, tensor<4096x128xf32>
  exec.yield %y : tensor<?x32x128xbf16>
}

exec.kernel @halves_of_part(%x: tensor<?x4x128xbf16>, %table: tensor<4096x64xf32>, %step: !epi.step) -> tensor<?x4x128xbf16> {
  %y = epi.rope %x, %table, %step : tensor<?x4x128xbf16>, tensor<4096x64xf32>
  exec.yield %y : tensor<?x4x128xbf16>
}

exec.kernel @halves_narrow(%x: tensor<?x3x20xbf16>, %table: tensor<4096x12xf32>, %step: !epi.step) -> tensor<?x3x20xbf16> {
  %y = epi.rope %x, %table, %step : tensor<?x3x20xbf16>, tensor<4096x12xf32>
  exec.yield %y : tensor<?x3x20xbf16>
}

exec.kernel @neighbours_odd(%x: tensor<?x3x7xbf16>, %table: tensor<4096x6xf32>, %step: !epi.step) -> tensor<?x3x7xbf16> {
  %y = epi.rope %x, %table, %step {interleaved} : tensor<?x3x7xbf16>, tensor<4096x6xf32>
  exec.yield %y : tensor<?x3x7xbf16>
}

exec.kernel @float32(%x: tensor<?x2x64xf32>, %table: tensor<4096x64xf32>, %step: !epi.step) -> tensor<?x2x64xf32> {
  %y = epi.rope %x, %table, %step : tensor<?x2x64xf32>, tensor<4096x64xf32>
  exec.yield %y : tensor<?x2x64xf32>
}
