// The largest element of each row: of rows that a cluster of blocks shares, that one block reads, that 16 bytes do not divide, and in
// place in wider rows.
exec.kernel @vocabulary(%x: tensor<?x129280xf32>, %step: !epi.step) -> tensor<?xi32> {
  %y = epi.sample %x, %step : tensor<?x129280xf32> -> tensor<?xi32>
  exec.yield %y : tensor<?xi32>
}
exec.kernel @vocabulary_bf16(%x: tensor<?x151936xbf16>, %step: !epi.step) -> tensor<?xi32> {
  %y = epi.sample %x, %step : tensor<?x151936xbf16> -> tensor<?xi32>
  exec.yield %y : tensor<?xi32>
}
exec.kernel @odd(%x: tensor<?x50257xf32>, %step: !epi.step) -> tensor<?xi32> {
  %y = epi.sample %x, %step : tensor<?x50257xf32> -> tensor<?xi32>
  exec.yield %y : tensor<?xi32>
}
exec.kernel @odd_bf16(%x: tensor<?x2047xbf16>, %step: !epi.step) -> tensor<?xi32> {
  %y = epi.sample %x, %step : tensor<?x2047xbf16> -> tensor<?xi32>
  exec.yield %y : tensor<?xi32>
}
exec.kernel @small(%x: tensor<?x2048xf32>, %step: !epi.step) -> tensor<?xi32> {
  %y = epi.sample %x, %step : tensor<?x2048xf32> -> tensor<?xi32>
  exec.yield %y : tensor<?xi32>
}
exec.kernel @one_column(%x: tensor<?x1xf32>, %step: !epi.step) -> tensor<?xi32> {
  %y = epi.sample %x, %step : tensor<?x1xf32> -> tensor<?xi32>
  exec.yield %y : tensor<?xi32>
}
exec.kernel @part(%x: tensor<?x100xf32>, %step: !epi.step) -> tensor<?xi32> {
  %0:2 = epi.split %x dim 1 : tensor<?x100xf32> to tensor<?x36xf32>, tensor<?x64xf32>
  %y = epi.sample %0#1, %step : tensor<?x64xf32> -> tensor<?xi32>
  exec.yield %y : tensor<?xi32>
}
