// RUN: epigraph-opt %s --epi-choose-attention-form --split-input-file --verify-diagnostics

// expected-error @below {{the cost of attention depends on the module's exec.limits, which is missing; add it, or choose with form=absorbed or form=expanded}}
func.func @no_limits(%q: tensor<?x2x8xbf16>, %qr: tensor<?x2x2xbf16>, %cache: !epi.mla_cache<latent = 16, rope = 2, bf16>,
                     %up: tensor<32x16xbf16>, %step: !epi.step) -> tensor<?x2x8xbf16>
    attributes {epi.phase = "prefill"} {
  %o = epi.mla_attention %q, %qr, %cache, %step up %up {scale = 0.5 : f64}
      : (tensor<?x2x8xbf16>, tensor<?x2x2xbf16>, !epi.mla_cache<latent = 16, rope = 2, bf16>)
        up tensor<32x16xbf16> -> tensor<?x2x8xbf16>
  return %o : tensor<?x2x8xbf16>
}

// -----

// expected-error @below {{the attribute epi.phase must be "prefill" or "decode", got "training"}}
func.func @no_phase() attributes {epi.phase = "training"} {
  return
}
