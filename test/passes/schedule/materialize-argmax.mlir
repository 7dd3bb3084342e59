// RUN: epigraph-opt %s --epi-materialize-argmax | FileCheck %s
// RUN: epigraph-opt %s --epi-materialize-argmax --epi-materialize-argmax | FileCheck %s
// RUN: epigraph-opt %s --epi-materialize-argmax --remarks-filter=epi-materialize-argmax -o /dev/null 2>&1 | FileCheck %s --check-prefix=STATS
// RUN: epigraph-opt %s --epi-materialize-argmax --exec-hoist-weights --exec-outline-kernels | FileCheck %s --check-prefix=KERNEL

// KERNEL: exec.kernel @argmax_0(%{{.*}}: tensor<?x100xf32>) -> tensor<?xi32>
// KERNEL: exec.kernel @argmax_1(%{{.*}}: tensor<?x12xbf16>) -> tensor<?xi32>
// STATS: Category:epi-materialize-argmax | functions=2

// The largest of the logits stands behind all other results.
// CHECK-LABEL: func.func @main
// CHECK-SAME:    -> (tensor<?x100xf32> {epi.name = "logits"}, tensor<?x8xf32> {epi.name = "hidden"}, tensor<?xi32> {epi.name = "best"})
// CHECK:         %[[LOGITS:.*]] = epi.linear
// CHECK:         %[[BEST:.*]] = epi.argmax %[[LOGITS]] : tensor<?x100xf32> -> tensor<?xi32>
// CHECK:         return %[[LOGITS]], %{{.*}}, %[[BEST]] : tensor<?x100xf32>, tensor<?x8xf32>, tensor<?xi32>
func.func @main(%x: tensor<?x8xf32>) -> (tensor<?x100xf32> {epi.name = "logits"}, tensor<?x8xf32> {epi.name = "hidden"}) {
  %w = epi.weight "w" : tensor<100x8xf32>
  %0 = epi.linear %x, %w : (tensor<?x8xf32>, tensor<100x8xf32>) -> tensor<?x100xf32>
  return %0, %x : tensor<?x100xf32>, tensor<?x8xf32>
}

// Logits may be part of a wider value.
// CHECK-LABEL: func.func @part
// CHECK:         %[[PARTS:.*]]:2 = epi.split
// CHECK:         %[[BEST:.*]] = epi.argmax %[[PARTS]]#1
// CHECK:         return %[[PARTS]]#1, %[[BEST]]
func.func @part(%x: tensor<?x12xbf16>) -> (tensor<?x8xbf16> {epi.name = "logits"}) {
  %0:2 = epi.split %x dim 1 : tensor<?x12xbf16> to tensor<?x4xbf16>, tensor<?x8xbf16>
  return %0#1 : tensor<?x8xbf16>
}

// Functions without logits stay as they are.
// CHECK-LABEL: func.func @other
// CHECK-NOT:     epi.argmax
func.func @other(%x: tensor<?x8xf32>) -> (tensor<?x8xf32> {epi.name = "hidden"}) {
  return %x : tensor<?x8xf32>
}
