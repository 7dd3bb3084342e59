// RUN: epigraph-opt %s --epi-fold-dequantize --split-input-file --verify-diagnostics

// Half of 288 outputs ends inside the second block.
ep.mesh @world {expert = 1 : i64, tensor = 2 : i64, attention = #ep.attention<replicated>}
func.func @outputs(%x: tensor<?x64xbf16>) -> tensor<?x144xbf16> {
  %w = epi.weight "w" : tensor<288x64xf8E4M3FN>
  %s = epi.weight "w_scale_inv" : tensor<3x1xf32>
  %d = epi.dequantize %w, %s {block = array<i64: 128, 128>} : tensor<288x64xf8E4M3FN>, tensor<3x1xf32> -> tensor<288x64xbf16>
  %l = ep.local_shard %d {axis = #ep.axis<tensor>, dim = 0 : i64, parts = 2 : i64} : tensor<288x64xbf16> to tensor<144x64xbf16>
  // expected-error @+1 {{has an FP8 weight of which each of 2 ranks would hold 144 outputs; that cuts 128x128 blocks, which have one scale each}}
  %y = epi.linear %x, %l : (tensor<?x64xbf16>, tensor<144x64xbf16>) -> tensor<?x144xbf16>
  return %y : tensor<?x144xbf16>
}

// -----

// The second part of 96 inputs lies in both blocks.
ep.mesh @world {expert = 1 : i64, tensor = 2 : i64, attention = #ep.attention<replicated>}
func.func @inputs(%x: tensor<?x96xbf16>, %n: tensor<2xi32>) -> tensor<?x64xbf16> {
  %w = epi.weight_stack "{}.w" : tensor<2x64x192xf8E4M3FN>
  %s = epi.weight_stack "{}.w_scale_inv" : tensor<2x1x2xf32>
  %d = epi.dequantize %w, %s {block = array<i64: 128, 128>} : tensor<2x64x192xf8E4M3FN>, tensor<2x1x2xf32> -> tensor<2x64x192xbf16>
  %l = ep.local_shard %d {axis = #ep.axis<tensor>, dim = 2 : i64, parts = 2 : i64} : tensor<2x64x192xbf16> to tensor<2x64x96xbf16>
  // expected-error @+1 {{each of 2 ranks would hold 96 inputs}}
  %y = epi.grouped_linear %x, %n, %l : (tensor<?x96xbf16>, tensor<2xi32>, tensor<2x64x96xbf16>) -> tensor<?x64xbf16>
  return %y : tensor<?x64xbf16>
}
