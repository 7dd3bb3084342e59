// RUN: epigraph-opt %s --ep-split-batches=batches=2 --split-input-file | FileCheck %s
// RUN: epigraph-opt %s --ep-split-batches=batches=2 --split-input-file --remarks-filter=ep-split-batches -o /dev/null 2>&1 | FileCheck %s --check-prefix=STATS
// RUN: epigraph-opt %s --ep-split-batches=batches=1 --split-input-file | FileCheck %s --check-prefix=ONE
// RUN: epigraph-opt %s --ep-split-batches --split-input-file | FileCheck %s --check-prefix=AUTO
// RUN: epigraph-opt %s --ep-split-batches=batches=2 --ep-overlap --exec-insert-waits --exec-plan-memory --exec-verify-waits --split-input-file | FileCheck %s --check-prefix=PLANNED

// Rows that come in are halved, everything in between stands there twice, on the same kernels, and the results are joined. The
// second exchange of each half is that of its own first.

// CHECK-LABEL: exec.kernel @halve_rows_0(%{{.*}}: tensor<?x4xf32>) -> (tensor<?x4xf32>, tensor<?x4xf32>)
// CHECK:       exec.kernel @halve_rows_1(%{{.*}}: tensor<?x2xi32>)
// CHECK:       exec.kernel @halve_rows_2(%{{.*}}: tensor<?x2xf32>)
// CHECK:       exec.kernel @join_rows_0(%{{.*}}: tensor<?x4xf32>, %{{.*}}: tensor<?x4xf32>) -> tensor<?x4xf32>
// CHECK-LABEL: func.func @main
// CHECK-DAG:     %[[X:.*]]:2 = exec.launch @halve_rows_0(
// CHECK-DAG:     %[[I:.*]]:2 = exec.launch @halve_rows_1(
// CHECK-DAG:     %[[W:.*]]:2 = exec.launch @halve_rows_2(
// CHECK:         %[[PA:.*]]:3 = exec.launch @permute_0(%[[X]]#0, %[[I]]#0)
// CHECK-NEXT:    %[[PB:.*]]:3 = exec.launch @permute_0(%[[X]]#1, %[[I]]#1)
// CHECK-NEXT:    %[[RA:.*]], %[[NA:.*]], %{{.*}} = ep.scatter_experts %[[PA]]#0, %[[PA]]#2
// CHECK-NEXT:    %[[RB:.*]], %[[NB:.*]], %{{.*}} = ep.scatter_experts %[[PB]]#0, %[[PB]]#2
// CHECK-NEXT:    %[[EA:.*]] = exec.launch @silu_0(%[[RA]])
// CHECK-NEXT:    %[[EB:.*]] = exec.launch @silu_0(%[[RB]])
// CHECK-NEXT:    %[[GA:.*]], %{{.*}} = ep.gather_experts %[[EA]], %[[PA]]#2, %[[NA]]
// CHECK-NEXT:    %[[GB:.*]], %{{.*}} = ep.gather_experts %[[EB]], %[[PB]]#2, %[[NB]]
// CHECK-NEXT:    %[[UA:.*]] = exec.launch @unpermute_0(%[[GA]], %[[PA]]#1, %[[W]]#0)
// CHECK-NEXT:    %[[UB:.*]] = exec.launch @unpermute_0(%[[GB]], %[[PB]]#1, %[[W]]#1)
// CHECK-NEXT:    %[[Y:.*]] = exec.launch @join_rows_0(%[[UA]], %[[UB]])
// CHECK-NEXT:    ep.all_gather %[[Y]]
// STATS: Category:ep-split-batches | dispatches=1, saved-ns=0, split=1

// Scheduled, the second half is sorted and sent while the first is exchanged. Of 16 tokens a rank has 8, a half 4, of which
// 2 * 4 rows of 16 bytes are sent; at worst 2 ranks send all of theirs here.
// PLANNED-LABEL: func.func @main
// PLANNED:         exec.launch @permute_0({{.*}}bytes = 128>
// PLANNED-NEXT:    %[[RA:.*]], %{{.*}}, %[[TA:.*]] = ep.scatter_experts {{.*}}bytes = 256>
// PLANNED:         exec.launch @permute_0(
// PLANNED-NEXT:    %[[RB:.*]], %{{.*}}, %[[TB:.*]] = ep.scatter_experts
// PLANNED:         ep.wait %[[TA]]
// PLANNED-NEXT:    exec.launch @silu_0(%[[RA]])
// PLANNED-NEXT:    ep.gather_experts
// PLANNED-NEXT:    ep.wait %[[TB]]
// PLANNED-NEXT:    exec.launch @silu_0(%[[RB]])

// ONE-NOT: halve_rows
// Latency twice for so little work is not worth it.
// AUTO-NOT: halve_rows

#p = #ep.placement<experts = 8, ranks = 2>
module attributes {exec.limits = #exec.limits<batch_tokens = 16, sequences = 4, context = 64>} {
  ep.mesh @world {expert = 2 : i64, attention = #ep.attention<replicated>}
  exec.kernel @permute_0(%x: tensor<?x4xf32>, %ids: tensor<?x2xi32>) -> (tensor<?x4xf32>, tensor<?x2xi32>, tensor<8xi32>) {
    %r, %s, %n = epi.permute %x, %ids : tensor<?x4xf32>, tensor<?x2xi32> -> tensor<?x4xf32>, tensor<?x2xi32>, tensor<8xi32>
    exec.yield %r, %s, %n : tensor<?x4xf32>, tensor<?x2xi32>, tensor<8xi32>
  }
  exec.kernel @silu_0(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
    %0 = epi.silu %x : tensor<?x4xf32>
    exec.yield %0 : tensor<?x4xf32>
  }
  exec.kernel @unpermute_0(%x: tensor<?x4xf32>, %s: tensor<?x2xi32>, %w: tensor<?x2xf32>) -> tensor<?x4xf32> {
    %0 = epi.unpermute %x, %s, %w : tensor<?x4xf32>, tensor<?x2xi32>, tensor<?x2xf32> -> tensor<?x4xf32>
    exec.yield %0 : tensor<?x4xf32>
  }
  func.func @main(%x: tensor<?x4xf32>, %ids: tensor<?x2xi32>, %w: tensor<?x2xf32>) -> tensor<?x4xf32> {
    %xl = ep.shard_rows %x on @world : tensor<?x4xf32>
    %il = ep.shard_rows %ids on @world : tensor<?x2xi32>
    %wl = ep.shard_rows %w on @world : tensor<?x2xf32>
    %p:3 = exec.launch @permute_0(%xl, %il) : (tensor<?x4xf32>, tensor<?x2xi32>) -> (tensor<?x4xf32>, tensor<?x2xi32>, tensor<8xi32>)
    %r, %n, %t0 = ep.scatter_experts %p#0, %p#2 on @world {placement = #p}
        : tensor<?x4xf32>, tensor<8xi32> -> tensor<?x4xf32>, tensor<4xi32>, !ep.token
    %e = exec.launch @silu_0(%r) : (tensor<?x4xf32>) -> tensor<?x4xf32>
    %g, %t1 = ep.gather_experts %e, %p#2, %n on @world : tensor<?x4xf32>, tensor<8xi32>, tensor<4xi32> -> tensor<?x4xf32>, !ep.token
    %u = exec.launch @unpermute_0(%g, %p#1, %wl) : (tensor<?x4xf32>, tensor<?x2xi32>, tensor<?x2xf32>) -> tensor<?x4xf32>
    %a, %t2 = ep.all_gather %u on @world : tensor<?x4xf32>, !ep.token
    return %a : tensor<?x4xf32>
  }
}

// -----

// Left alone: the function returns rows of the experts, and the exchange below has no tokens.

// CHECK-LABEL: func.func @read_elsewhere
// CHECK-NOT:     halve_rows
// CHECK-LABEL: func.func @no_tokens
// CHECK-NOT:     halve_rows
// STATS: [Missed]{{.*}}something else reads what is computed on dispatched rows
// STATS: Category:ep-split-batches | dispatches=1, saved-ns=0, split=0

#p = #ep.placement<experts = 8, ranks = 2>
module attributes {exec.limits = #exec.limits<batch_tokens = 16, sequences = 4, context = 64>} {
  ep.mesh @world {expert = 2 : i64, attention = #ep.attention<data>}
  exec.kernel @permute_0(%x: tensor<?x4xf32>, %ids: tensor<?x2xi32>) -> (tensor<?x4xf32>, tensor<?x2xi32>, tensor<8xi32>) {
    %r, %s, %n = epi.permute %x, %ids : tensor<?x4xf32>, tensor<?x2xi32> -> tensor<?x4xf32>, tensor<?x2xi32>, tensor<8xi32>
    exec.yield %r, %s, %n : tensor<?x4xf32>, tensor<?x2xi32>, tensor<8xi32>
  }
  exec.kernel @unpermute_0(%x: tensor<?x4xf32>, %s: tensor<?x2xi32>, %w: tensor<?x2xf32>) -> tensor<?x4xf32> {
    %0 = epi.unpermute %x, %s, %w : tensor<?x4xf32>, tensor<?x2xi32>, tensor<?x2xf32> -> tensor<?x4xf32>
    exec.yield %0 : tensor<?x4xf32>
  }
  func.func @read_elsewhere(%x: tensor<?x4xf32>, %ids: tensor<?x2xi32>, %w: tensor<?x2xf32>) -> (tensor<?x4xf32>, tensor<?x2xi32>) {
    %p:3 = exec.launch @permute_0(%x, %ids) : (tensor<?x4xf32>, tensor<?x2xi32>) -> (tensor<?x4xf32>, tensor<?x2xi32>, tensor<8xi32>)
    %r, %n, %t0 = ep.scatter_experts %p#0, %p#2 on @world {placement = #p}
        : tensor<?x4xf32>, tensor<8xi32> -> tensor<?x4xf32>, tensor<4xi32>, !ep.token
    %g, %t1 = ep.gather_experts %r, %p#2, %n on @world : tensor<?x4xf32>, tensor<8xi32>, tensor<4xi32> -> tensor<?x4xf32>, !ep.token
    %u = exec.launch @unpermute_0(%g, %p#1, %w) : (tensor<?x4xf32>, tensor<?x2xi32>, tensor<?x2xf32>) -> tensor<?x4xf32>
    return %u, %p#1 : tensor<?x4xf32>, tensor<?x2xi32>
  }
  func.func @no_tokens(%x: tensor<?x4xf32>, %ids: tensor<?x2xi32>, %w: tensor<?x2xf32>) -> tensor<?x4xf32> {
    %p:3 = exec.launch @permute_0(%x, %ids) : (tensor<?x4xf32>, tensor<?x2xi32>) -> (tensor<?x4xf32>, tensor<?x2xi32>, tensor<8xi32>)
    %r, %n = ep.scatter_experts %p#0, %p#2 on @world {placement = #p} : tensor<?x4xf32>, tensor<8xi32> -> tensor<?x4xf32>, tensor<4xi32>
    %g = ep.gather_experts %r, %p#2, %n on @world : tensor<?x4xf32>, tensor<8xi32>, tensor<4xi32> -> tensor<?x4xf32>
    %u = exec.launch @unpermute_0(%g, %p#1, %w) : (tensor<?x4xf32>, tensor<?x2xi32>, tensor<?x2xf32>) -> tensor<?x4xf32>
    return %u : tensor<?x4xf32>
  }
}

// -----

// A slow link beside slow projections: half of the exchanges hides behind the other half's work, by the estimate.

// CHECK-LABEL: module @worth_it
// AUTO-LABEL: module @worth_it
// AUTO:         exec.launch @halve_rows_0
// AUTO:         exec.launch @join_rows_0
#p = #ep.placement<experts = 8, ranks = 2>
module @worth_it attributes {exec.limits = #exec.limits<batch_tokens = 16, sequences = 4, context = 64>,
                             exec.target = #exec.target<name = "t", cores = 1, vector_bits = 256, registers = 16, cache_bytes = 1024,
                               memory_gbps = 1000.0, gflops = 0.0001, launch_ns = 1, link_gbps = 0.0001, link_latency_ns = 1>} {
  ep.mesh @world {expert = 2 : i64, attention = #ep.attention<replicated>}
  exec.kernel @permute_0(%x: tensor<?x4xf32>, %ids: tensor<?x2xi32>) -> (tensor<?x4xf32>, tensor<?x2xi32>, tensor<8xi32>) {
    %r, %s, %n = epi.permute %x, %ids : tensor<?x4xf32>, tensor<?x2xi32> -> tensor<?x4xf32>, tensor<?x2xi32>, tensor<8xi32>
    exec.yield %r, %s, %n : tensor<?x4xf32>, tensor<?x2xi32>, tensor<8xi32>
  }
  exec.kernel @silu_0(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
    %0 = epi.silu %x : tensor<?x4xf32>
    exec.yield %0 : tensor<?x4xf32>
  }
  exec.kernel @unpermute_0(%x: tensor<?x4xf32>, %s: tensor<?x2xi32>, %w: tensor<?x2xf32>) -> tensor<?x4xf32> {
    %0 = epi.unpermute %x, %s, %w : tensor<?x4xf32>, tensor<?x2xi32>, tensor<?x2xf32> -> tensor<?x4xf32>
    exec.yield %0 : tensor<?x4xf32>
  }
  func.func @main(%x: tensor<?x4xf32>, %ids: tensor<?x2xi32>, %w: tensor<?x2xf32>) -> tensor<?x4xf32> {
    %xl = ep.shard_rows %x on @world : tensor<?x4xf32>
    %il = ep.shard_rows %ids on @world : tensor<?x2xi32>
    %wl = ep.shard_rows %w on @world : tensor<?x2xf32>
    %p:3 = exec.launch @permute_0(%xl, %il) : (tensor<?x4xf32>, tensor<?x2xi32>) -> (tensor<?x4xf32>, tensor<?x2xi32>, tensor<8xi32>)
    %r, %n, %t0 = ep.scatter_experts %p#0, %p#2 on @world {placement = #p}
        : tensor<?x4xf32>, tensor<8xi32> -> tensor<?x4xf32>, tensor<4xi32>, !ep.token
    %e = exec.launch @silu_0(%r) : (tensor<?x4xf32>) -> tensor<?x4xf32>
    %g, %t1 = ep.gather_experts %e, %p#2, %n on @world : tensor<?x4xf32>, tensor<8xi32>, tensor<4xi32> -> tensor<?x4xf32>, !ep.token
    %u = exec.launch @unpermute_0(%g, %p#1, %wl) : (tensor<?x4xf32>, tensor<?x2xi32>, tensor<?x2xf32>) -> tensor<?x4xf32>
    %a, %t2 = ep.all_gather %u on @world : tensor<?x4xf32>, !ep.token
    return %a : tensor<?x4xf32>
  }
}
