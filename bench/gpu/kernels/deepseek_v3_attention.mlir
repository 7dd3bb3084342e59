// Attention of DeepSeek-V3, as decode steps have it: in absorbed form.
exec.kernel @deepseek_v3(%q: tensor<?x128x512xbf16>, %r: tensor<?x128x64xbf16>, %cache: !epi.mla_cache<latent = 512, rope = 64, bf16>, %step: !epi.step) -> tensor<?x128x512xbf16> {
  %o = epi.mla_attention %q, %r, %cache, %step {scale = 0.1147213867929261 : f64}
     : (tensor<?x128x512xbf16>, tensor<?x128x64xbf16>, !epi.mla_cache<latent = 512, rope = 64, bf16>) -> tensor<?x128x512xbf16>
  exec.yield %o : tensor<?x128x512xbf16>
}
