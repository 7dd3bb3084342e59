// RUN: epigraph-opt %s --ep-overlap --split-input-file | FileCheck %s
// RUN: epigraph-opt %s --ep-overlap --exec-insert-waits --exec-verify-waits --split-input-file -o /dev/null
// RUN: epigraph-opt %s --ep-overlap --split-input-file --remarks-filter=ep-overlap -o /dev/null 2>&1 | FileCheck %s --check-prefix=STATS

// A link of 10 us latency, and 512 bytes at 10 GB/s: @silu_0, which needs nothing of the exchange, moves behind its start. The weight that it reads
// goes with it.

// CHECK-LABEL: func.func @shadow
// CHECK-NEXT:    exec.launch @silu_0(%arg0)
// CHECK-NEXT:    %[[A:.*]], %{{.*}} = ep.all_reduce
// CHECK-NEXT:    %[[W:.*]] = exec.load_weight
// CHECK-NEXT:    %[[S:.*]] = exec.launch @linear_0(%arg0, %[[W]])
// CHECK-NEXT:    exec.launch @add_0(%[[A]], %[[S]])
// CHECK-NEXT:    return
// STATS: Category:ep-overlap | exchange-ns=10051, hidden-ns=1000, moved=1
module attributes {exec.limits = #exec.limits<batch_tokens = 16, sequences = 4, context = 64>,
                   exec.target = #exec.target<name = "t", cores = 1, vector_bits = 256, registers = 16, cache_bytes = 1024,
                     memory_gbps = 1000000.0, gflops = 1000000.0, launch_ns = 1000, link_gbps = 10.0, link_latency_ns = 10000>} {
  ep.mesh @world {expert = 2 : i64, attention = #ep.attention<replicated>}
  exec.weight @w : tensor<8x8xf32> {
    %0 = epi.weight "w" : tensor<8x8xf32>
    exec.yield %0 : tensor<8x8xf32>
  }
  exec.kernel @silu_0(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
    %0 = epi.silu %x : tensor<?x8xf32>
    exec.yield %0 : tensor<?x8xf32>
  }
  exec.kernel @linear_0(%x: tensor<?x8xf32>, %w: tensor<8x8xf32>) -> tensor<?x8xf32> {
    %0 = epi.linear %x, %w : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
    exec.yield %0 : tensor<?x8xf32>
  }
  exec.kernel @add_0(%x: tensor<?x8xf32>, %y: tensor<?x8xf32>) -> tensor<?x8xf32> {
    %0 = epi.add %x, %y : tensor<?x8xf32>
    exec.yield %0 : tensor<?x8xf32>
  }
  func.func @shadow(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
    %w = exec.load_weight @w : tensor<8x8xf32>
    %s = exec.launch @linear_0(%x, %w) : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
    %0 = exec.launch @silu_0(%x) : (tensor<?x8xf32>) -> tensor<?x8xf32>
    %a, %ta = ep.all_reduce %0 on @world : tensor<?x8xf32>, !ep.token
    %1 = exec.launch @add_0(%a, %s) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
    return %1 : tensor<?x8xf32>
  }
}

// -----

// Nothing to hide: all that follows needs the exchange. The order stays, and so it does without tokens, where @linear could
// move as well.

// CHECK-LABEL: func.func @chain
// CHECK-NEXT:    exec.launch @silu_0
// CHECK-NEXT:    ep.all_reduce
// CHECK-NEXT:    exec.launch @silu_0
// CHECK-NEXT:    return
// CHECK-LABEL: func.func @no_tokens
// CHECK-NEXT:    exec.launch @silu_0(%arg0)
// CHECK-NEXT:    ep.all_reduce %arg0 on @world
// CHECK-NEXT:    exec.launch @add_0
// CHECK-NEXT:    return
// STATS: Category:ep-overlap | exchange-ns={{[1-9][0-9]*}}, hidden-ns=0, moved=0
module attributes {exec.limits = #exec.limits<batch_tokens = 16, sequences = 4, context = 64>} {
  ep.mesh @world {expert = 2 : i64, attention = #ep.attention<replicated>}
  exec.kernel @silu_0(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
    %0 = epi.silu %x : tensor<?x8xf32>
    exec.yield %0 : tensor<?x8xf32>
  }
  exec.kernel @add_0(%x: tensor<?x8xf32>, %y: tensor<?x8xf32>) -> tensor<?x8xf32> {
    %0 = epi.add %x, %y : tensor<?x8xf32>
    exec.yield %0 : tensor<?x8xf32>
  }
  func.func @chain(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
    %0 = exec.launch @silu_0(%x) : (tensor<?x8xf32>) -> tensor<?x8xf32>
    %a, %ta = ep.all_reduce %0 on @world : tensor<?x8xf32>, !ep.token
    %1 = exec.launch @silu_0(%a) : (tensor<?x8xf32>) -> tensor<?x8xf32>
    return %1 : tensor<?x8xf32>
  }
  func.func @no_tokens(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
    %0 = exec.launch @silu_0(%x) : (tensor<?x8xf32>) -> tensor<?x8xf32>
    %a = ep.all_reduce %x on @world : tensor<?x8xf32>
    %1 = exec.launch @add_0(%a, %0) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
    return %1 : tensor<?x8xf32>
  }
}

// -----

// What appends to a cache stays behind what reads it before: the exchange starts first, and both hide it in their order.

// CHECK-LABEL: func.func @caches
// CHECK-NEXT:    ep.all_reduce
// CHECK-NEXT:    %[[C:.*]] = epi.kv_cache
// CHECK-NEXT:    %[[Y:.*]] = exec.launch @attention_0(%arg1, %[[C]], %arg2)
// CHECK-NEXT:    exec.launch @kv_append_0(%[[C]], %arg1, %arg2)
// CHECK-NEXT:    exec.launch @add_0
// STATS: Category:ep-overlap | {{.*}}moved=1
module attributes {exec.limits = #exec.limits<batch_tokens = 16, sequences = 4, context = 64>} {
  ep.mesh @world {expert = 2 : i64, attention = #ep.attention<replicated>}
  exec.kernel @add_0(%x: tensor<?x8xf32>, %y: tensor<?x1x8xf32>) -> tensor<?x8xf32> {
    %z = epi.reshape %y : tensor<?x1x8xf32> to tensor<?x8xf32>
    %0 = epi.add %x, %z : tensor<?x8xf32>
    exec.yield %0 : tensor<?x8xf32>
  }
  exec.kernel @attention_0(%q: tensor<?x1x8xf32>, %c: !epi.kv_cache<heads = 1, key = 8, value = 8, f32>, %step: !epi.step) -> tensor<?x1x8xf32> {
    %0 = epi.attention %q, %c, %step {scale = 1.0 : f64} : (tensor<?x1x8xf32>, !epi.kv_cache<heads = 1, key = 8, value = 8, f32>) -> tensor<?x1x8xf32>
    exec.yield %0 : tensor<?x1x8xf32>
  }
  exec.kernel @kv_append_0(%c: !epi.kv_cache<heads = 1, key = 8, value = 8, f32>, %k: tensor<?x1x8xf32>, %step: !epi.step)
      -> !epi.kv_cache<heads = 1, key = 8, value = 8, f32> {
    %0 = epi.kv_append %c, %k, %k, %step : !epi.kv_cache<heads = 1, key = 8, value = 8, f32>, tensor<?x1x8xf32>, tensor<?x1x8xf32>
    exec.yield %0 : !epi.kv_cache<heads = 1, key = 8, value = 8, f32>
  }
  func.func @caches(%x: tensor<?x8xf32>, %q: tensor<?x1x8xf32>, %step: !epi.step) -> tensor<?x8xf32> {
    %c = epi.kv_cache "c" : !epi.kv_cache<heads = 1, key = 8, value = 8, f32>
    %y = exec.launch @attention_0(%q, %c, %step)
        : (tensor<?x1x8xf32>, !epi.kv_cache<heads = 1, key = 8, value = 8, f32>, !epi.step) -> tensor<?x1x8xf32>
    %d = exec.launch @kv_append_0(%c, %q, %step)
        : (!epi.kv_cache<heads = 1, key = 8, value = 8, f32>, tensor<?x1x8xf32>, !epi.step) -> !epi.kv_cache<heads = 1, key = 8, value = 8, f32>
    %a, %ta = ep.all_reduce %x on @world : tensor<?x8xf32>, !ep.token
    %1 = exec.launch @add_0(%a, %y) : (tensor<?x8xf32>, tensor<?x1x8xf32>) -> tensor<?x8xf32>
    return %1 : tensor<?x8xf32>
  }
}

// -----

// What is sent to peers must have been sent before anything is received, though no value says so.

// CHECK-LABEL: func.func @peers
// CHECK:         exec.launch @send
// CHECK:         exec.launch @receive
// CHECK:         return
module attributes {exec.limits = #exec.limits<batch_tokens = 16, sequences = 4, context = 64>,
                   exec.target = #exec.target<name = "t", cores = 1, vector_bits = 256, registers = 16, cache_bytes = 1024,
                     memory_gbps = 1000000.0, gflops = 1000000.0, launch_ns = 1000, link_gbps = 10.0, link_latency_ns = 10000>} {
  ep.mesh @world {expert = 2 : i64, attention = #ep.attention<data>}
  exec.kernel @send(%x: tensor<?x8xbf16>, %ids: tensor<?x2xi32>, %w: tensor<?x2xf32>) {
    ep.dispatch_send %x, %ids, %w on @world {placement = #ep.placement<experts = 4, ranks = 2>, capacity = 16 : i64}
        : tensor<?x8xbf16>, tensor<?x2xi32>, tensor<?x2xf32>
    exec.yield
  }
  exec.kernel @receive() -> (tensor<?x8xbf16>, tensor<2xi32>, tensor<1xi32>, tensor<32x2xi32>, tensor<32x2xf32>) {
    %rows, %counts, %received, %places, %w = ep.dispatch_receive on @world {placement = #ep.placement<experts = 4, ranks = 2>, capacity = 16 : i64}
        : tensor<?x8xbf16>, tensor<2xi32>, tensor<1xi32>, tensor<32x2xi32>, tensor<32x2xf32>
    exec.yield %rows, %counts, %received, %places, %w : tensor<?x8xbf16>, tensor<2xi32>, tensor<1xi32>, tensor<32x2xi32>, tensor<32x2xf32>
  }
  exec.kernel @silu(%x: tensor<?x8xbf16>) -> tensor<?x8xbf16> {
    %0 = epi.silu %x : tensor<?x8xbf16>
    exec.yield %0 : tensor<?x8xbf16>
  }
  func.func @peers(%x: tensor<?x8xbf16>, %ids: tensor<?x2xi32>, %w: tensor<?x2xf32>) -> tensor<?x8xbf16> {
    exec.launch @send(%x, %ids, %w) : (tensor<?x8xbf16>, tensor<?x2xi32>, tensor<?x2xf32>) -> ()
    %r:5 = exec.launch @receive() : () -> (tensor<?x8xbf16>, tensor<2xi32>, tensor<1xi32>, tensor<32x2xi32>, tensor<32x2xf32>)
    %y = exec.launch @silu(%r#0) : (tensor<?x8xbf16>) -> tensor<?x8xbf16>
    %a, %ta = ep.all_reduce %y on @world : tensor<?x8xbf16>, !ep.token
    return %a : tensor<?x8xbf16>
  }
}
