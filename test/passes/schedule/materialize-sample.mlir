// RUN: epigraph-opt %s --epi-materialize-sample | FileCheck %s
// RUN: epigraph-opt %s --epi-materialize-sample --epi-materialize-sample | FileCheck %s
// RUN: epigraph-opt %s --epi-materialize-sample --remarks-filter=epi-materialize-sample -o /dev/null 2>&1 | FileCheck %s --check-prefix=STATS
// RUN: epigraph-opt %s --epi-materialize-sample --exec-hoist-weights --exec-outline-kernels | FileCheck %s --check-prefix=KERNEL

// KERNEL: exec.kernel @sample_0(%{{.*}}: tensor<?x100xf32>, %{{.*}}: !epi.step) -> tensor<?xi32>
// KERNEL: exec.kernel @sample_1(%{{.*}}: tensor<?x12xbf16>, %{{.*}}: !epi.step) -> tensor<?xi32>
// STATS: Category:epi-materialize-sample | functions=2

// The tokens that are chosen stand behind all other results.
// CHECK-LABEL: func.func @main
// CHECK-SAME:    %[[STEP:[a-z0-9]*]]: !epi.step
// CHECK-SAME:    -> (tensor<?x100xf32> {epi.name = "logits"}, tensor<?x8xf32> {epi.name = "hidden"}, tensor<?xi32> {epi.name = "chosen"})
// CHECK:         %[[LOGITS:.*]] = epi.linear
// CHECK:         %[[CHOSEN:.*]] = epi.sample %[[LOGITS]], %[[STEP]] : tensor<?x100xf32> -> tensor<?xi32>
// CHECK:         return %[[LOGITS]], %{{.*}}, %[[CHOSEN]] : tensor<?x100xf32>, tensor<?x8xf32>, tensor<?xi32>
func.func @main(%x: tensor<?x8xf32>, %step: !epi.step) -> (tensor<?x100xf32> {epi.name = "logits"}, tensor<?x8xf32> {epi.name = "hidden"}) {
  %w = epi.weight "w" : tensor<100x8xf32>
  %0 = epi.linear %x, %w : (tensor<?x8xf32>, tensor<100x8xf32>) -> tensor<?x100xf32>
  return %0, %x : tensor<?x100xf32>, tensor<?x8xf32>
}

// Logits may be part of a wider value.
// CHECK-LABEL: func.func @part
// CHECK:         %[[PARTS:.*]]:2 = epi.split
// CHECK:         %[[CHOSEN:.*]] = epi.sample %[[PARTS]]#1
// CHECK:         return %[[PARTS]]#1, %[[CHOSEN]]
func.func @part(%x: tensor<?x12xbf16>, %step: !epi.step) -> (tensor<?x8xbf16> {epi.name = "logits"}) {
  %0:2 = epi.split %x dim 1 : tensor<?x12xbf16> to tensor<?x4xbf16>, tensor<?x8xbf16>
  return %0#1 : tensor<?x8xbf16>
}

// Functions without logits stay as they are; so do those that go on from hidden states, and those without a step.
// CHECK-LABEL: func.func @other
// CHECK-NOT:     epi.sample
func.func @other(%x: tensor<?x8xf32>, %step: !epi.step) -> (tensor<?x8xf32> {epi.name = "hidden"}) {
  return %x : tensor<?x8xf32>
}
func.func @mtp(%x: tensor<?x8xf32> {epi.name = "hidden"}, %step: !epi.step) -> (tensor<?x8xf32> {epi.name = "logits"}) {
  return %x : tensor<?x8xf32>
}
func.func @stepless(%x: tensor<?x8xf32>) -> (tensor<?x8xf32> {epi.name = "logits"}) {
  return %x : tensor<?x8xf32>
}
