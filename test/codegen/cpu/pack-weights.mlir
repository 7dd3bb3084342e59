// RUN: epigraph-opt %s --cpu-pack-weights | FileCheck %s
// RUN: epigraph-opt %s --cpu-pack-weights --remarks-filter=cpu-pack-weights 2>&1 >/dev/null \
// RUN:   | FileCheck %s --check-prefix=REMARK
// Packing twice changes nothing.
// RUN: epigraph-opt %s --cpu-pack-weights -o %t && epigraph-opt %t --cpu-pack-weights | diff %t -

// 40 columns take 64 and K 9 takes 10 (560 bytes), 16 and 9 (352), twice 4 columns of float32 (4480), K 9 (128).
// REMARK: copies=1, padding-bytes=5520, weights=4

// Read by projections only: packed in place, at the end of its program.
// CHECK: exec.weight @q : tensor<40x9xbf16, #exec.panel<columns = 32, depth = 2>> {
// CHECK:   %[[W:.*]] = epi.weight "q_proj.weight"
// CHECK:   %[[P:.*]] = exec.pack %[[W]] : tensor<40x9xbf16> to tensor<40x9xbf16, #exec.panel<columns = 32, depth = 2>>
// CHECK:   exec.yield %[[P]]
exec.weight @q : tensor<40x9xbf16> {
  %0 = epi.weight "q_proj.weight" : tensor<40x9xbf16>
  exec.yield %0 : tensor<40x9xbf16>
}

// The vocabulary's table is looked up and multiplied by: one of each.
// CHECK: exec.weight @table : tensor<16x9xbf16> {
// CHECK-NOT: exec.pack
// CHECK: exec.weight @table.packed : tensor<16x9xbf16, #exec.panel<columns = 32, depth = 2>> {
// CHECK:   exec.pack
exec.weight @table : tensor<16x9xbf16> {
  %0 = epi.weight "embed_tokens.weight" : tensor<16x9xbf16>
  exec.yield %0 : tensor<16x9xbf16>
}

// Float32 has one element in 32 bits.
// CHECK: exec.weight @heads : tensor<2x4x20xf32, #exec.panel<columns = 32, depth = 1>> {
exec.weight @heads : tensor<2x4x20xf32> {
  %0 = epi.weight "heads" : tensor<2x4x20xf32>
  exec.yield %0 : tensor<2x4x20xf32>
}

// CHECK: exec.weight rank_local @experts : tensor<2x32x9xbf16, #exec.panel<columns = 32, depth = 2>> {
// CHECK:   ep.local_experts
// CHECK:   exec.pack
exec.weight rank_local @experts : tensor<2x32x9xbf16> {
  %0 = epi.weight_stack "experts.{}.up_proj.weight" : tensor<4x32x9xbf16>
  %1 = ep.local_experts %0 {placement = #ep.placement<experts = 4, ranks = 2>} : tensor<4x32x9xbf16> to tensor<2x32x9xbf16>
  exec.yield %1 : tensor<2x32x9xbf16>
}

// Norms are read as they are.
// CHECK: exec.weight @norm : tensor<9xbf16> {
// CHECK-NOT: exec.pack
exec.weight @norm : tensor<9xbf16> {
  %0 = epi.weight "norm.weight" : tensor<9xbf16>
  exec.yield %0 : tensor<9xbf16>
}

// CHECK: exec.kernel @embedding_0(%{{.*}}: tensor<?xi32>, %{{.*}}: tensor<16x9xbf16>)
exec.kernel @embedding_0(%ids: tensor<?xi32>, %t: tensor<16x9xbf16>) -> tensor<?x9xbf16> {
  %x = epi.embedding %ids, %t : (tensor<?xi32>, tensor<16x9xbf16>) -> tensor<?x9xbf16>
  exec.yield %x : tensor<?x9xbf16>
}

// CHECK: exec.kernel @rms_norm_0(%{{.*}}: tensor<?x9xbf16>, %{{.*}}: tensor<9xbf16>)
exec.kernel @rms_norm_0(%x: tensor<?x9xbf16>, %w: tensor<9xbf16>) -> tensor<?x9xbf16> {
  %y = epi.rms_norm %x, %w {eps = 1.0e-6 : f64} : tensor<?x9xbf16>, tensor<9xbf16>
  exec.yield %y : tensor<?x9xbf16>
}

// CHECK: exec.kernel @linear_0(%{{.*}}: tensor<?x9xbf16>, %[[W:.*]]: tensor<40x9xbf16, #exec.panel<columns = 32, depth = 2>>)
// CHECK:   epi.linear %{{.*}}, %[[W]] : (tensor<?x9xbf16>, tensor<40x9xbf16, #exec.panel<columns = 32, depth = 2>>)
exec.kernel @linear_0(%x: tensor<?x9xbf16>, %w: tensor<40x9xbf16>) -> tensor<?x40xbf16> {
  %y = epi.linear %x, %w : (tensor<?x9xbf16>, tensor<40x9xbf16>) -> tensor<?x40xbf16>
  exec.yield %y : tensor<?x40xbf16>
}

exec.kernel @linear_1(%x: tensor<?x9xbf16>, %w: tensor<16x9xbf16>) -> tensor<?x16xf32> {
  %y = epi.linear %x, %w : (tensor<?x9xbf16>, tensor<16x9xbf16>) -> tensor<?x16xf32>
  exec.yield %y : tensor<?x16xf32>
}

// CHECK: exec.kernel @head_linear_0(%{{.*}}, %{{.*}}: tensor<2x4x20xf32, #exec.panel<columns = 32, depth = 1>>)
exec.kernel @head_linear_0(%x: tensor<?x40xbf16>, %w: tensor<2x4x20xf32>) -> tensor<?x2x4xf32> {
  %0 = epi.reshape %x : tensor<?x40xbf16> to tensor<?x2x20xbf16>
  %y = epi.head_linear %0, %w : (tensor<?x2x20xbf16>, tensor<2x4x20xf32>) -> tensor<?x2x4xf32>
  exec.yield %y : tensor<?x2x4xf32>
}

// CHECK: exec.kernel @grouped_linear_0(%{{.*}}, %{{.*}}, %{{.*}}: tensor<2x32x9xbf16, #exec.panel<columns = 32, depth = 2>>)
exec.kernel @grouped_linear_0(%x: tensor<?x9xbf16>, %c: tensor<2xi32>, %w: tensor<2x32x9xbf16>) -> tensor<?x32xbf16> {
  %y = epi.grouped_linear %x, %c, %w : (tensor<?x9xbf16>, tensor<2xi32>, tensor<2x32x9xbf16>) -> tensor<?x32xbf16>
  exec.yield %y : tensor<?x32xbf16>
}

// CHECK-LABEL: func.func @main
// CHECK:   %[[T:.*]] = exec.load_weight @table : tensor<16x9xbf16>
// CHECK:   exec.launch @embedding_0(%{{.*}}, %[[T]])
// CHECK:   %[[Q:.*]] = exec.load_weight @q : tensor<40x9xbf16, #exec.panel<columns = 32, depth = 2>>
// CHECK:   exec.launch @linear_0(%{{.*}}, %[[Q]])
// CHECK:   exec.launch @linear_0(%{{.*}}, %[[Q]])
// CHECK:   exec.launch @linear_1(%{{.*}}, %[[P:.*]]) :
func.func @main(%ids: tensor<?xi32>, %counts: tensor<2xi32>)
    -> (tensor<?x40xbf16>, tensor<?x16xf32>, tensor<?x2x4xf32>, tensor<?x32xbf16>) {
  %table = exec.load_weight @table : tensor<16x9xbf16>
  %x = exec.launch @embedding_0(%ids, %table) : (tensor<?xi32>, tensor<16x9xbf16>) -> tensor<?x9xbf16>
  %norm = exec.load_weight @norm : tensor<9xbf16>
  %n = exec.launch @rms_norm_0(%x, %norm) : (tensor<?x9xbf16>, tensor<9xbf16>) -> tensor<?x9xbf16>
  %q = exec.load_weight @q : tensor<40x9xbf16>
  %0 = exec.launch @linear_0(%x, %q) : (tensor<?x9xbf16>, tensor<40x9xbf16>) -> tensor<?x40xbf16>
  %1 = exec.launch @linear_0(%n, %q) : (tensor<?x9xbf16>, tensor<40x9xbf16>) -> tensor<?x40xbf16>
  %2 = exec.launch @linear_1(%n, %table) : (tensor<?x9xbf16>, tensor<16x9xbf16>) -> tensor<?x16xf32>
  %heads = exec.load_weight @heads : tensor<2x4x20xf32>
  %3 = exec.launch @head_linear_0(%0, %heads) : (tensor<?x40xbf16>, tensor<2x4x20xf32>) -> tensor<?x2x4xf32>
  %experts = exec.load_weight @experts : tensor<2x32x9xbf16>
  %4 = exec.launch @grouped_linear_0(%x, %counts, %experts)
      : (tensor<?x9xbf16>, tensor<2xi32>, tensor<2x32x9xbf16>) -> tensor<?x32xbf16>
  return %1, %2, %3, %4 : tensor<?x40xbf16>, tensor<?x16xf32>, tensor<?x2x4xf32>, tensor<?x32xbf16>
}
