// RUN: epigraph-opt %s --exec-plan-memory --split-input-file | FileCheck %s
// RUN: epigraph-opt %s --exec-plan-memory --exec-verify-memory-plan --split-input-file -o /dev/null
// RUN: epigraph-opt %s --exec-plan-memory --split-input-file --remarks-filter=exec-plan-memory -o /dev/null 2>&1 | FileCheck %s --check-prefix=STATS

// A chain needs two buffers at a time: %a and %c share memory, %b lies behind. 10 tokens of 8 floats are 320 bytes.

// CHECK-LABEL: module @chain
// CHECK:       func.func @main({{.*}}) -> tensor<?x8xf32> attributes {exec.arena_bytes = 640 : i64}
// CHECK:         exec.launch @silu_0(%{{.*}}) {exec.buffers = [#exec.buffer<offset = 0, bytes = 320>]}
// CHECK-NEXT:    exec.launch @silu_0(%{{.*}}) {exec.buffers = [#exec.buffer<offset = 320, bytes = 320>]}
// CHECK-NEXT:    exec.launch @silu_0(%{{.*}}) {exec.buffers = [#exec.buffer<offset = 0, bytes = 320>]}
// STATS:       Category:exec-plan-memory | buffers=3, naive-bytes=960, peak-bytes=640
module @chain attributes {exec.limits = #exec.limits<batch_tokens = 10, sequences = 3, context = 64>} {
  exec.kernel @silu_0(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
    %0 = epi.silu %x : tensor<?x8xf32>
    exec.yield %0 : tensor<?x8xf32>
  }
  func.func @main(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
    %a = exec.launch @silu_0(%x) : (tensor<?x8xf32>) -> tensor<?x8xf32>
    %b = exec.launch @silu_0(%a) : (tensor<?x8xf32>) -> tensor<?x8xf32>
    %c = exec.launch @silu_0(%b) : (tensor<?x8xf32>) -> tensor<?x8xf32>
    return %c : tensor<?x8xf32>
  }
}

// -----

// A result of the function lives to its end, and output rows are counted by sequences: 3 rows of 16 bytes, in 64.

// CHECK-LABEL: module @results
// CHECK:       attributes {exec.arena_bytes = 448 : i64}
// CHECK:         exec.launch @output_rows_0(%{{.*}}) {exec.buffers = [#exec.buffer<offset = 384, bytes = 48>]}
// CHECK-NEXT:    exec.launch @cast_0(%{{.*}}) {exec.buffers = [#exec.buffer<offset = 0, bytes = 160>]}
// CHECK-NEXT:    exec.launch @cast_0(%{{.*}}) {exec.buffers = [#exec.buffer<offset = 192, bytes = 160>]}
module @results attributes {exec.limits = #exec.limits<batch_tokens = 10, sequences = 3, context = 64>} {
  exec.kernel @output_rows_0(%x: tensor<?x4xf32>, %step: !epi.step) -> tensor<?x4xf32> {
    %0 = epi.output_rows %x, %step : tensor<?x4xf32>
    exec.yield %0 : tensor<?x4xf32>
  }
  exec.kernel @cast_0(%x: tensor<?x4xf32>) -> tensor<?x8xbf16> {
    %0 = epi.cast %x : tensor<?x4xf32> to tensor<?x4xbf16>
    %1 = epi.concat %0, %0 dim 1 : tensor<?x4xbf16>, tensor<?x4xbf16> to tensor<?x8xbf16>
    exec.yield %1 : tensor<?x8xbf16>
  }
  func.func @main(%x: tensor<?x4xf32>, %step: !epi.step) -> (tensor<?x4xf32>, tensor<?x8xbf16>, tensor<?x8xbf16>) {
    %o = exec.launch @output_rows_0(%x, %step) : (tensor<?x4xf32>, !epi.step) -> tensor<?x4xf32>
    %a = exec.launch @cast_0(%x) : (tensor<?x4xf32>) -> tensor<?x8xbf16>
    %b = exec.launch @cast_0(%x) : (tensor<?x4xf32>) -> tensor<?x8xbf16>
    return %o, %a, %b : tensor<?x4xf32>, tensor<?x8xbf16>, tensor<?x8xbf16>
  }
}

// -----

// An exchange over 4 ranks under replicated attention: each dispatches at most ceil(10 / 4) = 3 rows, permuted 3 * 4 = 12;
// at worst 4 * 3 rows arrive for each of the min(top_k 4, local experts 2) experts that a token can have here.
// A cache has no buffer, and a launch of several results has one for each.

// CHECK-LABEL: module @exchange
// CHECK:       ep.shard_rows %{{.*}} {exec.buffers = [#exec.buffer<offset = {{[0-9]+}}, bytes = 48>]}
// CHECK:       exec.launch @permute_0({{.*}}) {exec.buffers = [#exec.buffer<offset = {{[0-9]+}}, bytes = 192>, #exec.buffer<offset = {{[0-9]+}}, bytes = 48>, #exec.buffer<offset = {{[0-9]+}}, bytes = 32>]}
// CHECK:       ep.scatter_experts {{.*}}exec.buffers = [#exec.buffer<offset = {{[0-9]+}}, bytes = 384>, #exec.buffer<offset = {{[0-9]+}}, bytes = 8>]
// CHECK:       exec.launch @silu_0({{.*}}) {exec.buffers = [#exec.buffer<offset = {{[0-9]+}}, bytes = 384>]}
// CHECK:       ep.gather_experts {{.*}}exec.buffers = [#exec.buffer<offset = {{[0-9]+}}, bytes = 192>]
// CHECK:       exec.launch @unpermute_0({{.*}}) {exec.buffers = [#exec.buffer<offset = {{[0-9]+}}, bytes = 48>]}
// CHECK:       ep.all_gather {{.*}}exec.buffers = [#exec.buffer<offset = {{[0-9]+}}, bytes = 160>]
// CHECK:       exec.launch @kv_append_0({{[^{]*}}) :
module @exchange attributes {exec.limits = #exec.limits<batch_tokens = 10, sequences = 3, context = 64>} {
  ep.mesh @world {expert = 4 : i64, attention = #ep.attention<replicated>}
  exec.kernel @permute_0(%x: tensor<?x4xf32>, %ids: tensor<?x4xi32>) -> (tensor<?x4xf32>, tensor<?x4xi32>, tensor<8xi32>) {
    %r, %s, %n = epi.permute %x, %ids : tensor<?x4xf32>, tensor<?x4xi32> -> tensor<?x4xf32>, tensor<?x4xi32>, tensor<8xi32>
    exec.yield %r, %s, %n : tensor<?x4xf32>, tensor<?x4xi32>, tensor<8xi32>
  }
  exec.kernel @silu_0(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
    %0 = epi.silu %x : tensor<?x4xf32>
    exec.yield %0 : tensor<?x4xf32>
  }
  exec.kernel @unpermute_0(%x: tensor<?x4xf32>, %s: tensor<?x4xi32>, %w: tensor<?x4xf32>) -> tensor<?x4xf32> {
    %0 = epi.unpermute %x, %s, %w : tensor<?x4xf32>, tensor<?x4xi32>, tensor<?x4xf32> -> tensor<?x4xf32>
    exec.yield %0 : tensor<?x4xf32>
  }
  exec.kernel @kv_append_0(%c: !epi.mla_cache<latent = 4, rope = 4, f32>, %x: tensor<?x4xf32>, %step: !epi.step)
      -> !epi.mla_cache<latent = 4, rope = 4, f32> {
    %0 = epi.kv_append %c, %x, %x, %step : !epi.mla_cache<latent = 4, rope = 4, f32>, tensor<?x4xf32>, tensor<?x4xf32>
    exec.yield %0 : !epi.mla_cache<latent = 4, rope = 4, f32>
  }
  func.func @main(%x: tensor<?x4xf32>, %ids: tensor<?x4xi32>, %w: tensor<?x4xf32>, %step: !epi.step) -> tensor<?x4xf32> {
    %xl = ep.shard_rows %x on @world : tensor<?x4xf32>
    %il = ep.shard_rows %ids on @world : tensor<?x4xi32>
    %wl = ep.shard_rows %w on @world : tensor<?x4xf32>
    %r, %s, %n = exec.launch @permute_0(%xl, %il) : (tensor<?x4xf32>, tensor<?x4xi32>) -> (tensor<?x4xf32>, tensor<?x4xi32>, tensor<8xi32>)
    %got, %counts = ep.scatter_experts %r, %n on @world {placement = #ep.placement<experts = 8, ranks = 4>}
        : tensor<?x4xf32>, tensor<8xi32> -> tensor<?x4xf32>, tensor<2xi32>
    %e = exec.launch @silu_0(%got) : (tensor<?x4xf32>) -> tensor<?x4xf32>
    %back = ep.gather_experts %e, %n, %counts on @world : tensor<?x4xf32>, tensor<8xi32>, tensor<2xi32> -> tensor<?x4xf32>
    %yl = exec.launch @unpermute_0(%back, %s, %wl) : (tensor<?x4xf32>, tensor<?x4xi32>, tensor<?x4xf32>) -> tensor<?x4xf32>
    %y = ep.all_gather %yl on @world : tensor<?x4xf32>
    %cache = epi.kv_cache "layer.0" : !epi.mla_cache<latent = 4, rope = 4, f32>
    %new = exec.launch @kv_append_0(%cache, %y, %step)
        : (!epi.mla_cache<latent = 4, rope = 4, f32>, tensor<?x4xf32>, !epi.step) -> !epi.mla_cache<latent = 4, rope = 4, f32>
    return %y : tensor<?x4xf32>
  }
}
