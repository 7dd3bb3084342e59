// RUN: epigraph-opt %s --ep-partition-tensor="tensor=2" | FileCheck %s
// RUN: epigraph-opt %s --ep-partition-tensor="tensor=2 mode=column" | FileCheck %s --check-prefix=COLUMN
// RUN: epigraph-opt %s --ep-partition-tensor="tensor=2 mode=row" | FileCheck %s --check-prefix=ROW
// RUN: epigraph-opt %s --ep-partition-tensor="tensor=2 expert=4 mode=2d" | FileCheck %s --check-prefix=AXES
// RUN: epigraph-opt %s --ep-partition-tensor="tensor=1 expert=4" | FileCheck %s --check-prefix=ONE
// RUN: epigraph-opt %s --ep-partition-tensor="tensor=2" --remarks-filter='.*' 2>&1 >/dev/null | FileCheck %s --check-prefix=STATISTICS

// STATISTICS: Category:ep-partition-tensor | column=6, experts=1, merged-reductions=1, row=3, two-dimensional=0

// CHECK: ep.mesh @world {attention = #ep.attention<replicated>, ep.pending_experts, expert = 1 : i64, tensor = 2 : i64}
// AXES: ep.mesh @world {attention = #ep.attention<replicated>, ep.pending_experts, expert = 4 : i64, tensor = 2 : i64}
// ONE: ep.mesh @world {{.*}}expert = 4 : i64
// ONE-NOT: ep.local_shard

// A dense layer: outputs of the first two projections are cut, inputs of the third, and one reduction adds
// up. The bias of the first is cut with its columns, that of the third added after the reduction.

// CHECK-LABEL: func.func @dense
// CHECK: %[[GATE:.*]] = ep.local_shard %gate {axis = #ep.axis<tensor>, dim = 0 : i64, parts = 2 : i64} : tensor<32x8xf32> to tensor<16x8xf32>
// CHECK: %[[G:.*]] = epi.linear %{{.*}}, %[[GATE]] : {{.*}} -> tensor<?x16xf32>
// CHECK: %[[BIAS:.*]] = ep.local_shard %gate_bias {{.*}} : tensor<32xf32> to tensor<16xf32>
// CHECK: epi.add %[[G]], %[[BIAS]]
// CHECK: epi.silu %{{.*}} : tensor<?x16xf32>
// CHECK: %[[DOWN:.*]] = ep.local_shard %down {axis = #ep.axis<tensor>, dim = 1 : i64, parts = 2 : i64} : tensor<8x32xf32> to tensor<8x16xf32>
// CHECK: %[[PART:.*]] = epi.linear %{{.*}}, %[[DOWN]]
// CHECK: %[[SUM:.*]] = ep.all_reduce %[[PART]] on @world {axis = #ep.axis<tensor>} : tensor<?x8xf32>
// CHECK: epi.add %[[SUM]], %down_bias

// COLUMN-LABEL: func.func @dense
// COLUMN: %[[Y:.*]] = epi.linear %{{.*}} -> tensor<?x16xf32>
// COLUMN: ep.gather_columns %[[Y]] on @world {axis = #ep.axis<tensor>} : tensor<?x16xf32> to tensor<?x32xf32>

// ROW-LABEL: func.func @dense
// ROW: %[[X:.*]] = ep.shard_columns %{{.*}} on @world {axis = #ep.axis<tensor>} : tensor<?x8xf32> to tensor<?x4xf32>
// ROW: %[[Y:.*]] = epi.linear %[[X]], %{{.*}} : (tensor<?x4xf32>, tensor<32x4xf32>) -> tensor<?x32xf32>
// ROW: ep.all_reduce %[[Y]] on @world {axis = #ep.axis<tensor>}

// Outputs over the two members, inputs over the four groups.
// AXES-LABEL: func.func @dense
// AXES: %[[X:.*]] = ep.shard_columns %{{.*}} on @world : tensor<?x8xf32> to tensor<?x2xf32>
// AXES: %[[Y:.*]] = epi.linear %[[X]], %{{.*}} : (tensor<?x2xf32>, tensor<16x2xf32>) -> tensor<?x16xf32>
// AXES: %[[SUM:.*]] = ep.all_reduce %[[Y]] on @world : tensor<?x16xf32>
// AXES: ep.gather_columns %[[SUM]] on @world {axis = #ep.axis<tensor>} : tensor<?x16xf32> to tensor<?x32xf32>
func.func @dense(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %gate = epi.weight "gate" : tensor<32x8xf32>
  %up = epi.weight "up" : tensor<32x8xf32>
  %gate_bias = epi.weight "gate_bias" : tensor<32xf32>
  %down = epi.weight "down" : tensor<8x32xf32>
  %down_bias = epi.weight "down_bias" : tensor<8xf32>
  %0 = epi.linear %x, %gate : (tensor<?x8xf32>, tensor<32x8xf32>) -> tensor<?x32xf32>
  %1 = epi.add %0, %gate_bias : tensor<?x32xf32>, tensor<32xf32>
  %2 = epi.linear %x, %up : (tensor<?x8xf32>, tensor<32x8xf32>) -> tensor<?x32xf32>
  %3 = epi.silu %1 : tensor<?x32xf32>
  %4 = epi.mul %3, %2 : tensor<?x32xf32>
  %5 = epi.linear %4, %down : (tensor<?x32xf32>, tensor<8x32xf32>) -> tensor<?x8xf32>
  %6 = epi.add %5, %down_bias : tensor<?x8xf32>, tensor<8xf32>
  %7 = epi.add %x, %6 : tensor<?x8xf32>
  return %7 : tensor<?x8xf32>
}

// Attention by heads: two of four query heads, one of two cached heads.

// CHECK-LABEL: func.func @attention
// CHECK: ep.local_shard %q {axis = #ep.axis<tensor>, dim = 0 : i64, parts = 2 : i64} : tensor<16x8xf32> to tensor<8x8xf32>
// CHECK: epi.reshape %{{.*}} : tensor<?x8xf32> to tensor<?x2x4xf32>
// CHECK: epi.rope %{{.*}} : tensor<?x2x4xf32>
// CHECK: ep.local_shard %k {{.*}} : tensor<8x8xf32> to tensor<4x8xf32>
// CHECK: epi.kv_cache "layer" : !epi.kv_cache<heads = 1, key = 4, value = 4, f32>
// CHECK: epi.attention {{.*}} -> tensor<?x2x4xf32>
// CHECK: ep.local_shard %o {{.*}}dim = 1 : i64
// CHECK: ep.all_reduce
func.func @attention(%x: tensor<?x8xf32>, %step: !epi.step) -> tensor<?x8xf32> {
  %table = epi.rope_table {theta = 1.0e4 : f64, magnitude = 1.0 : f64} : tensor<64x4xf32>
  %q = epi.weight "q" : tensor<16x8xf32>
  %k = epi.weight "k" : tensor<8x8xf32>
  %v = epi.weight "v" : tensor<8x8xf32>
  %o = epi.weight "o" : tensor<8x16xf32>
  %0 = epi.linear %x, %q : (tensor<?x8xf32>, tensor<16x8xf32>) -> tensor<?x16xf32>
  %1 = epi.reshape %0 : tensor<?x16xf32> to tensor<?x4x4xf32>
  %2 = epi.rope %1, %table, %step : tensor<?x4x4xf32>, tensor<64x4xf32>
  %3 = epi.linear %x, %k : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %4 = epi.reshape %3 : tensor<?x8xf32> to tensor<?x2x4xf32>
  %5 = epi.rope %4, %table, %step : tensor<?x2x4xf32>, tensor<64x4xf32>
  %6 = epi.linear %x, %v : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %7 = epi.reshape %6 : tensor<?x8xf32> to tensor<?x2x4xf32>
  %cache = epi.kv_cache "layer" : !epi.kv_cache<heads = 2, key = 4, value = 4, f32>
  %8 = epi.kv_append %cache, %5, %7, %step
      : !epi.kv_cache<heads = 2, key = 4, value = 4, f32>, tensor<?x2x4xf32>, tensor<?x2x4xf32>
  %9 = epi.attention %2, %8, %step {scale = 0.5 : f64}
      : (tensor<?x4x4xf32>, !epi.kv_cache<heads = 2, key = 4, value = 4, f32>) -> tensor<?x4x4xf32>
  %10 = epi.reshape %9 : tensor<?x4x4xf32> to tensor<?x16xf32>
  %11 = epi.linear %10, %o : (tensor<?x16xf32>, tensor<8x16xf32>) -> tensor<?x8xf32>
  return %11 : tensor<?x8xf32>
}

// Experts and the shared one reduce together. A router's result is needed whole, and its projection stays.

// CHECK-LABEL: func.func @experts
// CHECK-NOT: ep.local_shard %router
// CHECK: ep.local_shard %{{.*}} {{.*}}dim = 1 : i64, parts = 2 : i64} : tensor<4x32x8xf32> to tensor<4x16x8xf32>
// CHECK: ep.local_shard %{{.*}} {{.*}}dim = 2 : i64, parts = 2 : i64} : tensor<4x8x32xf32> to tensor<4x8x16xf32>
// CHECK: %[[ROUTED:.*]] = epi.experts
// CHECK-NOT: ep.all_reduce
// CHECK: %[[SHARED:.*]] = epi.linear %{{.*}} : (tensor<?x16xf32>, tensor<8x16xf32>)
// CHECK: %[[TOGETHER:.*]] = epi.add %[[ROUTED]], %[[SHARED]]
// CHECK: ep.all_reduce %[[TOGETHER]]
// CHECK-NOT: ep.all_reduce
func.func @experts(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %router = epi.weight "router" : tensor<4x8xf32>
  %gates = epi.weight_stack "{}.gate" : tensor<4x32x8xf32>
  %ups = epi.weight_stack "{}.up" : tensor<4x32x8xf32>
  %downs = epi.weight_stack "{}.down" : tensor<4x8x32xf32>
  %gate = epi.weight "shared.gate" : tensor<32x8xf32>
  %down = epi.weight "shared.down" : tensor<8x32xf32>
  %logits = epi.linear %x, %router : (tensor<?x8xf32>, tensor<4x8xf32>) -> tensor<?x4xf32>
  %ids, %weights = epi.route %logits {score = #epi.score<softmax>, top_k = 2 : i64, groups = 1 : i64, top_groups = 1 : i64,
      group_score = #epi.group_score<max>, scale = 1.0 : f64} : tensor<?x4xf32> -> tensor<?x2xi32>, tensor<?x2xf32>
  %0 = epi.experts %x, %ids, %weights, %gates, %ups, %downs
      : tensor<?x8xf32>, tensor<?x2xi32>, tensor<?x2xf32>, tensor<4x32x8xf32>, tensor<4x32x8xf32>, tensor<4x8x32xf32>
  %1 = epi.linear %x, %gate : (tensor<?x8xf32>, tensor<32x8xf32>) -> tensor<?x32xf32>
  %2 = epi.silu %1 : tensor<?x32xf32>
  %3 = epi.linear %2, %down : (tensor<?x32xf32>, tensor<8x32xf32>) -> tensor<?x8xf32>
  %4 = epi.add %0, %3 : tensor<?x8xf32>
  %5 = epi.add %x, %4 : tensor<?x8xf32>
  return %5 : tensor<?x8xf32>
}

// Fewer cached heads than members: each is held by two of four members.

// RUN: epigraph-opt %s --ep-partition-tensor="tensor=4" | FileCheck %s --check-prefix=FEWER
// FEWER-LABEL: func.func @attention
// FEWER: ep.local_shard %q {{.*}}parts = 4 : i64} : tensor<16x8xf32> to tensor<4x8xf32>
// FEWER: ep.local_shard %k {{.*}}parts = 2 : i64} : tensor<8x8xf32> to tensor<4x8xf32>
// FEWER: epi.kv_cache "layer" : !epi.kv_cache<heads = 1, key = 4, value = 4, f32>

// A norm over all columns, as OLMoE has it, needs them whole: attention stays whole, which a remark says.

// RUN: epigraph-opt %s --ep-partition-tensor="tensor=2" --remarks-filter='.*' 2>&1 >/dev/null | FileCheck %s --check-prefix=MISSED
// MISSED: Category:ep-partition-tensor | Remark="its heads cannot be shared: epi.rms_norm: it gives all of its columns at once"

// CHECK-LABEL: func.func @norm_over_heads
// CHECK-NOT: ep.local_shard
func.func @norm_over_heads(%x: tensor<?x8xf32>, %step: !epi.step) -> tensor<?x8xf32> {
  %q = epi.weight "q" : tensor<16x8xf32>
  %w = epi.weight "q_norm" : tensor<16xf32>
  %0 = epi.linear %x, %q : (tensor<?x8xf32>, tensor<16x8xf32>) -> tensor<?x16xf32>
  %1 = epi.rms_norm %0, %w {eps = 1.0e-6 : f64} : tensor<?x16xf32>, tensor<16xf32>
  %2 = epi.reshape %1 : tensor<?x16xf32> to tensor<?x4x4xf32>
  %cache = epi.kv_cache "other" : !epi.kv_cache<heads = 2, key = 4, value = 4, f32>
  %3 = epi.attention %2, %cache, %step {scale = 0.5 : f64}
      : (tensor<?x4x4xf32>, !epi.kv_cache<heads = 2, key = 4, value = 4, f32>) -> tensor<?x4x4xf32>
  %o = epi.weight "o" : tensor<8x16xf32>
  %4 = epi.reshape %3 : tensor<?x4x4xf32> to tensor<?x16xf32>
  %5 = epi.linear %4, %o : (tensor<?x16xf32>, tensor<8x16xf32>) -> tensor<?x8xf32>
  %6 = epi.add %x, %5 : tensor<?x8xf32>
  return %6 : tensor<?x8xf32>
}
