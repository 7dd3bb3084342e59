// RUN: epigraph-opt %s --exec-hoist-weights --split-input-file | FileCheck %s
// RUN: epigraph-opt %s --exec-hoist-weights --split-input-file --remarks-filter=.* -o /dev/null 2>&1 | FileCheck %s --check-prefix=STATS

// STATS: Category:exec-hoist-weights | hoisted-ops=7, uses=4, weights=2

// Equal expressions are one weight, across functions too; names come from the checkpoint.

// CHECK-LABEL: module @joined
// CHECK:       exec.weight @"model.layers.0.self_attn.q_a_proj+kv_a_proj.weight" : tensor<24x8xbf16> {
// CHECK-NEXT:    %[[Q:.*]] = epi.weight "model.layers.0.self_attn.q_a_proj.weight" : tensor<16x8xbf16>
// CHECK-NEXT:    %[[KV:.*]] = epi.weight "model.layers.0.self_attn.kv_a_proj.weight" : tensor<8x8xbf16>
// CHECK-NEXT:    %[[C:.*]] = epi.concat %[[Q]], %[[KV]] dim 0
// CHECK-NEXT:    exec.yield %[[C]] : tensor<24x8xbf16>
// CHECK-NEXT:  }
// CHECK-NEXT:  exec.weight @model.norm.weight : tensor<8xbf16> {
// CHECK-NOT:   exec.weight
// CHECK:       func.func @main(%[[X:.*]]: tensor<?x8xbf16>)
// CHECK-NEXT:    %[[W:.*]] = exec.load_weight @"model.layers.0.self_attn.q_a_proj+kv_a_proj.weight" : tensor<24x8xbf16>
// CHECK-NEXT:    %[[Y:.*]] = epi.linear %[[X]], %[[W]]
// CHECK-NEXT:    %[[N:.*]] = exec.load_weight @model.norm.weight
// CHECK-NEXT:    epi.rms_norm %[[X]], %[[N]]
// CHECK-NEXT:    epi.linear %{{.*}}, %[[W]]
// CHECK-NEXT:    return
// CHECK:       func.func @mtp(%[[X:.*]]: tensor<?x8xbf16>)
// CHECK-NEXT:    %[[W:.*]] = exec.load_weight @"model.layers.0.self_attn.q_a_proj+kv_a_proj.weight"
// CHECK-NEXT:    epi.linear %[[X]], %[[W]]
module @joined {
  func.func @main(%x: tensor<?x8xbf16>) -> (tensor<?x24xbf16>, tensor<?x24xbf16>) {
    %q = epi.weight "model.layers.0.self_attn.q_a_proj.weight" : tensor<16x8xbf16>
    %kv = epi.weight "model.layers.0.self_attn.kv_a_proj.weight" : tensor<8x8xbf16>
    %w = epi.concat %q, %kv dim 0 : tensor<16x8xbf16>, tensor<8x8xbf16> to tensor<24x8xbf16>
    %y = epi.linear %x, %w : (tensor<?x8xbf16>, tensor<24x8xbf16>) -> tensor<?x24xbf16>
    %n = epi.weight "model.norm.weight" : tensor<8xbf16>
    %h = epi.rms_norm %x, %n {eps = 1.0e-6 : f64} : tensor<?x8xbf16>, tensor<8xbf16>
    %z = epi.linear %h, %w : (tensor<?x8xbf16>, tensor<24x8xbf16>) -> tensor<?x24xbf16>
    return %y, %z : tensor<?x24xbf16>, tensor<?x24xbf16>
  }
  func.func @mtp(%x: tensor<?x8xbf16>) -> tensor<?x24xbf16> {
    %q = epi.weight "model.layers.0.self_attn.q_a_proj.weight" : tensor<16x8xbf16>
    %kv = epi.weight "model.layers.0.self_attn.kv_a_proj.weight" : tensor<8x8xbf16>
    %w = epi.concat %q, %kv dim 0 : tensor<16x8xbf16>, tensor<8x8xbf16> to tensor<24x8xbf16>
    %y = epi.linear %x, %w : (tensor<?x8xbf16>, tensor<24x8xbf16>) -> tensor<?x24xbf16>
    return %y : tensor<?x24xbf16>
  }
}

// -----

// Parts of one tensor, one of them transposed, are two weights; a stack sliced by rank differs from rank to rank.

// CHECK-LABEL: module @parts
// CHECK:       exec.weight @kv_b_proj.weight.part0 : tensor<2x8x4xbf16> {
// CHECK:         %[[P:.*]]:2 = epi.split %{{.*}} dim 1
// CHECK-NEXT:    %[[T:.*]] = epi.transpose %[[P]]#0 [0, 2, 1]
// CHECK-NEXT:    exec.yield %[[T]]
// CHECK:       exec.weight @kv_b_proj.weight.part1 : tensor<2x3x8xbf16> {
// CHECK:       exec.weight rank_local @model.experts.up.weight : tensor<2x4x8xf32> {
// CHECK-NEXT:    %[[S:.*]] = epi.weight_stack "model.experts.{}.up.weight" : tensor<4x4x8xbf16>
// CHECK-NEXT:    %[[L:.*]] = ep.local_experts %[[S]]
// CHECK-NEXT:    %[[F:.*]] = epi.cast %[[L]]
// CHECK-NEXT:    exec.yield %[[F]]
// CHECK:       exec.weight @rope_table : tensor<64x4xf32> {
// CHECK:       exec.weight @rope_table.2 : tensor<64x4xf32> {
// CHECK:       func.func @main
// CHECK-NOT:     epi.{{weight|split|transpose|reshape|cast|rope_table}}
// CHECK:       }
module @parts {
  ep.mesh @world {expert = 2 : i64, attention = #ep.attention<replicated>}
  func.func @main(%q: tensor<?x2x4xbf16>, %o: tensor<?x2x8xbf16>, %x: tensor<?x8xf32>, %n: tensor<2xi32>,
                  %r: tensor<?x4xf32>, %step: !epi.step)
      -> (tensor<?x2x8xbf16>, tensor<?x2x3xbf16>, tensor<?x4xf32>, tensor<?x4xf32>) {
    %w = epi.weight "kv_b_proj.weight" : tensor<14x8xbf16>
    %h = epi.reshape %w : tensor<14x8xbf16> to tensor<2x7x8xbf16>
    %k, %v = epi.split %h dim 1 : tensor<2x7x8xbf16> to tensor<2x4x8xbf16>, tensor<2x3x8xbf16>
    %t = epi.transpose %k [0, 2, 1] : tensor<2x4x8xbf16> to tensor<2x8x4xbf16>
    %a = epi.head_linear %q, %t : (tensor<?x2x4xbf16>, tensor<2x8x4xbf16>) -> tensor<?x2x8xbf16>
    %b = epi.head_linear %o, %v : (tensor<?x2x8xbf16>, tensor<2x3x8xbf16>) -> tensor<?x2x3xbf16>
    %s = epi.weight_stack "model.experts.{}.up.weight" : tensor<4x4x8xbf16>
    %l = ep.local_experts %s {placement = #ep.placement<experts = 4, ranks = 2>} : tensor<4x4x8xbf16> to tensor<2x4x8xbf16>
    %f = epi.cast %l : tensor<2x4x8xbf16> to tensor<2x4x8xf32>
    %e = epi.grouped_linear %x, %n, %f : (tensor<?x8xf32>, tensor<2xi32>, tensor<2x4x8xf32>) -> tensor<?x4xf32>
    %t0 = epi.rope_table {theta = 1.0e4 : f64, magnitude = 1.0 : f64} : tensor<64x4xf32>
    %t1 = epi.rope_table {theta = 1.0e6 : f64, magnitude = 1.0 : f64} : tensor<64x4xf32>
    %r0 = epi.rope %r, %t0, %step : tensor<?x4xf32>, tensor<64x4xf32>
    %r1 = epi.rope %r0, %t1, %step : tensor<?x4xf32>, tensor<64x4xf32>
    return %a, %b, %e, %r1 : tensor<?x2x8xbf16>, tensor<?x2x3xbf16>, tensor<?x4xf32>, tensor<?x4xf32>
  }
}

// -----

// Parts of equal size and number that lie elsewhere in the tensor are not equal.

// CHECK-LABEL: module @siblings
// CHECK:       exec.weight @w.part1 :
// CHECK:         epi.split %{{.*}} dim 0 : tensor<8x4xf32> to tensor<2x4xf32>, tensor<3x4xf32>, tensor<3x4xf32>
// CHECK:       exec.weight @w.part1.2 :
// CHECK:         epi.split %{{.*}} dim 0 : tensor<8x4xf32> to tensor<3x4xf32>, tensor<3x4xf32>, tensor<2x4xf32>
module @siblings {
  func.func @main(%x: tensor<?x4xf32>) -> (tensor<?x3xf32>, tensor<?x3xf32>) {
    %w = epi.weight "w" : tensor<8x4xf32>
    %a:3 = epi.split %w dim 0 : tensor<8x4xf32> to tensor<2x4xf32>, tensor<3x4xf32>, tensor<3x4xf32>
    %b:3 = epi.split %w dim 0 : tensor<8x4xf32> to tensor<3x4xf32>, tensor<3x4xf32>, tensor<2x4xf32>
    %y = epi.linear %x, %a#1 : (tensor<?x4xf32>, tensor<3x4xf32>) -> tensor<?x3xf32>
    %z = epi.linear %x, %b#1 : (tensor<?x4xf32>, tensor<3x4xf32>) -> tensor<?x3xf32>
    return %y, %z : tensor<?x3xf32>, tensor<?x3xf32>
  }
}

// -----

// What depends on an input stays, and so does a module without weights.

// CHECK-LABEL: module @untouched
// CHECK-NEXT:  func.func @main
// CHECK-NEXT:    epi.split
// CHECK-NEXT:    epi.cast
// CHECK-NEXT:    return
module @untouched {
  func.func @main(%x: tensor<?x8xbf16>) -> tensor<?x4xf32> {
    %a, %b = epi.split %x dim 1 : tensor<?x8xbf16> to tensor<?x4xbf16>, tensor<?x4xbf16>
    %c = epi.cast %a : tensor<?x4xbf16> to tensor<?x4xf32>
    return %c : tensor<?x4xf32>
  }
}
