// RUN: epigraph-opt %s --epi-specialize-phases --split-input-file | FileCheck %s
// RUN: epigraph-opt %s --epi-specialize-phases --split-input-file --remarks-filter=.* -o /dev/null 2>&1 \
// RUN:   | FileCheck %s --check-prefix=STATS

// Prefill is cheaper expanded, decoding absorbed: see choose-attention-form.mlir. The clone comes before @mtp, which stays.

// STATS: Category:epi-specialize-phases | extra-weight-bytes=1024, functions=1
// CHECK-LABEL: func.func @main
// CHECK-SAME:    -> (tensor<?x2x8xbf16> {epi.name = "hidden"}) attributes {epi.phase = "prefill"}
// CHECK:         epi.weight "kv_b_proj.weight"
// CHECK:         epi.mla_attention {{.*}} up %
// CHECK-LABEL: func.func @decode
// CHECK-SAME:    -> (tensor<?x2x8xbf16> {epi.name = "hidden"}) attributes {epi.phase = "decode"}
// CHECK:         epi.weight "kv_b_proj.weight"
// CHECK:         epi.mla_attention {{.*}} up %
// CHECK-LABEL: func.func @mtp
// CHECK-NOT:     epi.phase
module attributes {exec.limits = #exec.limits<batch_tokens = 64, sequences = 4, context = 1024>} {
func.func @main(%q: tensor<?x2x8xbf16>, %qr: tensor<?x2x2xbf16>, %cache: !epi.mla_cache<latent = 16, rope = 2, bf16>,
                %step: !epi.step) -> (tensor<?x2x8xbf16> {epi.name = "hidden"}) {
  %up = epi.weight "kv_b_proj.weight" : tensor<32x16xbf16>
  %o = epi.mla_attention %q, %qr, %cache, %step up %up {scale = 0.5 : f64}
      : (tensor<?x2x8xbf16>, tensor<?x2x2xbf16>, !epi.mla_cache<latent = 16, rope = 2, bf16>)
        up tensor<32x16xbf16> -> tensor<?x2x8xbf16>
  return %o : tensor<?x2x8xbf16>
}
func.func @mtp(%q: tensor<?x2x8xbf16>, %qr: tensor<?x2x2xbf16>, %cache: !epi.mla_cache<latent = 16, rope = 2, bf16>,
                %step: !epi.step) -> (tensor<?x2x8xbf16> {epi.name = "hidden"}) {
  %up = epi.weight "kv_b_proj.weight" : tensor<32x16xbf16>
  %o = epi.mla_attention %q, %qr, %cache, %step up %up {scale = 0.5 : f64}
      : (tensor<?x2x8xbf16>, tensor<?x2x2xbf16>, !epi.mla_cache<latent = 16, rope = 2, bf16>)
        up tensor<32x16xbf16> -> tensor<?x2x8xbf16>
  return %o : tensor<?x2x8xbf16>
}
}

// -----

// Both phases would absorb.

// STATS: Category:epi-specialize-phases | extra-weight-bytes=0, functions=0
// CHECK-LABEL: func.func @main
// CHECK-NOT:     epi.phase
// CHECK-NOT:   func.func @decode
module attributes {exec.limits = #exec.limits<batch_tokens = 64, sequences = 4, context = 1024>} {
func.func @main(%q: tensor<?x2x8xbf16>, %qr: tensor<?x2x2xbf16>, %cache: !epi.mla_cache<latent = 2, rope = 2, bf16>,
                %step: !epi.step) -> (tensor<?x2x8xbf16> {epi.name = "hidden"}) {
  %up = epi.weight "kv_b_proj.weight" : tensor<32x2xbf16>
  %o = epi.mla_attention %q, %qr, %cache, %step up %up {scale = 0.5 : f64}
      : (tensor<?x2x8xbf16>, tensor<?x2x2xbf16>, !epi.mla_cache<latent = 2, rope = 2, bf16>)
        up tensor<32x2xbf16> -> tensor<?x2x8xbf16>
  return %o : tensor<?x2x8xbf16>
}
}

// -----

// Done already: running twice changes nothing.

// STATS: Category:epi-specialize-phases | extra-weight-bytes=0, functions=0
// CHECK-LABEL: func.func @main
// CHECK-NOT:   func.func @decode
module attributes {exec.limits = #exec.limits<batch_tokens = 64, sequences = 4, context = 1024>} {
func.func @main(%q: tensor<?x2x8xbf16>, %qr: tensor<?x2x2xbf16>, %cache: !epi.mla_cache<latent = 16, rope = 2, bf16>,
                %step: !epi.step) -> (tensor<?x2x8xbf16> {epi.name = "hidden"})
    attributes {epi.phase = "prefill"} {
  %up = epi.weight "kv_b_proj.weight" : tensor<32x16xbf16>
  %o = epi.mla_attention %q, %qr, %cache, %step up %up {scale = 0.5 : f64}
      : (tensor<?x2x8xbf16>, tensor<?x2x2xbf16>, !epi.mla_cache<latent = 16, rope = 2, bf16>)
        up tensor<32x16xbf16> -> tensor<?x2x8xbf16>
  return %o : tensor<?x2x8xbf16>
}
}

// -----

// Without limits there is no typical step.

// STATS: Category:epi-specialize-phases | extra-weight-bytes=0, functions=0
// CHECK-LABEL: func.func @main
// CHECK-NOT:     epi.phase
// CHECK-NOT:   func.func @decode
func.func @main(%q: tensor<?x2x8xbf16>, %qr: tensor<?x2x2xbf16>, %cache: !epi.mla_cache<latent = 16, rope = 2, bf16>,
                %step: !epi.step) -> (tensor<?x2x8xbf16> {epi.name = "hidden"}) {
  %up = epi.weight "kv_b_proj.weight" : tensor<32x16xbf16>
  %o = epi.mla_attention %q, %qr, %cache, %step up %up {scale = 0.5 : f64}
      : (tensor<?x2x8xbf16>, tensor<?x2x2xbf16>, !epi.mla_cache<latent = 16, rope = 2, bf16>)
        up tensor<32x16xbf16> -> tensor<?x2x8xbf16>
  return %o : tensor<?x2x8xbf16>
}

// -----

// DeepSeek-V3's attention, one layer: the phases differ, for 32 MiB more.

// STATS: Category:epi-specialize-phases | extra-weight-bytes=33554432, functions=1
// CHECK-LABEL: func.func @main
// CHECK-LABEL: func.func @decode
module attributes {exec.limits = #exec.limits<batch_tokens = 512, sequences = 32, context = 4096>} {
func.func @main(%q: tensor<?x128x128xbf16>, %qr: tensor<?x128x64xbf16>, %cache: !epi.mla_cache<latent = 512, rope = 64, bf16>,
                %step: !epi.step) -> tensor<?x128x128xbf16> {
  %up = epi.weight "kv_b_proj.weight" : tensor<32768x512xbf16>
  %o = epi.mla_attention %q, %qr, %cache, %step up %up {scale = 0.1 : f64}
      : (tensor<?x128x128xbf16>, tensor<?x128x64xbf16>, !epi.mla_cache<latent = 512, rope = 64, bf16>)
        up tensor<32768x512xbf16> -> tensor<?x128x128xbf16>
  return %o : tensor<?x128x128xbf16>
}
}
