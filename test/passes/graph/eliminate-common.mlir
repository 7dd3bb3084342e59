// RUN: epigraph-opt %s --epi-eliminate-common --split-input-file | FileCheck %s
// RUN: epigraph-opt %s --epi-eliminate-common --split-input-file --remarks-filter='.*' 2>&1 | FileCheck %s --check-prefix=COUNT

// One weight and one norm of it, each written out twice; and an unused sum.

// CHECK-LABEL: func.func @twice
// CHECK-NEXT:    %[[W:.*]] = epi.weight "norm"
// CHECK-NEXT:    %[[N:.*]] = epi.rms_norm %{{.*}}, %[[W]]
// CHECK-NEXT:    return %[[N]], %[[N]]
// COUNT:       epi-eliminate-common | dead=1, merged=2
func.func @twice(%x: tensor<?x8xbf16>) -> (tensor<?x8xbf16>, tensor<?x8xbf16>) {
  %w = epi.weight "norm" : tensor<8xbf16>
  %n = epi.rms_norm %x, %w {eps = 0.5 : f64} : tensor<?x8xbf16>, tensor<8xbf16>
  %v = epi.weight "norm" : tensor<8xbf16>
  %m = epi.rms_norm %x, %v {eps = 0.5 : f64} : tensor<?x8xbf16>, tensor<8xbf16>
  %dead = epi.add %n, %m : tensor<?x8xbf16>
  return %n, %m : tensor<?x8xbf16>, tensor<?x8xbf16>
}

// -----

// In the body of a group too.

// CHECK-LABEL: func.func @in_a_group
// CHECK:         epi.silu
// CHECK-NOT:     epi.silu
// CHECK:         epi.add
func.func @in_a_group(%x: tensor<?x8xbf16>) -> tensor<?x8xbf16> {
  %y = epi.fused "rows"(%x) : (tensor<?x8xbf16>) -> tensor<?x8xbf16> {
  ^bb0(%a: tensor<?x8xbf16>):
    %s = epi.silu %a : tensor<?x8xbf16>
    %t = epi.silu %a : tensor<?x8xbf16>
    %u = epi.add %s, %t : tensor<?x8xbf16>
    epi.yield %u : tensor<?x8xbf16>
  }
  return %y : tensor<?x8xbf16>
}

// -----

// Not merged: attributes or types differ.

// CHECK-LABEL: func.func @different
// CHECK-COUNT-2: epi.rms_norm
// CHECK-COUNT-2: epi.linear
// COUNT:       epi-eliminate-common | dead=0, merged=0
func.func @different(%x: tensor<?x8xbf16>, %w: tensor<8xbf16>, %p: tensor<4x8xbf16>)
    -> (tensor<?x8xbf16>, tensor<?x8xbf16>, tensor<?x4xbf16>, tensor<?x4xf32>) {
  %n = epi.rms_norm %x, %w {eps = 0.5 : f64} : tensor<?x8xbf16>, tensor<8xbf16>
  %m = epi.rms_norm %x, %w {eps = 0.25 : f64} : tensor<?x8xbf16>, tensor<8xbf16>
  %a = epi.linear %x, %p : (tensor<?x8xbf16>, tensor<4x8xbf16>) -> tensor<?x4xbf16>
  %b = epi.linear %x, %p : (tensor<?x8xbf16>, tensor<4x8xbf16>) -> tensor<?x4xf32>
  return %n, %m, %a, %b : tensor<?x8xbf16>, tensor<?x8xbf16>, tensor<?x4xbf16>, tensor<?x4xf32>
}

// -----

// An append writes: it is never merged with an equal one, and a cache read before it is not the cache after it.
// Between two appends, equal reads are one.

// CHECK-LABEL: func.func @appends
// CHECK:         epi.kv_cache
// CHECK-NEXT:    epi.kv_append
// CHECK-NEXT:    %{{.*}} = epi.kv_cache "layer"
// CHECK-NEXT:    %[[A:.*]] = epi.attention
// CHECK-NEXT:    epi.kv_append
// CHECK-NEXT:    epi.kv_append
// CHECK-NEXT:    %[[B:.*]] = epi.attention
// CHECK-NEXT:    return %[[A]], %[[A]], %[[B]]
func.func @appends(%q: tensor<?x2x8xbf16>, %k: tensor<?x2x8xbf16>, %step: !epi.step)
    -> (tensor<?x2x8xbf16>, tensor<?x2x8xbf16>, tensor<?x2x8xbf16>) {
  %c = epi.kv_cache "layer" : !epi.kv_cache<heads = 2, key = 8, value = 8, bf16>
  %d = epi.kv_append %c, %k, %k, %step : !epi.kv_cache<heads = 2, key = 8, value = 8, bf16>, tensor<?x2x8xbf16>, tensor<?x2x8xbf16>
  %e = epi.kv_cache "layer" : !epi.kv_cache<heads = 2, key = 8, value = 8, bf16>
  %x = epi.attention %q, %e, %step {scale = 0.5 : f64} : (tensor<?x2x8xbf16>, !epi.kv_cache<heads = 2, key = 8, value = 8, bf16>) -> tensor<?x2x8xbf16>
  %y = epi.attention %q, %e, %step {scale = 0.5 : f64} : (tensor<?x2x8xbf16>, !epi.kv_cache<heads = 2, key = 8, value = 8, bf16>) -> tensor<?x2x8xbf16>
  %f = epi.kv_append %c, %k, %k, %step : !epi.kv_cache<heads = 2, key = 8, value = 8, bf16>, tensor<?x2x8xbf16>, tensor<?x2x8xbf16>
  %g = epi.kv_append %c, %k, %k, %step : !epi.kv_cache<heads = 2, key = 8, value = 8, bf16>, tensor<?x2x8xbf16>, tensor<?x2x8xbf16>
  %z = epi.attention %q, %e, %step {scale = 0.5 : f64} : (tensor<?x2x8xbf16>, !epi.kv_cache<heads = 2, key = 8, value = 8, bf16>) -> tensor<?x2x8xbf16>
  return %x, %y, %z : tensor<?x2x8xbf16>, tensor<?x2x8xbf16>, tensor<?x2x8xbf16>
}

// -----

// All ranks meet in every exchange: none is merged, or erased because its result is unused.

ep.mesh @world {attention = #ep.attention<replicated>, expert = 2 : i64}
// CHECK-LABEL: func.func @exchanges
// CHECK-COUNT-3: ep.all_gather
func.func @exchanges(%x: tensor<?x8xbf16>) -> (tensor<?x8xbf16>, tensor<?x8xbf16>) {
  %a = ep.all_gather %x on @world : tensor<?x8xbf16>
  %b = ep.all_gather %x on @world : tensor<?x8xbf16>
  %c = ep.all_gather %x on @world : tensor<?x8xbf16>
  return %a, %b : tensor<?x8xbf16>, tensor<?x8xbf16>
}
