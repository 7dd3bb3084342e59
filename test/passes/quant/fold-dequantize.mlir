// RUN: epigraph-opt %s --epi-fold-dequantize | FileCheck %s
// RUN: epigraph-opt %s --epi-fold-dequantize --remarks-filter=.* -o /dev/null 2>&1 | FileCheck %s --check-prefix=STATS

// STATS-DAG: Category:epi-fold-dequantize {{.*}}it takes no scales: its FP8 weight is dequantized for it
// STATS-DAG: Category:epi-fold-dequantize {{.*}}its weight is dequantized for it: it goes through epi.transpose
// STATS-DAG: Category:epi-fold-dequantize {{.*}}a part of a joined weight ends inside a block of scales
// STATS-DAG: Category:epi-fold-dequantize | dequantized=3, folded=7, retiled=2

ep.mesh @world {expert = 2 : i64, tensor = 2 : i64, attention = #ep.attention<replicated>}

// Values and scales go to the product; nothing reads the dequantized weight any more.
// CHECK-LABEL: func.func @linear
// CHECK-NEXT:    %[[W:.*]] = epi.weight "w" : tensor<200x300xf8E4M3FN>
// CHECK-NEXT:    %[[S:.*]] = epi.weight "w_scale_inv" : tensor<2x3xf32>
// CHECK-NEXT:    %[[Y:.*]] = epi.linear %{{.*}}, %[[W]] scale %[[S]] : (tensor<?x300xbf16>, tensor<200x300xf8E4M3FN> scale tensor<2x3xf32>) -> tensor<?x200xbf16>
// CHECK-NEXT:    return %[[Y]]
func.func @linear(%x: tensor<?x300xbf16>) -> tensor<?x200xbf16> {
  %w = epi.weight "w" : tensor<200x300xf8E4M3FN>
  %s = epi.weight "w_scale_inv" : tensor<2x3xf32>
  %d = epi.dequantize %w, %s {block = array<i64: 128, 128>} : tensor<200x300xf8E4M3FN>, tensor<2x3xf32> -> tensor<200x300xbf16>
  %y = epi.linear %x, %d : (tensor<?x300xbf16>, tensor<200x300xbf16>) -> tensor<?x200xbf16>
  return %y : tensor<?x200xbf16>
}

// Ranks' experts, two projections joined: both are done to values and scales.
// CHECK-LABEL: func.func @experts
// CHECK-SAME:    (%[[X:.*]]: tensor<?x64xbf16>, %[[N:.*]]: tensor<2xi32>)
// CHECK:         %[[UL:.*]] = ep.local_experts %{{.*}} {{.*}} : tensor<4x32x64xf8E4M3FN> to tensor<2x32x64xf8E4M3FN>
// CHECK:         %[[UV:.*]] = epi.concat %{{.*}}, %[[UL]] dim 1 : tensor<2x128x64xf8E4M3FN>, tensor<2x32x64xf8E4M3FN> to tensor<2x160x64xf8E4M3FN>
// CHECK:         %[[US:.*]] = epi.concat %{{.*}}, %{{.*}} dim 1 : tensor<2x1x1xf32>, tensor<2x1x1xf32> to tensor<2x2x1xf32>
// CHECK:         epi.grouped_linear %[[X]], %[[N]], %[[UV]] scale %[[US]]
// CHECK-NOT:     epi.dequantize
// CHECK:         return
func.func @experts(%x: tensor<?x64xbf16>, %n: tensor<2xi32>) -> tensor<?x160xbf16> {
  %g = epi.weight_stack "{}.gate" : tensor<4x128x64xf8E4M3FN>
  %gs = epi.weight_stack "{}.gate_scale_inv" : tensor<4x1x1xf32>
  %gd = epi.dequantize %g, %gs {block = array<i64: 128, 128>} : tensor<4x128x64xf8E4M3FN>, tensor<4x1x1xf32> -> tensor<4x128x64xbf16>
  %gl = ep.local_experts %gd {placement = #ep.placement<experts = 4, ranks = 2>} : tensor<4x128x64xbf16> to tensor<2x128x64xbf16>
  %u = epi.weight_stack "{}.up" : tensor<4x32x64xf8E4M3FN>
  %us = epi.weight_stack "{}.up_scale_inv" : tensor<4x1x1xf32>
  %ud = epi.dequantize %u, %us {block = array<i64: 128, 128>} : tensor<4x32x64xf8E4M3FN>, tensor<4x1x1xf32> -> tensor<4x32x64xbf16>
  %ul = ep.local_experts %ud {placement = #ep.placement<experts = 4, ranks = 2>} : tensor<4x32x64xbf16> to tensor<2x32x64xbf16>
  %w = epi.concat %gl, %ul dim 1 : tensor<2x128x64xbf16>, tensor<2x32x64xbf16> to tensor<2x160x64xbf16>
  %y = epi.grouped_linear %x, %n, %w : (tensor<?x64xbf16>, tensor<2xi32>, tensor<2x160x64xbf16>) -> tensor<?x160xbf16>
  return %y : tensor<?x160xbf16>
}

// Parts of whole blocks: scales are cut as values are.
// CHECK-LABEL: func.func @whole_blocks
// CHECK:         %[[V:.*]] = ep.local_shard %{{.*}} {{.*}} : tensor<512x64xf8E4M3FN> to tensor<256x64xf8E4M3FN>
// CHECK:         %[[S:.*]] = ep.local_shard %{{.*}} {{.*}} : tensor<4x1xf32> to tensor<2x1xf32>
// CHECK:         epi.linear %{{.*}}, %[[V]] scale %[[S]]
func.func @whole_blocks(%x: tensor<?x64xbf16>) -> tensor<?x256xbf16> {
  %w = epi.weight "w" : tensor<512x64xf8E4M3FN>
  %s = epi.weight "w_scale_inv" : tensor<4x1xf32>
  %d = epi.dequantize %w, %s {block = array<i64: 128, 128>} : tensor<512x64xf8E4M3FN>, tensor<4x1xf32> -> tensor<512x64xbf16>
  %l = ep.local_shard %d {axis = #ep.axis<tensor>, dim = 0 : i64, parts = 2 : i64} : tensor<512x64xbf16> to tensor<256x64xbf16>
  %y = epi.linear %x, %l : (tensor<?x64xbf16>, tensor<256x64xbf16>) -> tensor<?x256xbf16>
  return %y : tensor<?x256xbf16>
}

// Two parts that lie in one block: both have its scale.
// CHECK-LABEL: func.func @shared_block
// CHECK:         %[[R:.*]] = epi.concat %[[ALL:.*]], %[[ALL]] dim 1 : tensor<1x1xf32>, tensor<1x1xf32> to tensor<1x2xf32>
// CHECK:         %[[V:.*]] = ep.local_shard %{{.*}} {{.*}} : tensor<64x64xf8E4M3FN> to tensor<64x32xf8E4M3FN>
// CHECK:         %[[S:.*]] = ep.local_shard %[[R]] {{.*}} : tensor<1x2xf32> to tensor<1x1xf32>
// CHECK:         epi.linear %{{.*}}, %[[V]] scale %[[S]]
func.func @shared_block(%x: tensor<?x32xbf16>) -> tensor<?x64xbf16> {
  %w = epi.weight "w" : tensor<64x64xf8E4M3FN>
  %s = epi.weight "w_scale_inv" : tensor<1x1xf32>
  %d = epi.dequantize %w, %s {block = array<i64: 128, 128>} : tensor<64x64xf8E4M3FN>, tensor<1x1xf32> -> tensor<64x64xbf16>
  %l = ep.local_shard %d {axis = #ep.axis<tensor>, dim = 1 : i64, parts = 2 : i64} : tensor<64x64xbf16> to tensor<64x32xbf16>
  %y = epi.linear %x, %l : (tensor<?x32xbf16>, tensor<64x32xbf16>) -> tensor<?x64xbf16>
  return %y : tensor<?x64xbf16>
}

// Six parts of 64 rows: blocks 0, 0, 1, 1, 2, 2.
// CHECK-LABEL: func.func @halves_of_blocks
// CHECK:         %[[B:.*]]:3 = epi.split %{{.*}} dim 0 : tensor<3x1xf32> to tensor<1x1xf32>, tensor<1x1xf32>, tensor<1x1xf32>
// CHECK:         epi.concat %[[B]]#0, %[[B]]#0, %[[B]]#1, %[[B]]#1, %[[B]]#2, %[[B]]#2 dim 0
func.func @halves_of_blocks(%x: tensor<?x64xbf16>) -> tensor<?x64xbf16> {
  %w = epi.weight "w" : tensor<384x64xf8E4M3FN>
  %s = epi.weight "w_scale_inv" : tensor<3x1xf32>
  %d = epi.dequantize %w, %s {block = array<i64: 128, 128>} : tensor<384x64xf8E4M3FN>, tensor<3x1xf32> -> tensor<384x64xbf16>
  %l = ep.local_shard %d {axis = #ep.axis<tensor>, dim = 0 : i64, parts = 6 : i64} : tensor<384x64xbf16> to tensor<64x64xbf16>
  %y = epi.linear %x, %l : (tensor<?x64xbf16>, tensor<64x64xbf16>) -> tensor<?x64xbf16>
  return %y : tensor<?x64xbf16>
}

// Two products read one weight, and each gets it.
// CHECK-LABEL: func.func @twice
// CHECK-COUNT-2: epi.linear %{{.*}}, %{{.*}} scale %{{.*}}
func.func @twice(%x: tensor<?x64xbf16>, %z: tensor<?x64xbf16>) -> (tensor<?x64xbf16>, tensor<?x64xbf16>) {
  %w = epi.weight "w" : tensor<64x64xf8E4M3FN>
  %s = epi.weight "w_scale_inv" : tensor<1x1xf32>
  %d = epi.dequantize %w, %s {block = array<i64: 128, 128>} : tensor<64x64xf8E4M3FN>, tensor<1x1xf32> -> tensor<64x64xbf16>
  %y = epi.linear %x, %d : (tensor<?x64xbf16>, tensor<64x64xbf16>) -> tensor<?x64xbf16>
  %u = epi.linear %z, %d : (tensor<?x64xbf16>, tensor<64x64xbf16>) -> tensor<?x64xbf16>
  return %y, %u : tensor<?x64xbf16>, tensor<?x64xbf16>
}

// What takes no scales, what goes through something else, and what is joined inside a block stay dequantized.
// CHECK-LABEL: func.func @stays
// CHECK:         %[[D:.*]] = epi.dequantize
// CHECK:         epi.embedding %{{.*}}, %[[D]]
// CHECK:         %[[T:.*]] = epi.transpose %[[D]]
// CHECK:         epi.linear %{{.*}}, %[[T]] :
// CHECK:         %[[J:.*]] = epi.concat %[[D]], %[[D]]
// CHECK:         epi.linear %{{.*}}, %[[J]] :
func.func @stays(%ids: tensor<?xi32>) -> tensor<?x128xbf16> {
  %w = epi.weight "w" : tensor<64x64xf8E4M3FN>
  %s = epi.weight "w_scale_inv" : tensor<1x1xf32>
  %d = epi.dequantize %w, %s {block = array<i64: 128, 128>} : tensor<64x64xf8E4M3FN>, tensor<1x1xf32> -> tensor<64x64xbf16>
  %e = epi.embedding %ids, %d : (tensor<?xi32>, tensor<64x64xbf16>) -> tensor<?x64xbf16>
  %t = epi.transpose %d [1, 0] : tensor<64x64xbf16> to tensor<64x64xbf16>
  %y = epi.linear %e, %t : (tensor<?x64xbf16>, tensor<64x64xbf16>) -> tensor<?x64xbf16>
  %j = epi.concat %d, %d dim 0 : tensor<64x64xbf16>, tensor<64x64xbf16> to tensor<128x64xbf16>
  %z = epi.linear %y, %j : (tensor<?x64xbf16>, tensor<128x64xbf16>) -> tensor<?x128xbf16>
  return %z : tensor<?x128xbf16>
}
