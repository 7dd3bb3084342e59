// RUN: epigraph-opt %s --epi-choose-attention-form=form=absorbed --split-input-file | FileCheck %s
// RUN: epigraph-opt %s --epi-choose-attention-form=form=expanded --split-input-file | FileCheck %s --check-prefix=EXPANDED
// RUN: epigraph-opt %s --epi-choose-attention-form --split-input-file | FileCheck %s --check-prefix=AUTO
// RUN: epigraph-opt %s --epi-choose-attention-form --split-input-file --remarks-filter=.* -o /dev/null 2>&1 \
// RUN:   | FileCheck %s --check-prefix=STATS

// 2 heads; nope 4, value 3, latent 8: kv_b_proj is [2 * (4 + 3), 8].

// CHECK-LABEL: func.func @expanded
// CHECK-SAME:    (%[[X:.*]]: tensor<?x12xbf16>, %[[QR:.*]]: tensor<?x2x2xbf16>, %[[C:.*]]: !epi.mla_cache<{{.*}}>, %[[S:.*]]: !epi.step)
// CHECK:         %[[Q:.*]]:2 = epi.split
// CHECK:         %[[UP:.*]] = epi.weight "kv_b_proj.weight"
// CHECK-NEXT:    %[[H:.*]] = epi.reshape %[[UP]] : tensor<14x8xbf16> to tensor<2x7x8xbf16>
// CHECK-NEXT:    %[[P:.*]]:2 = epi.split %[[H]] dim 1 : tensor<2x7x8xbf16> to tensor<2x4x8xbf16>, tensor<2x3x8xbf16>
// CHECK-NEXT:    %[[K:.*]] = epi.transpose %[[P]]#0 [0, 2, 1] : tensor<2x4x8xbf16> to tensor<2x8x4xbf16>
// CHECK-NEXT:    %[[QA:.*]] = epi.head_linear %[[Q]]#0, %[[K]] : (tensor<?x2x4xbf16>, tensor<2x8x4xbf16>) -> tensor<?x2x8xbf16>
// CHECK-NEXT:    %[[O:.*]] = epi.mla_attention %[[QA]], %[[QR]], %[[C]], %[[S]] {scale = 5.000000e-01 : f64} : (tensor<?x2x8xbf16>, tensor<?x2x2xbf16>, {{.*}}) -> tensor<?x2x8xbf16>
// CHECK-NEXT:    %[[V:.*]] = epi.head_linear %[[O]], %[[P]]#1 : (tensor<?x2x8xbf16>, tensor<2x3x8xbf16>) -> tensor<?x2x3xbf16>
// CHECK-NEXT:    return %[[V]]

// EXPANDED-LABEL: func.func @expanded
// EXPANDED-NOT:     epi.head_linear
// EXPANDED:         epi.mla_attention {{.*}} up %

// Without a phase, automatic means absorbed.
// STATS: Category:epi-choose-attention-form | absorbed=1, expanded=0
// AUTO-LABEL: func.func @expanded
// AUTO:         epi.head_linear
// AUTO-NOT:     up %
// AUTO:         epi.head_linear
func.func @expanded(%x: tensor<?x12xbf16>, %qr: tensor<?x2x2xbf16>, %cache: !epi.mla_cache<latent = 8, rope = 2, bf16>,
                    %step: !epi.step) -> tensor<?x2x3xbf16> {
  %h = epi.reshape %x : tensor<?x12xbf16> to tensor<?x2x6xbf16>
  %q, %rest = epi.split %h dim 2 : tensor<?x2x6xbf16> to tensor<?x2x4xbf16>, tensor<?x2x2xbf16>
  %up = epi.weight "kv_b_proj.weight" : tensor<14x8xbf16>
  %o = epi.mla_attention %q, %qr, %cache, %step up %up {scale = 0.5 : f64}
      : (tensor<?x2x4xbf16>, tensor<?x2x2xbf16>, !epi.mla_cache<latent = 8, rope = 2, bf16>)
        up tensor<14x8xbf16> -> tensor<?x2x3xbf16>
  return %o : tensor<?x2x3xbf16>
}

// -----

// The absorbed form and ordinary attention stay as they are.

// CHECK-LABEL: func.func @others
// CHECK-NEXT:    epi.mla_attention
// CHECK-NEXT:    epi.attention
// CHECK-NEXT:    return
func.func @others(%q: tensor<?x2x8xf32>, %qr: tensor<?x2x2xf32>, %mla: !epi.mla_cache<latent = 8, rope = 2, f32>,
                  %kv: !epi.kv_cache<heads = 1, key = 8, value = 8, f32>, %step: !epi.step)
    -> (tensor<?x2x8xf32>, tensor<?x2x8xf32>) {
  %a = epi.mla_attention %q, %qr, %mla, %step {scale = 0.5 : f64}
      : (tensor<?x2x8xf32>, tensor<?x2x2xf32>, !epi.mla_cache<latent = 8, rope = 2, f32>) -> tensor<?x2x8xf32>
  %b = epi.attention %q, %kv, %step {scale = 0.5 : f64}
      : (tensor<?x2x8xf32>, !epi.kv_cache<heads = 1, key = 8, value = 8, f32>) -> tensor<?x2x8xf32>
  return %a, %b : tensor<?x2x8xf32>, tensor<?x2x8xf32>
}

// -----

// Each function by its phase. 64 new tokens of one sequence share an expansion; decoding, 4 sequences at position 512
// would each pay one for a single token.

module attributes {exec.limits = #exec.limits<batch_tokens = 64, sequences = 4, context = 1024>} {
// STATS: Category:epi-choose-attention-form | absorbed=2, expanded=1
// AUTO-LABEL: func.func @main
// AUTO-NOT:     epi.head_linear
// AUTO:         epi.mla_attention {{.*}} up %
func.func @main(%q: tensor<?x2x8xbf16>, %qr: tensor<?x2x2xbf16>, %cache: !epi.mla_cache<latent = 16, rope = 2, bf16>,
                %up: tensor<32x16xbf16>, %step: !epi.step) -> tensor<?x2x8xbf16>
    attributes {epi.phase = "prefill"} {
  %o = epi.mla_attention %q, %qr, %cache, %step up %up {scale = 0.5 : f64}
      : (tensor<?x2x8xbf16>, tensor<?x2x2xbf16>, !epi.mla_cache<latent = 16, rope = 2, bf16>)
        up tensor<32x16xbf16> -> tensor<?x2x8xbf16>
  return %o : tensor<?x2x8xbf16>
}

// AUTO-LABEL: func.func @decode
// AUTO:         epi.head_linear
// AUTO-NOT:     up %
// AUTO:         epi.head_linear
func.func @decode(%q: tensor<?x2x8xbf16>, %qr: tensor<?x2x2xbf16>, %cache: !epi.mla_cache<latent = 16, rope = 2, bf16>,
                  %up: tensor<32x16xbf16>, %step: !epi.step) -> tensor<?x2x8xbf16>
    attributes {epi.phase = "decode"} {
  %o = epi.mla_attention %q, %qr, %cache, %step up %up {scale = 0.5 : f64}
      : (tensor<?x2x8xbf16>, tensor<?x2x2xbf16>, !epi.mla_cache<latent = 16, rope = 2, bf16>)
        up tensor<32x16xbf16> -> tensor<?x2x8xbf16>
  return %o : tensor<?x2x8xbf16>
}

// A latent vector much smaller than keys and values is cheaper absorbed in either phase.

// AUTO-LABEL: func.func @small_latent
// AUTO:         epi.head_linear
// AUTO-NOT:     up %
// AUTO:         epi.head_linear
func.func @small_latent(%q: tensor<?x2x64xbf16>, %qr: tensor<?x2x2xbf16>, %cache: !epi.mla_cache<latent = 4, rope = 2, bf16>,
                        %up: tensor<256x4xbf16>, %step: !epi.step) -> tensor<?x2x64xbf16>
    attributes {epi.phase = "prefill"} {
  %o = epi.mla_attention %q, %qr, %cache, %step up %up {scale = 0.5 : f64}
      : (tensor<?x2x64xbf16>, tensor<?x2x2xbf16>, !epi.mla_cache<latent = 4, rope = 2, bf16>)
        up tensor<256x4xbf16> -> tensor<?x2x64xbf16>
  return %o : tensor<?x2x64xbf16>
}
}
