// Every operation, type and attribute of the dialect, printed as it was written; as text and as bytecode.
// RUN: epigraph-opt %s --verify-roundtrip | FileCheck %s
// RUN: epigraph-opt %s --emit-bytecode | epigraph-opt | FileCheck %s

// CHECK: module @model attributes {epi.model = #epi.model<architecture = "deepseek_v3", layers = 61, hidden = 7168, vocab = 129280, context = 163840>}
module @model attributes {epi.model = #epi.model<architecture = "deepseek_v3", layers = 61, hidden = 7168, vocab = 129280, context = 163840>} {

// CHECK-LABEL: func.func @structure
func.func @structure(%x: tensor<?x8xbf16>, %step: !epi.step) {
  // CHECK: epi.weight "model.norm.weight" : tensor<8xbf16>
  %w = epi.weight "model.norm.weight" : tensor<8xbf16>
  // CHECK: epi.weight_stack "experts.{}.up.weight" : tensor<4x16x8xbf16>
  %s = epi.weight_stack "experts.{}.up.weight" : tensor<4x16x8xbf16>
  // CHECK: epi.kv_cache "layer.0" : !epi.mla_cache<latent = 64, rope = 16, bf16>
  %c = epi.kv_cache "layer.0" : !epi.mla_cache<latent = 64, rope = 16, bf16>
  // CHECK: epi.kv_cache "layer.1" : !epi.kv_cache<heads = 2, key = 64, value = 32, f32>
  %k = epi.kv_cache "layer.1" : !epi.kv_cache<heads = 2, key = 64, value = 32, f32>
  // CHECK: epi.output_rows %{{.*}}, %{{.*}} : tensor<?x8xbf16>
  %o = epi.output_rows %x, %step : tensor<?x8xbf16>
  // CHECK: epi.fused "add_rms_norm"(%{{.*}}, %{{.*}}) : (tensor<?x8xbf16>, tensor<8xbf16>) -> (tensor<?x8xbf16>, tensor<?x8xbf16>) {
  // CHECK-NEXT: ^bb0(%[[A:.*]]: tensor<?x8xbf16>, %[[B:.*]]: tensor<8xbf16>):
  // CHECK:      epi.yield %{{.*}}, %{{.*}} : tensor<?x8xbf16>, tensor<?x8xbf16>
  %f:2 = epi.fused "add_rms_norm"(%x, %w) : (tensor<?x8xbf16>, tensor<8xbf16>) -> (tensor<?x8xbf16>, tensor<?x8xbf16>) {
  ^bb0(%0: tensor<?x8xbf16>, %1: tensor<8xbf16>):
    %2 = epi.add %0, %0 : tensor<?x8xbf16>
    %3 = epi.rms_norm %2, %1 {eps = 0.5 : f64} : tensor<?x8xbf16>, tensor<8xbf16>
    epi.yield %2, %3 : tensor<?x8xbf16>, tensor<?x8xbf16>
  }
  return
}

// CHECK-LABEL: func.func @dense
func.func @dense(%x: tensor<?x8xbf16>, %h: tensor<?x2x4xbf16>, %ids: tensor<?xi32>, %w: tensor<16x8xbf16>, %wh: tensor<2x6x4xbf16>,
                 %n: tensor<8xbf16>, %step: !epi.step) {
  // CHECK: epi.linear %{{.*}}, %{{.*}} : (tensor<?x8xbf16>, tensor<16x8xbf16>) -> tensor<?x16xf32>
  %0 = epi.linear %x, %w : (tensor<?x8xbf16>, tensor<16x8xbf16>) -> tensor<?x16xf32>
  // CHECK: epi.head_linear %{{.*}}, %{{.*}} : (tensor<?x2x4xbf16>, tensor<2x6x4xbf16>) -> tensor<?x2x6xbf16>
  %1 = epi.head_linear %h, %wh : (tensor<?x2x4xbf16>, tensor<2x6x4xbf16>) -> tensor<?x2x6xbf16>
  // CHECK: epi.embedding %{{.*}}, %{{.*}} : (tensor<?xi32>, tensor<16x8xbf16>) -> tensor<?x8xbf16>
  %2 = epi.embedding %ids, %w : (tensor<?xi32>, tensor<16x8xbf16>) -> tensor<?x8xbf16>
  // CHECK: epi.rms_norm %{{.*}}, %{{.*}} {eps = 5.000000e-01 : f64} : tensor<?x8xbf16>, tensor<8xbf16>
  %3 = epi.rms_norm %x, %n {eps = 0.5 : f64} : tensor<?x8xbf16>, tensor<8xbf16>
  // CHECK: epi.rope_table {magnitude = 1.000000e+00 : f64, theta = 1.000000e+04 : f64, yarn = #epi.yarn<factor = 4.000000e+01, original = 4096, beta_fast = 3.200000e+01, beta_slow = 1.000000e+00>} : tensor<64x4xf32>
  %4 = epi.rope_table {theta = 1.0e4 : f64, magnitude = 1.0 : f64, yarn = #epi.yarn<factor = 40.0, original = 4096, beta_fast = 32.0, beta_slow = 1.0>} : tensor<64x4xf32>
  // CHECK: yarn = #epi.yarn<factor = 3.200000e+01, original = 4096, beta_fast = 3.200000e+01, beta_slow = 1.000000e+00, truncate = false>}
  %stretched = epi.rope_table {theta = 1.5e5 : f64, magnitude = 1.0 : f64, yarn = #epi.yarn<factor = 32.0, original = 4096, beta_fast = 32.0, beta_slow = 1.0, truncate = false>} : tensor<64x4xf32>
  // CHECK: llama3 = #epi.llama3_rope<factor = 8.000000e+00, original = 8192, low_freq_factor = 1.000000e+00, high_freq_factor = 4.000000e+00>
  %mixed = epi.rope_table {theta = 5.0e5 : f64, magnitude = 1.0 : f64, llama3 = #epi.llama3_rope<factor = 8.0, original = 8192, low_freq_factor = 1.0, high_freq_factor = 4.0>} : tensor<64x4xf32>
  // CHECK: epi.rope %{{.*}}, %{{.*}}, %{{.*}} {interleaved} : tensor<?x2x4xbf16>, tensor<64x4xf32>
  %5 = epi.rope %h, %4, %step {interleaved} : tensor<?x2x4xbf16>, tensor<64x4xf32>
  // CHECK: epi.add %{{.*}}, %{{.*}} : tensor<?x8xbf16>
  %6 = epi.add %x, %x : tensor<?x8xbf16>
  // CHECK: epi.mul %{{.*}}, %{{.*}} : tensor<?x8xbf16>
  %7 = epi.mul %x, %x : tensor<?x8xbf16>
  // CHECK: epi.silu %{{.*}} : tensor<?x8xbf16>
  %8 = epi.silu %x : tensor<?x8xbf16>
  // CHECK: epi.cast %{{.*}} : tensor<?x8xbf16> to tensor<?x8xf32>
  %9 = epi.cast %x : tensor<?x8xbf16> to tensor<?x8xf32>
  // CHECK: epi.reshape %{{.*}} : tensor<?x8xbf16> to tensor<?x2x4xbf16>
  %10 = epi.reshape %x : tensor<?x8xbf16> to tensor<?x2x4xbf16>
  // CHECK: epi.transpose %{{.*}} [0, 2, 1] : tensor<2x6x4xbf16> to tensor<2x4x6xbf16>
  %11 = epi.transpose %wh [0, 2, 1] : tensor<2x6x4xbf16> to tensor<2x4x6xbf16>
  // CHECK: epi.split %{{.*}} dim 1 : tensor<?x8xbf16> to tensor<?x6xbf16>, tensor<?x2xbf16>
  %12:2 = epi.split %x dim 1 : tensor<?x8xbf16> to tensor<?x6xbf16>, tensor<?x2xbf16>
  // CHECK: epi.concat %{{.*}}, %{{.*}} dim 1 : tensor<?x6xbf16>, tensor<?x2xbf16> to tensor<?x8xbf16>
  %13 = epi.concat %12#0, %12#1 dim 1 : tensor<?x6xbf16>, tensor<?x2xbf16> to tensor<?x8xbf16>
  return
}

// CHECK-LABEL: func.func @attention
func.func @attention(%kv: !epi.kv_cache<heads = 2, key = 4, value = 6, bf16>, %k: tensor<?x2x4xbf16>, %v: tensor<?x2x6xbf16>,
                     %q: tensor<?x8x4xbf16>, %mla: !epi.mla_cache<latent = 8, rope = 2, bf16>, %ql: tensor<?x3x8xbf16>,
                     %qn: tensor<?x3x4xbf16>, %qr: tensor<?x3x2xbf16>, %up: tensor<27x8xbf16>, %step: !epi.step) {
  // CHECK: epi.kv_append %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} : !epi.kv_cache<heads = 2, key = 4, value = 6, bf16>, tensor<?x2x4xbf16>, tensor<?x2x6xbf16>
  %0 = epi.kv_append %kv, %k, %v, %step : !epi.kv_cache<heads = 2, key = 4, value = 6, bf16>, tensor<?x2x4xbf16>, tensor<?x2x6xbf16>
  // CHECK: epi.attention %{{.*}}, %{{.*}}, %{{.*}} {scale = 5.000000e-01 : f64} : (tensor<?x8x4xbf16>, !epi.kv_cache<heads = 2, key = 4, value = 6, bf16>) -> tensor<?x8x6xbf16>
  %1 = epi.attention %q, %0, %step {scale = 0.5 : f64} : (tensor<?x8x4xbf16>, !epi.kv_cache<heads = 2, key = 4, value = 6, bf16>) -> tensor<?x8x6xbf16>
  // CHECK: epi.mla_attention %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} {scale = 5.000000e-01 : f64} : (tensor<?x3x8xbf16>, tensor<?x3x2xbf16>, !epi.mla_cache<latent = 8, rope = 2, bf16>) -> tensor<?x3x8xbf16>
  %2 = epi.mla_attention %ql, %qr, %mla, %step {scale = 0.5 : f64}
      : (tensor<?x3x8xbf16>, tensor<?x3x2xbf16>, !epi.mla_cache<latent = 8, rope = 2, bf16>) -> tensor<?x3x8xbf16>
  // CHECK: epi.mla_attention %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} up %{{.*}} {scale = 5.000000e-01 : f64} : (tensor<?x3x4xbf16>, tensor<?x3x2xbf16>, !epi.mla_cache<latent = 8, rope = 2, bf16>) up tensor<27x8xbf16> -> tensor<?x3x5xbf16>
  %3 = epi.mla_attention %qn, %qr, %mla, %step up %up {scale = 0.5 : f64}
      : (tensor<?x3x4xbf16>, tensor<?x3x2xbf16>, !epi.mla_cache<latent = 8, rope = 2, bf16>) up tensor<27x8xbf16> -> tensor<?x3x5xbf16>
  return
}

// CHECK-LABEL: func.func @experts
func.func @experts(%logits: tensor<?x8xf32>, %bias: tensor<8xf32>, %x: tensor<?x6xbf16>, %gate: tensor<8x4x6xbf16>, %down: tensor<8x6x4xbf16>) {
  // CHECK: %[[IDS:.*]], %[[W:.*]] = epi.route %{{.*}} bias %{{.*}} {group_score = #epi.group_score<top2_sum>, groups = 4 : i64, normalize, scale = 2.500000e+00 : f64, score = #epi.score<sigmoid>, top_groups = 2 : i64, top_k = 3 : i64} : tensor<?x8xf32> bias tensor<8xf32> -> tensor<?x3xi32>, tensor<?x3xf32>
  %ids, %w = epi.route %logits bias %bias {score = #epi.score<sigmoid>, top_k = 3 : i64, groups = 4 : i64, top_groups = 2 : i64, group_score = #epi.group_score<top2_sum>, normalize, scale = 2.5 : f64}
      : tensor<?x8xf32> bias tensor<8xf32> -> tensor<?x3xi32>, tensor<?x3xf32>
  // CHECK: epi.route %{{.*}} {group_score = #epi.group_score<max>, groups = 1 : i64, scale = 1.000000e+00 : f64, score = #epi.score<softmax>, top_groups = 1 : i64, top_k = 3 : i64} : tensor<?x8xf32> -> tensor<?x3xi32>, tensor<?x3xf32>
  %i2, %w2 = epi.route %logits {score = #epi.score<softmax>, top_k = 3 : i64, groups = 1 : i64, top_groups = 1 : i64, group_score = #epi.group_score<max>, scale = 1.0 : f64}
      : tensor<?x8xf32> -> tensor<?x3xi32>, tensor<?x3xf32>
  // CHECK: epi.experts %{{.*}}, %[[IDS]], %[[W]], %{{.*}}, %{{.*}}, %{{.*}} : tensor<?x6xbf16>, tensor<?x3xi32>, tensor<?x3xf32>, tensor<8x4x6xbf16>, tensor<8x4x6xbf16>, tensor<8x6x4xbf16>
  %y = epi.experts %x, %ids, %w, %gate, %gate, %down
      : tensor<?x6xbf16>, tensor<?x3xi32>, tensor<?x3xf32>, tensor<8x4x6xbf16>, tensor<8x4x6xbf16>, tensor<8x6x4xbf16>
  // CHECK: %[[ROWS:.*]], %[[SLOTS:.*]], %[[N:.*]] = epi.permute %{{.*}}, %[[IDS]] : tensor<?x6xbf16>, tensor<?x3xi32> -> tensor<?x6xbf16>, tensor<?x3xi32>, tensor<8xi32>
  %rows, %slots, %counts = epi.permute %x, %ids : tensor<?x6xbf16>, tensor<?x3xi32> -> tensor<?x6xbf16>, tensor<?x3xi32>, tensor<8xi32>
  // CHECK: %[[G:.*]] = epi.grouped_linear %[[ROWS]], %[[N]], %{{.*}} : (tensor<?x6xbf16>, tensor<8xi32>, tensor<8x4x6xbf16>) -> tensor<?x4xbf16>
  %g = epi.grouped_linear %rows, %counts, %gate : (tensor<?x6xbf16>, tensor<8xi32>, tensor<8x4x6xbf16>) -> tensor<?x4xbf16>
  // CHECK: epi.unpermute %[[G]], %[[SLOTS]], %[[W]] : tensor<?x4xbf16>, tensor<?x3xi32>, tensor<?x3xf32> -> tensor<?x4xbf16>
  %z = epi.unpermute %g, %slots, %w : tensor<?x4xbf16>, tensor<?x3xi32>, tensor<?x3xf32> -> tensor<?x4xbf16>
  return
}

// CHECK-LABEL: func.func @quantized
func.func @quantized(%x: tensor<?x200xbf16>, %n: tensor<2xi32>, %b: tensor<2x8xbf16>) {
  // CHECK: %[[W:.*]] = epi.weight "w" : tensor<150x200xf8E4M3FN>
  %w = epi.weight "w" : tensor<150x200xf8E4M3FN>
  // CHECK: %[[S:.*]] = epi.weight "w_scale_inv" : tensor<2x2xf32>
  %s = epi.weight "w_scale_inv" : tensor<2x2xf32>
  // CHECK: epi.dequantize %[[W]], %[[S]] {block = array<i64: 128, 128>} : tensor<150x200xf8E4M3FN>, tensor<2x2xf32> -> tensor<150x200xbf16>
  %d = epi.dequantize %w, %s {block = array<i64: 128, 128>} : tensor<150x200xf8E4M3FN>, tensor<2x2xf32> -> tensor<150x200xbf16>
  // CHECK: %[[Q:.*]], %[[QS:.*]] = epi.quantize %{{.*}} {block = array<i64: 1, 128>} : tensor<?x200xbf16> -> tensor<?x200xf8E4M3FN>, tensor<?x2xf32>
  %q, %qs = epi.quantize %x {block = array<i64: 1, 128>} : tensor<?x200xbf16> -> tensor<?x200xf8E4M3FN>, tensor<?x2xf32>
  // CHECK: epi.linear %{{.*}}, %[[W]] scale %[[S]] : (tensor<?x200xbf16>, tensor<150x200xf8E4M3FN> scale tensor<2x2xf32>) -> tensor<?x150xbf16>
  %0 = epi.linear %x, %w scale %s : (tensor<?x200xbf16>, tensor<150x200xf8E4M3FN> scale tensor<2x2xf32>) -> tensor<?x150xbf16>
  // CHECK: epi.linear %[[Q]] scale %[[QS]], %[[W]] scale %[[S]] : (tensor<?x200xf8E4M3FN> scale tensor<?x2xf32>, tensor<150x200xf8E4M3FN> scale tensor<2x2xf32>) -> tensor<?x150xf32>
  %1 = epi.linear %q scale %qs, %w scale %s : (tensor<?x200xf8E4M3FN> scale tensor<?x2xf32>, tensor<150x200xf8E4M3FN> scale tensor<2x2xf32>) -> tensor<?x150xf32>
  // CHECK: %[[E:.*]] = epi.weight_stack
  %e = epi.weight_stack "{}.w" : tensor<2x8x200xf8E4M3FN>
  // CHECK: %[[ES:.*]] = epi.weight_stack
  %es = epi.weight_stack "{}.w_scale_inv" : tensor<2x1x2xf32>
  // CHECK: epi.grouped_linear %[[Q]] scale %[[QS]], %{{.*}}, %[[E]] scale %[[ES]] bias %{{.*}} : (tensor<?x200xf8E4M3FN> scale tensor<?x2xf32>, tensor<2xi32>, tensor<2x8x200xf8E4M3FN> scale tensor<2x1x2xf32>) bias tensor<2x8xbf16> -> tensor<?x8xbf16>
  %2 = epi.grouped_linear %q scale %qs, %n, %e scale %es bias %b : (tensor<?x200xf8E4M3FN> scale tensor<?x2xf32>, tensor<2xi32>, tensor<2x8x200xf8E4M3FN> scale tensor<2x1x2xf32>) bias tensor<2x8xbf16> -> tensor<?x8xbf16>
  // CHECK: epi.grouped_linear %{{.*}}, %{{.*}}, %[[E]] scale %[[ES]] : (tensor<?x200xbf16>, tensor<2xi32>, tensor<2x8x200xf8E4M3FN> scale tensor<2x1x2xf32>) -> tensor<?x8xbf16>
  %3 = epi.grouped_linear %x, %n, %e scale %es : (tensor<?x200xbf16>, tensor<2xi32>, tensor<2x8x200xf8E4M3FN> scale tensor<2x1x2xf32>) -> tensor<?x8xbf16>
  return
}
}

// CHECK-LABEL: func.func @sampling
func.func @sampling(%x: tensor<?x8xf32>, %y: tensor<4x8xbf16>, %step: !epi.step) {
  // CHECK: epi.sample %{{.*}}, %{{.*}} : tensor<?x8xf32> -> tensor<?xi32>
  %0 = epi.sample %x, %step : tensor<?x8xf32> -> tensor<?xi32>
  // CHECK: epi.sample %{{.*}}, %{{.*}} : tensor<4x8xbf16> -> tensor<4xi32>
  %1 = epi.sample %y, %step : tensor<4x8xbf16> -> tensor<4xi32>
  return
}
