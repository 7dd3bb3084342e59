// RUN: epigraph-opt %s --epi-fuse-projections --split-input-file | FileCheck %s
// RUN: epigraph-opt %s --epi-fuse-projections --split-input-file --remarks-filter=.* -o /dev/null 2>&1 | FileCheck %s --check-prefix=STATS

// All projections of one value, in order, with weights moved up to the first; a concatenated weight is flattened.

// STATS:       Category:epi-fuse-projections | groups=1, projections=3
// CHECK-LABEL: func.func @linears
// CHECK-SAME:    (%[[X:.*]]: tensor<?x8xbf16>
// CHECK-NEXT:    %[[Q:.*]] = epi.weight "q"
// CHECK-NEXT:    %[[K:.*]] = epi.weight "k"
// CHECK-NEXT:    %[[V0:.*]] = epi.weight "v0"
// CHECK-NEXT:    %[[V1:.*]] = epi.weight "v1"
// CHECK-NEXT:    epi.concat %[[V0]], %[[V1]]
// CHECK-NEXT:    %[[W:.*]] = epi.concat %[[Q]], %[[K]], %[[V0]], %[[V1]] dim 0 : {{.*}} to tensor<14x8xbf16>
// CHECK-NEXT:    %[[Y:.*]] = epi.linear %[[X]], %[[W]] : (tensor<?x8xbf16>, tensor<14x8xbf16>) -> tensor<?x14xbf16>
// CHECK-NEXT:    %[[P:.*]]:3 = epi.split %[[Y]] dim 1 : tensor<?x14xbf16> to tensor<?x4xbf16>, tensor<?x6xbf16>, tensor<?x4xbf16>
// CHECK-NEXT:    %[[S:.*]] = epi.silu %[[P]]#0
// CHECK-NEXT:    return %[[S]], %[[P]]#1, %[[P]]#2
func.func @linears(%x: tensor<?x8xbf16>) -> (tensor<?x4xbf16>, tensor<?x6xbf16>, tensor<?x4xbf16>) {
  %q = epi.weight "q" : tensor<4x8xbf16>
  %a = epi.linear %x, %q : (tensor<?x8xbf16>, tensor<4x8xbf16>) -> tensor<?x4xbf16>
  %s = epi.silu %a : tensor<?x4xbf16>
  %k = epi.weight "k" : tensor<6x8xbf16>
  %b = epi.linear %x, %k : (tensor<?x8xbf16>, tensor<6x8xbf16>) -> tensor<?x6xbf16>
  %v0 = epi.weight "v0" : tensor<2x8xbf16>
  %v1 = epi.weight "v1" : tensor<2x8xbf16>
  %v = epi.concat %v0, %v1 dim 0 : tensor<2x8xbf16>, tensor<2x8xbf16> to tensor<4x8xbf16>
  %c = epi.linear %x, %v : (tensor<?x8xbf16>, tensor<4x8xbf16>) -> tensor<?x4xbf16>
  return %s, %b, %c : tensor<?x4xbf16>, tensor<?x6xbf16>, tensor<?x4xbf16>
}

// -----

// Grouped linears of the same rows and counts, along the experts' outputs.

// CHECK-LABEL: func.func @grouped
// CHECK-SAME:    (%[[X:.*]]: tensor<?x8xbf16>, %[[N:.*]]: tensor<2xi32>
// CHECK:         %[[W:.*]] = epi.concat %{{.*}}, %{{.*}} dim 1 : tensor<2x4x8xbf16>, tensor<2x4x8xbf16> to tensor<2x8x8xbf16>
// CHECK-NEXT:    %[[Y:.*]] = epi.grouped_linear %[[X]], %[[N]], %[[W]] : {{.*}} -> tensor<?x8xbf16>
// CHECK-NEXT:    %[[P:.*]]:2 = epi.split %[[Y]] dim 1
// CHECK-NEXT:    %[[G:.*]] = epi.silu %[[P]]#0
// CHECK-NEXT:    epi.mul %[[G]], %[[P]]#1
func.func @grouped(%x: tensor<?x8xbf16>, %n: tensor<2xi32>) -> tensor<?x4xbf16> {
  %g = epi.weight_stack "experts.{}.gate" : tensor<2x4x8xbf16>
  %a = epi.grouped_linear %x, %n, %g : (tensor<?x8xbf16>, tensor<2xi32>, tensor<2x4x8xbf16>) -> tensor<?x4xbf16>
  %u = epi.weight_stack "experts.{}.up" : tensor<2x4x8xbf16>
  %b = epi.grouped_linear %x, %n, %u : (tensor<?x8xbf16>, tensor<2xi32>, tensor<2x4x8xbf16>) -> tensor<?x4xbf16>
  %s = epi.silu %a : tensor<?x4xbf16>
  %y = epi.mul %s, %b : tensor<?x4xbf16>
  return %y : tensor<?x4xbf16>
}

// -----

// Biases are joined as their weights are; what has none stays apart.

// CHECK-LABEL: func.func @biased
// CHECK-DAG:     %[[W:.*]] = epi.concat %gate, %up dim 1 : tensor<2x4x8xbf16>, tensor<2x3x8xbf16> to tensor<2x7x8xbf16>
// CHECK-DAG:     %[[B:.*]] = epi.concat %{{.*}}, %{{.*}} dim 1 : tensor<2x4xbf16>, tensor<2x3xbf16> to tensor<2x7xbf16>
// CHECK:         %[[Y:.*]] = epi.grouped_linear %{{.*}}, %{{.*}}, %[[W]] bias %[[B]] : {{.*}} bias tensor<2x7xbf16> -> tensor<?x7xbf16>
// CHECK-NEXT:    epi.split %[[Y]] dim 1 : tensor<?x7xbf16> to tensor<?x4xbf16>, tensor<?x3xbf16>
// CHECK:         epi.grouped_linear %{{.*}}, %{{.*}}, %{{.*}} : (tensor<?x8xbf16>, tensor<2xi32>, tensor<2x4x8xbf16>) -> tensor<?x4xbf16>
func.func @biased(%x: tensor<?x8xbf16>, %n: tensor<2xi32>) -> (tensor<?x4xbf16>, tensor<?x3xbf16>, tensor<?x4xbf16>) {
  %g = epi.weight_stack "experts.{}.gate" : tensor<2x4x8xbf16>
  %gb = epi.weight_stack "experts.{}.gate.bias" : tensor<2x4xbf16>
  %0 = epi.grouped_linear %x, %n, %g bias %gb
      : (tensor<?x8xbf16>, tensor<2xi32>, tensor<2x4x8xbf16>) bias tensor<2x4xbf16> -> tensor<?x4xbf16>
  %u = epi.weight_stack "experts.{}.up" : tensor<2x3x8xbf16>
  %ub = epi.weight_stack "experts.{}.up.bias" : tensor<2x3xbf16>
  %1 = epi.grouped_linear %x, %n, %u bias %ub
      : (tensor<?x8xbf16>, tensor<2xi32>, tensor<2x3x8xbf16>) bias tensor<2x3xbf16> -> tensor<?x3xbf16>
  %2 = epi.grouped_linear %x, %n, %g : (tensor<?x8xbf16>, tensor<2xi32>, tensor<2x4x8xbf16>) -> tensor<?x4xbf16>
  return %0, %1, %2 : tensor<?x4xbf16>, tensor<?x3xbf16>, tensor<?x4xbf16>
}

// -----

// Not fused: a router that gives float32; a weight of another type; another input; other counts; a linear with a grouped
// one; a weight that is an activation.

// STATS:       [Missed] missed | Category:epi-fuse-projections | Remark="the weight depends on an activation"
// CHECK-LABEL: func.func @apart
// CHECK-NOT:     epi.split
// CHECK-NOT:     epi.concat
// CHECK:         return
func.func @apart(%x: tensor<?x8xbf16>, %y: tensor<?x8xbf16>, %n: tensor<2xi32>, %m: tensor<2xi32>, %wa: tensor<4x8xbf16>)
    -> (tensor<?x4xbf16>, tensor<?x4xf32>, tensor<?x4xbf16>, tensor<?x4xbf16>, tensor<?x4xbf16>, tensor<?x4xbf16>, tensor<?x4xbf16>) {
  %w0 = epi.weight "w0" : tensor<4x8xbf16>
  %w1 = epi.weight "router" : tensor<4x8xbf16>
  %w2 = epi.weight "f32" : tensor<4x8xf32>
  %s = epi.weight_stack "s.{}" : tensor<2x4x8xbf16>
  %0 = epi.linear %x, %w0 : (tensor<?x8xbf16>, tensor<4x8xbf16>) -> tensor<?x4xbf16>
  %1 = epi.linear %x, %w1 : (tensor<?x8xbf16>, tensor<4x8xbf16>) -> tensor<?x4xf32>
  %2 = epi.linear %x, %w2 : (tensor<?x8xbf16>, tensor<4x8xf32>) -> tensor<?x4xbf16>
  %3 = epi.linear %y, %w0 : (tensor<?x8xbf16>, tensor<4x8xbf16>) -> tensor<?x4xbf16>
  %4 = epi.grouped_linear %x, %n, %s : (tensor<?x8xbf16>, tensor<2xi32>, tensor<2x4x8xbf16>) -> tensor<?x4xbf16>
  %5 = epi.grouped_linear %x, %m, %s : (tensor<?x8xbf16>, tensor<2xi32>, tensor<2x4x8xbf16>) -> tensor<?x4xbf16>
  %6 = epi.linear %x, %wa : (tensor<?x8xbf16>, tensor<4x8xbf16>) -> tensor<?x4xbf16>
  return %0, %1, %2, %3, %4, %5, %6
      : tensor<?x4xbf16>, tensor<?x4xf32>, tensor<?x4xbf16>, tensor<?x4xbf16>, tensor<?x4xbf16>, tensor<?x4xbf16>, tensor<?x4xbf16>
}

// -----

// Bias vectors that all of them add are added before the split; the result is one projection with one bias.

// CHECK-LABEL: func.func @bias_vectors
// CHECK:         %[[W:.*]] = epi.concat %{{.*}}, %{{.*}} dim 0 : tensor<4x8xbf16>, tensor<3x8xbf16> to tensor<7x8xbf16>
// CHECK:         %[[Y:.*]] = epi.linear %{{.*}}, %[[W]]
// CHECK:         %[[B:.*]] = epi.concat %{{.*}}, %{{.*}} dim 0 : tensor<4xbf16>, tensor<3xbf16> to tensor<7xbf16>
// CHECK-NEXT:    %[[S:.*]] = epi.add %[[Y]], %[[B]]
// CHECK-NEXT:    %[[P:.*]]:2 = epi.split %[[S]] dim 1
// CHECK-NEXT:    return %[[P]]#0, %[[P]]#1
func.func @bias_vectors(%x: tensor<?x8xbf16>) -> (tensor<?x4xbf16>, tensor<?x3xbf16>) {
  %q = epi.weight "q.weight" : tensor<4x8xbf16>
  %qb = epi.weight "q.bias" : tensor<4xbf16>
  %0 = epi.linear %x, %q : (tensor<?x8xbf16>, tensor<4x8xbf16>) -> tensor<?x4xbf16>
  %1 = epi.add %0, %qb : tensor<?x4xbf16>, tensor<4xbf16>
  %k = epi.weight "k.weight" : tensor<3x8xbf16>
  %2 = epi.linear %x, %k : (tensor<?x8xbf16>, tensor<3x8xbf16>) -> tensor<?x3xbf16>
  %kb = epi.weight "k.bias" : tensor<3xbf16>
  %3 = epi.add %2, %kb : tensor<?x3xbf16>, tensor<3xbf16>
  return %1, %3 : tensor<?x4xbf16>, tensor<?x3xbf16>
}

// -----

// One has none: the other is added to its part.

// CHECK-LABEL: func.func @some_biases
// CHECK:         %[[Y:.*]] = epi.linear
// CHECK-NEXT:    %[[P:.*]]:2 = epi.split %[[Y]] dim 1
// CHECK:         epi.add %[[P]]#0
func.func @some_biases(%x: tensor<?x8xbf16>) -> (tensor<?x4xbf16>, tensor<?x3xbf16>) {
  %q = epi.weight "q.weight" : tensor<4x8xbf16>
  %qb = epi.weight "q.bias" : tensor<4xbf16>
  %0 = epi.linear %x, %q : (tensor<?x8xbf16>, tensor<4x8xbf16>) -> tensor<?x4xbf16>
  %1 = epi.add %0, %qb : tensor<?x4xbf16>, tensor<4xbf16>
  %k = epi.weight "k.weight" : tensor<3x8xbf16>
  %2 = epi.linear %x, %k : (tensor<?x8xbf16>, tensor<3x8xbf16>) -> tensor<?x3xbf16>
  return %1, %2 : tensor<?x4xbf16>, tensor<?x3xbf16>
}
