// RUN: epigraph-opt %s --ep-choose-collectives="threshold=0" | FileCheck %s
// RUN: epigraph-opt %s --ep-choose-collectives="threshold=1000000" | FileCheck %s --check-prefix=SHORT
// RUN: epigraph-opt %s --ep-choose-collectives | FileCheck %s --check-prefix=COST
// RUN: epigraph-opt %s --ep-choose-collectives="threshold=0" --remarks-filter='.*' 2>&1 >/dev/null | FileCheck %s --check-prefix=STATISTICS

// STATISTICS: Category:ep-choose-collectives | all-reduces=1, reduce-scatters=3, sunk-past=3

// With 2 ranks both ways move as much (n bytes a rank); taking apart costs a latency more, 1000 ns, and saves
// half the bytes of two operations on 512 rows of 64 columns: far more than that.
// COST-COUNT-2: ep.reduce_scatter

// SHORT-NOT: ep.reduce_scatter
// SHORT-COUNT-4: ep.all_reduce

module attributes {
  exec.limits = #exec.limits<batch_tokens = 512, sequences = 8, context = 64>,
  exec.target = #exec.target<name = "cpu:x86-64-v3", cores = 2, vector_bits = 256, registers = 16, cache_bytes = 1048576,
                             memory_gbps = 20.0, gflops = 100.0, launch_ns = 2000, link_gbps = 10.0, link_latency_ns = 1000>
} {
  ep.mesh @world {expert = 1 : i64, tensor = 2 : i64, attention = #ep.attention<replicated>}

  // The residual stream stays shared out: each sum works on shares, and only what the next projection
  // needs is gathered.

  // CHECK-LABEL: func.func @residual
  // CHECK-SAME: %[[X:[^:]*]]: tensor<?x64xf32>
  // CHECK: %[[A:.*]] = ep.reduce_scatter %{{.*}} on @world {axis = #ep.axis<tensor>}
  // CHECK: %[[SHARE:.*]] = ep.shard_rows %[[X]] on @world {axis = #ep.axis<tensor>}
  // CHECK: %[[S:.*]] = epi.add %[[SHARE]], %[[A]]
  // CHECK: %[[N:.*]] = epi.rms_norm %[[S]]
  // CHECK: %[[NORM:.*]] = ep.all_gather %[[N]] on @world {axis = #ep.axis<tensor>}
  // CHECK: %[[Z:.*]] = epi.linear %[[NORM]]
  // CHECK: %[[B:.*]] = ep.reduce_scatter %[[Z]]
  // CHECK: %[[T:.*]] = epi.add %[[S]], %[[B]]
  // CHECK: %[[Y:.*]] = ep.all_gather %[[T]]
  // CHECK-NOT: ep.all_gather
  // CHECK: return %[[Y]]
  func.func @residual(%x: tensor<?x64xf32>) -> tensor<?x64xf32> {
    %w = epi.weight "w" : tensor<64x64xf32>
    %norm = epi.weight "norm" : tensor<64xf32>
    %0 = epi.linear %x, %w : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
    %1 = ep.all_reduce %0 on @world {axis = #ep.axis<tensor>} : tensor<?x64xf32>
    %2 = epi.add %x, %1 : tensor<?x64xf32>
    %3 = epi.rms_norm %2, %norm {eps = 1.0e-6 : f64} : tensor<?x64xf32>, tensor<64xf32>
    %4 = epi.linear %3, %w : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
    %5 = ep.all_reduce %4 on @world {axis = #ep.axis<tensor>} : tensor<?x64xf32>
    %6 = epi.add %2, %5 : tensor<?x64xf32>
    return %6 : tensor<?x64xf32>
  }

  // What needs whole rows of all tokens at once keeps the gather where it is.

  // CHECK-LABEL: func.func @stays
  // CHECK: ep.reduce_scatter
  // CHECK-NEXT: %[[G:.*]] = ep.all_gather
  // CHECK-NEXT: epi.linear %[[G]]
  func.func @stays(%x: tensor<?x64xf32>) -> tensor<?x64xf32> {
    %w = epi.weight "w" : tensor<64x64xf32>
    %0 = ep.all_reduce %x on @world {axis = #ep.axis<tensor>} : tensor<?x64xf32>
    %1 = epi.linear %0, %w : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
    return %1 : tensor<?x64xf32>
  }

  // Output rows are not shared out.

  // CHECK-LABEL: func.func @output_rows
  // CHECK: ep.all_reduce
  func.func @output_rows(%x: tensor<?x64xf32>, %step: !epi.step) -> tensor<?x64xf32> {
    %0 = epi.output_rows %x, %step : tensor<?x64xf32>
    %1 = ep.all_reduce %0 on @world {axis = #ep.axis<tensor>} : tensor<?x64xf32>
    return %1 : tensor<?x64xf32>
  }
}
