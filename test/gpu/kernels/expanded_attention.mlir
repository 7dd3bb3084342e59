// Latent attention in its expanded form. The limits bound the workspace: of @deepseek_v3 it holds the keys and values
// of a few heads only when contexts are long.
module attributes {exec.limits = #exec.limits<batch_tokens = 4096, sequences = 32, context = 8192>} {
  exec.kernel @tiny(%x: tensor<?x288xbf16>, %qr: tensor<?x6x16xbf16>, %cache: !epi.mla_cache<latent = 64, rope = 16, bf16>,
                    %step: !epi.step, %up: tensor<384x64xbf16>) -> tensor<?x6x32xbf16> {
    %0 = epi.reshape %x : tensor<?x288xbf16> to tensor<?x6x48xbf16>
    %1:2 = epi.split %0 dim 2 : tensor<?x6x48xbf16> to tensor<?x6x32xbf16>, tensor<?x6x16xbf16>
    %o = epi.mla_attention %1#0, %qr, %cache, %step up %up {scale = 0.18713033519502434 : f64}
       : (tensor<?x6x32xbf16>, tensor<?x6x16xbf16>, !epi.mla_cache<latent = 64, rope = 16, bf16>)
         up tensor<384x64xbf16> -> tensor<?x6x32xbf16>
    exec.yield %o : tensor<?x6x32xbf16>
  }
  exec.kernel @deepseek_v3(%x: tensor<?x24576xbf16>, %qr: tensor<?x128x64xbf16>,
                           %cache: !epi.mla_cache<latent = 512, rope = 64, bf16>, %step: !epi.step,
                           %up: tensor<32768x512xbf16>) -> tensor<?x128x128xbf16> {
    %0 = epi.reshape %x : tensor<?x24576xbf16> to tensor<?x128x192xbf16>
    %1:2 = epi.split %0 dim 2 : tensor<?x128x192xbf16> to tensor<?x128x128xbf16>, tensor<?x128x64xbf16>
    %o = epi.mla_attention %1#0, %qr, %cache, %step up %up {scale = 0.1147213867929261 : f64}
       : (tensor<?x128x128xbf16>, tensor<?x128x64xbf16>, !epi.mla_cache<latent = 512, rope = 64, bf16>)
         up tensor<32768x512xbf16> -> tensor<?x128x128xbf16>
    exec.yield %o : tensor<?x128x128xbf16>
  }
  // Columns of a head that are three tiles, the last of them narrower; a latent vector of 80.
  exec.kernel @odd(%q: tensor<?x3x112xbf16>, %qr: tensor<?x3x48xbf16>, %cache: !epi.mla_cache<latent = 80, rope = 48, bf16>,
                   %step: !epi.step, %up: tensor<816x80xbf16>) -> tensor<?x3x160xf32> {
    %o = epi.mla_attention %q, %qr, %cache, %step up %up {scale = 0.1 : f64}
       : (tensor<?x3x112xbf16>, tensor<?x3x48xbf16>, !epi.mla_cache<latent = 80, rope = 48, bf16>)
         up tensor<816x80xbf16> -> tensor<?x3x160xf32>
    exec.yield %o : tensor<?x3x160xf32>
  }
}
