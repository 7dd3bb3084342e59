// RUN: split-file %s %t
// RUN: epigraph-opt %t/two-layers.mlir --ep-place-experts="load=%t/load.json ranks=2" | FileCheck %s
// RUN: epigraph-opt %t/two-layers.mlir --ep-place-experts="load=%t/load.json ranks=2 redundant=2" | FileCheck %s --check-prefix=MORE
// RUN: epigraph-opt %t/two-layers.mlir --ep-place-experts="load=%t/load.json ranks=2 redundant=2" --ep-partition-experts="ranks=2" | FileCheck %s --check-prefix=PARTITIONED
// RUN: epigraph-opt %t/two-layers.mlir --ep-place-experts="load=%t/load.json ranks=2" --remarks-filter='.*' 2>&1 >/dev/null | FileCheck %s --check-prefix=STATISTICS
// RUN: not epigraph-opt %t/two-layers.mlir --ep-place-experts="load=%t/load.json ranks=3" 2>&1 | FileCheck %s --check-prefix=UNEVEN
// RUN: not epigraph-opt %t/two-layers.mlir --ep-place-experts="load=%t/load.json ranks=2 slots-per-rank=1" 2>&1 | FileCheck %s --check-prefix=SMALL
// RUN: not epigraph-opt %t/two-layers.mlir --ep-place-experts="load=%t/short.json ranks=2" 2>&1 | FileCheck %s --check-prefix=SHORT
// RUN: not epigraph-opt %t/two-layers.mlir --ep-place-experts="load=%t/unknown.json ranks=2" 2>&1 | FileCheck %s --check-prefix=UNKNOWN
// RUN: not epigraph-opt %t/two-layers.mlir --ep-place-experts="load=%t/negative.json ranks=2" 2>&1 | FileCheck %s --check-prefix=NEGATIVE
// RUN: not epigraph-opt %t/two-layers.mlir --ep-place-experts="load=%t/none.json ranks=2" 2>&1 | FileCheck %s --check-prefix=NONE

// The busy experts 0 and 1 of the first layer part. The second layer is fine as it is; the third is not in the file.
// CHECK: epi.experts {{.*}}ep.placement = #ep.placement<experts = 4, ranks = 2, slots = [0, {{[23]}}, 1, {{[23]}}]>
// CHECK-NOT: ep.placement

// With a slot to spare on each rank, both get a replica.
// MORE: epi.experts {{.*}}ep.placement = #ep.placement<experts = 4, ranks = 2, slots = [{{.*}}]>

// PARTITIONED: %[[TABLE:.*]] = ep.replica_table {placement = #ep.placement<experts = 4, ranks = 2, slots = [{{.*}}]>} : tensor<4x3xi32>
// PARTITIONED: %[[SLOTS:.*]] = ep.assign_replicas %{{.*}}, %[[TABLE]]
// PARTITIONED: ep.dispatch %{{.*}}, %[[SLOTS]] {{.*}} -> tensor<?x8xf32>, tensor<3xi32>
// PARTITIONED: ep.local_experts {{.*}} : tensor<4x16x8xf32> to tensor<3x16x8xf32>

// STATISTICS: Category:ep-place-experts | layers=1, max-over-mean-permille=1000, max-over-mean-permille-before=1800, slots-per-rank=2

// UNEVEN: loc("layer.0"): {{.*}}has 4 experts, with 0 replicas 4 slots, which 3 ranks cannot share equally; choose a number of replicas such as 2
// SMALL: has 4 experts, and 2 ranks of 1 slots hold only 2
// SHORT: has 4 experts, but {{.*}}short.json has counts of 3 for layer.0
// UNKNOWN: unknown.json: "extra": unknown key
// NEGATIVE: negative.json: layers."layer.0"[1]: expected a number of rows, 0 to 2^53
// NONE: none.json: No such file or directory

//--- load.json
{"format": "epigraph-expert-load", "version": 1, "layers": {"layer.0": [45, 45, 5, 5], "layer.1": [7, 7, 7, 7]}}
//--- short.json
{"format": "epigraph-expert-load", "version": 1, "layers": {"layer.0": [45, 45, 5]}}
//--- unknown.json
{"format": "epigraph-expert-load", "version": 1, "extra": 0, "layers": {}}
//--- negative.json
{"format": "epigraph-expert-load", "version": 1, "layers": {"layer.0": [1, -1, 0, 0]}}
//--- two-layers.mlir
func.func @main(%x: tensor<?x8xf32>, %ids: tensor<?x2xi32>, %w: tensor<?x2xf32>) -> tensor<?x8xf32> {
  %gates = epi.weight_stack "{}.gate" : tensor<4x16x8xf32>
  %ups = epi.weight_stack "{}.up" : tensor<4x16x8xf32>
  %downs = epi.weight_stack "{}.down" : tensor<4x8x16xf32>
  %0 = epi.experts %x, %ids, %w, %gates, %ups, %downs
      : tensor<?x8xf32>, tensor<?x2xi32>, tensor<?x2xf32>, tensor<4x16x8xf32>, tensor<4x16x8xf32>, tensor<4x8x16xf32> loc("layer.0")
  %1 = epi.experts %0, %ids, %w, %gates, %ups, %downs
      : tensor<?x8xf32>, tensor<?x2xi32>, tensor<?x2xf32>, tensor<4x16x8xf32>, tensor<4x16x8xf32>, tensor<4x8x16xf32> loc("layer.1")
  return %1 : tensor<?x8xf32>
}
