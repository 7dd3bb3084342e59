// Each phase as a pipeline of epigraph-opt gives what the driver's phases give.
// RUN: epigraph-compile %model --ep 2 --stop-after import -o %t.import
// RUN: epigraph-opt %t.import --epigraph-canonicalize --epigraph-fuse --epigraph-quantize --epigraph-sparsify \
// RUN:   --epigraph-partition=ranks=2 --epigraph-schedule --epigraph-plan-memory \
// RUN:   --mlir-print-debuginfo --mlir-print-local-scope -o %t.opt
// RUN: epigraph-compile %model --ep 2 --stop-after plan-memory -o %t.driver
// RUN: diff %t.opt %t.driver
// RUN: FileCheck %s < %t.driver

// CHECK: ep.mesh @world {attention = #ep.attention<replicated>, expert = 2 : i64}
// CHECK: exec.weight @model.layers.0.input_layernorm.weight
// CHECK: exec.kernel @embedding_0
// CHECK: func.func @main
// CHECK-SAME: exec.arena_bytes
// CHECK-NOT: epi.linear
// CHECK: ep.scatter_experts

// With data-parallel attention no rank shares out rows; in float32 no value of the step is bf16.
// RUN: epigraph-compile %model --ep 4 --attention data --compute float32 --stop-after schedule -o %t.data
// RUN: FileCheck %s --check-prefix=DATA < %t.data
// DATA: ep.mesh @world {attention = #ep.attention<data>, expert = 4 : i64}
// DATA: func.func @main
// DATA-NOT: bf16
// DATA-NOT: ep.shard_rows
