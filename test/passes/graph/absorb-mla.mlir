// RUN: epigraph-opt %s --epi-absorb-mla --split-input-file | FileCheck %s

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
