// The graph of a DeepSeek-V3 checkpoint: every line of a dense layer, the experts of the next one, the end of the model,
// and the prediction layer.
// RUN: epigraph-compile %model --stop-after import | epigraph-opt - | FileCheck %s
// What the importer prints is read back, verified, and printed the same.
// RUN: epigraph-compile %model --stop-after import -o %t.mlir
// RUN: epigraph-opt %t.mlir --mlir-print-debuginfo --mlir-print-local-scope -o %t.again && diff %t.mlir %t.again

// CHECK: module @deepseek_v3 attributes {epi.model = #epi.model<architecture = "deepseek_v3", layers = 5, hidden = 192, vocab = 2048, context = 4096>
// CHECK-SAME: exec.limits = #exec.limits<batch_tokens = 512, sequences = 32, context = 4096>
// CHECK: func.func @main(%[[IDS:.*]]: tensor<?xi32> {epi.name = "ids"}, %[[STEP:.*]]: !epi.step {epi.name = "step"})
// CHECK-SAME: -> (tensor<?x2048xf32> {epi.name = "logits"}, tensor<?x192xbf16> {epi.name = "hidden"})
// CHECK-NEXT: %[[TABLE:.*]] = epi.rope_table {magnitude = 1.000000e+00 : f64, theta = 1.000000e+04 : f64, yarn = #epi.yarn<factor = 4.000000e+00, original = 1024, beta_fast = 3.200000e+01, beta_slow = 1.000000e+00>} : tensor<4096x16xf32>
// CHECK-NEXT: %embed_tokens = epi.weight "model.embed_tokens.weight" : tensor<2048x192xbf16>
// CHECK-NEXT: %[[X:.*]] = epi.embedding %[[IDS]], %embed_tokens

// Attention of layer 0.
// CHECK-NEXT: %input_layernorm = epi.weight "model.layers.0.input_layernorm.weight" : tensor<192xbf16>
// CHECK-NEXT: %[[H:.*]] = epi.rms_norm %[[X]], %input_layernorm
// CHECK-NEXT: %q_a_proj = epi.weight "model.layers.0.self_attn.q_a_proj.weight" : tensor<96x192xbf16>
// CHECK-NEXT: %[[QA:.*]] = epi.linear %[[H]], %q_a_proj
// CHECK-NEXT: %q_a_layernorm = epi.weight
// CHECK-NEXT: %[[QN:.*]] = epi.rms_norm %[[QA]], %q_a_layernorm
// CHECK-NEXT: %q_b_proj = epi.weight "model.layers.0.self_attn.q_b_proj.weight" : tensor<288x96xbf16>
// CHECK-NEXT: %[[Q:.*]] = epi.linear %[[QN]], %q_b_proj
// CHECK-NEXT: %[[QH:.*]] = epi.reshape %[[Q]] : tensor<?x288xbf16> to tensor<?x6x48xbf16>
// CHECK-NEXT: %[[QP:.*]]:2 = epi.split %[[QH]] dim 2 : tensor<?x6x48xbf16> to tensor<?x6x32xbf16>, tensor<?x6x16xbf16>
// CHECK-NEXT: %[[QR:.*]] = epi.rope %[[QP]]#1, %[[TABLE]], %[[STEP]] {interleaved}
// CHECK-NEXT: %kv_a_proj_with_mqa = epi.weight "model.layers.0.self_attn.kv_a_proj_with_mqa.weight" : tensor<80x192xbf16>
// CHECK-NEXT: %[[KV:.*]] = epi.linear %[[H]], %kv_a_proj_with_mqa
// CHECK-NEXT: %[[KVP:.*]]:2 = epi.split %[[KV]] dim 1 : tensor<?x80xbf16> to tensor<?x64xbf16>, tensor<?x16xbf16>
// CHECK-NEXT: %kv_a_layernorm = epi.weight
// CHECK-NEXT: %[[C:.*]] = epi.rms_norm %[[KVP]]#0, %kv_a_layernorm
// CHECK-NEXT: %[[KR:.*]] = epi.rope %[[KVP]]#1, %[[TABLE]], %[[STEP]] {interleaved}
// CHECK-NEXT: %cache = epi.kv_cache "model.layers.0" : !epi.mla_cache<latent = 64, rope = 16, bf16>
// CHECK-NEXT: %[[NEW:.*]] = epi.kv_append %cache, %[[C]], %[[KR]], %[[STEP]]
// CHECK-NEXT: %kv_b_proj = epi.weight "model.layers.0.self_attn.kv_b_proj.weight" : tensor<384x64xbf16>
// The scale is 48^-0.5 (0.1 ln 4 + 1)^2.
// CHECK-NEXT: %[[O:.*]] = epi.mla_attention %[[QP]]#0, %[[QR]], %[[NEW]], %[[STEP]] up %kv_b_proj {scale = 0.187130{{[0-9]*}} : f64}
// CHECK-NEXT: %[[OF:.*]] = epi.reshape %[[O]] : tensor<?x6x32xbf16> to tensor<?x192xbf16>
// CHECK-NEXT: %o_proj = epi.weight
// CHECK-NEXT: %[[A:.*]] = epi.linear %[[OF]], %o_proj
// CHECK-NEXT: %[[X1:.*]] = epi.add %[[X]], %[[A]]

// Its dense feed-forward network.
// CHECK-NEXT: %post_attention_layernorm = epi.weight
// CHECK-NEXT: %[[M:.*]] = epi.rms_norm %[[X1]], %post_attention_layernorm
// CHECK-NEXT: %gate_proj = epi.weight "model.layers.0.mlp.gate_proj.weight" : tensor<512x192xbf16>
// CHECK-NEXT: %[[GATE:.*]] = epi.linear %[[M]], %gate_proj
// CHECK-NEXT: %up_proj = epi.weight
// CHECK-NEXT: %[[UP:.*]] = epi.linear %[[M]], %up_proj
// CHECK-NEXT: %[[SILU:.*]] = epi.silu %[[GATE]]
// CHECK-NEXT: %[[MUL:.*]] = epi.mul %[[SILU]], %[[UP]]
// CHECK-NEXT: %down_proj = epi.weight
// CHECK-NEXT: %[[DOWN:.*]] = epi.linear %[[MUL]], %down_proj
// CHECK-NEXT: epi.add %[[X1]], %[[DOWN]]

// Experts of layer 1.
// CHECK: %gate = epi.weight "model.layers.1.mlp.gate.weight" : tensor<32x192xbf16>
// CHECK-NEXT: %[[LOGITS:.*]] = epi.linear %[[M:.*]], %gate : (tensor<?x192xbf16>, tensor<32x192xbf16>) -> tensor<?x32xf32>
// CHECK-NEXT: %[[SCORES:.*]] = epi.sigmoid %[[LOGITS]]
// CHECK-NEXT: %e_score_correction_bias = epi.weight "model.layers.1.mlp.gate.e_score_correction_bias" : tensor<32xf32>
// CHECK-NEXT: %ids, %weights = epi.route %[[SCORES]] bias %e_score_correction_bias {group_score = #epi.group_score<top2_sum>, groups = 4 : i64, normalize, scale = 2.500000e+00 : f64, score = #epi.score<identity>, top_groups = 2 : i64, top_k = 4 : i64}
// CHECK-NEXT: %[[WG:.*]] = epi.weight_stack "model.layers.1.mlp.experts.{}.gate_proj.weight" : tensor<32x64x192xbf16>
// CHECK-NEXT: %[[WU:.*]] = epi.weight_stack "model.layers.1.mlp.experts.{}.up_proj.weight" : tensor<32x64x192xbf16>
// CHECK-NEXT: %[[WD:.*]] = epi.weight_stack "model.layers.1.mlp.experts.{}.down_proj.weight" : tensor<32x192x64xbf16>
// CHECK-NEXT: %[[ROUTED:.*]] = epi.experts %[[M]], %ids, %weights, %[[WG]], %[[WU]], %[[WD]]
// CHECK: epi.weight "model.layers.1.mlp.shared_experts.down_proj.weight"
// CHECK-NEXT: %[[SHARED:.*]] = epi.linear
// CHECK-NEXT: epi.add %[[ROUTED]], %[[SHARED]]

// The end: hidden states of all tokens, logits of those asked for.
// CHECK: %norm = epi.weight "model.norm.weight"
// CHECK-NEXT: %[[HIDDEN:.*]] = epi.rms_norm %{{.*}}, %norm
// CHECK-NEXT: %[[ROWS:.*]] = epi.output_rows %[[HIDDEN]], %[[STEP]]
// CHECK-NEXT: %lm_head = epi.weight "lm_head.weight"
// CHECK-NEXT: %[[OUT:.*]] = epi.linear %[[ROWS]], %lm_head : (tensor<?x192xbf16>, tensor<2048x192xbf16>) -> tensor<?x2048xf32>
// CHECK-NEXT: return %[[OUT]], %[[HIDDEN]]

// The prediction layer: the next token's embedding first, then the hidden state.
// CHECK: func.func @mtp(%[[HIDDEN:.*]]: tensor<?x192xbf16> {epi.name = "hidden"}, %[[NEXT:.*]]: tensor<?xi32> {epi.name = "ids"}, %[[STEP:.*]]: !epi.step {epi.name = "step"})
// CHECK: %[[E:.*]] = epi.embedding %[[NEXT]]
// CHECK: %[[EN:.*]] = epi.rms_norm %[[E]], %enorm
// CHECK: %[[HN:.*]] = epi.rms_norm %[[HIDDEN]], %hnorm
// CHECK-NEXT: %[[PAIR:.*]] = epi.concat %[[EN]], %[[HN]] dim 1
// CHECK-NEXT: %eh_proj = epi.weight "model.layers.5.eh_proj.weight" : tensor<192x384xbf16>
// CHECK-NEXT: epi.linear %[[PAIR]], %eh_proj
// CHECK: epi.kv_cache "model.layers.5"
// CHECK: = epi.experts
// CHECK: "model.layers.5.shared_head.norm.weight"
// CHECK: epi.output_rows
// CHECK: "model.layers.5.shared_head.head.weight"
