// RUN: epigraph-opt %s --epi-fuse-cache-append | FileCheck %s
// RUN: epigraph-opt %s --epi-fuse-cache-append --remarks-filter=.* -o /dev/null 2>&1 | FileCheck %s --check-prefix=STATS

// STATS: Category:epi-fuse-cache-append {{.*}}it does not rotate whole heads of a multiple of 16 elements
// STATS: Category:epi-fuse-cache-append {{.*}}a head would not lie together in what the kernel reads
// STATS: Category:epi-fuse-cache-append {{.*}}another operation needs what the one gives, and gives what the other needs
// STATS: Category:epi-fuse-cache-append | groups=5, launches=9, ops=17

!cache = !epi.kv_cache<heads = 2, key = 32, value = 32, bf16>
!latents = !epi.mla_cache<latent = 64, rope = 16, bf16>

// All between the projection and attention; keys are in the cache alone.
// CHECK-LABEL: func.func @heads(
// CHECK:         %[[X:.*]] = epi.linear
// CHECK-NEXT:    %[[C:.*]] = epi.kv_cache "heads"
// CHECK-NEXT:    %[[G:.*]]:2 = epi.fused "rms_norm_x2_rope_x2_kv_append"(%[[X]], %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %[[C]])
// CHECK-NEXT:    ^bb0
// CHECK-NEXT:      %[[P:.*]]:3 = epi.split
// CHECK-NEXT:      %[[Q:.*]] = epi.reshape %[[P]]#0
// CHECK-NEXT:      %[[QN:.*]] = epi.rms_norm %[[Q]]
// CHECK-NEXT:      %[[K:.*]] = epi.reshape %[[P]]#1
// CHECK-NEXT:      %[[KN:.*]] = epi.rms_norm %[[K]]
// CHECK-NEXT:      %[[QR:.*]] = epi.rope %[[QN]]
// CHECK-NEXT:      %[[KR:.*]] = epi.rope %[[KN]]
// CHECK-NEXT:      %[[V:.*]] = epi.reshape %[[P]]#2
// CHECK-NEXT:      %[[N:.*]] = epi.kv_append %{{.*}}, %[[KR]], %[[V]]
// CHECK-NEXT:      epi.yield %[[QR]], %[[N]]
// CHECK:         epi.attention %[[G]]#0, %[[G]]#1
func.func @heads(%x: tensor<?x64xbf16>, %p: tensor<256x64xbf16>, %w: tensor<32xbf16>, %u: tensor<32xbf16>, %table: tensor<256x32xf32>, %step: !epi.step) -> tensor<?x4x32xbf16> {
  %0 = epi.linear %x, %p : (tensor<?x64xbf16>, tensor<256x64xbf16>) -> tensor<?x256xbf16>
  %1:3 = epi.split %0 dim 1 : tensor<?x256xbf16> to tensor<?x128xbf16>, tensor<?x64xbf16>, tensor<?x64xbf16>
  %2:2 = epi.fused "rms_norm_x2"(%0, %w, %u) : (tensor<?x256xbf16>, tensor<32xbf16>, tensor<32xbf16>) -> (tensor<?x4x32xbf16>, tensor<?x2x32xbf16>) {
  ^bb0(%a: tensor<?x256xbf16>, %b: tensor<32xbf16>, %c: tensor<32xbf16>):
    %d:3 = epi.split %a dim 1 : tensor<?x256xbf16> to tensor<?x128xbf16>, tensor<?x64xbf16>, tensor<?x64xbf16>
    %e = epi.reshape %d#0 : tensor<?x128xbf16> to tensor<?x4x32xbf16>
    %f = epi.rms_norm %e, %b {eps = 1.0e-6 : f64} : tensor<?x4x32xbf16>, tensor<32xbf16>
    %g = epi.reshape %d#1 : tensor<?x64xbf16> to tensor<?x2x32xbf16>
    %h = epi.rms_norm %g, %c {eps = 1.0e-6 : f64} : tensor<?x2x32xbf16>, tensor<32xbf16>
    epi.yield %f, %h : tensor<?x4x32xbf16>, tensor<?x2x32xbf16>
  }
  %3 = epi.rope %2#0, %table, %step : tensor<?x4x32xbf16>, tensor<256x32xf32>
  %4 = epi.rope %2#1, %table, %step : tensor<?x2x32xbf16>, tensor<256x32xf32>
  %5 = epi.reshape %1#2 : tensor<?x64xbf16> to tensor<?x2x32xbf16>
  %cache = epi.kv_cache "heads" : !cache
  %new = epi.kv_append %cache, %4, %5, %step : !cache, tensor<?x2x32xbf16>, tensor<?x2x32xbf16>
  %6 = epi.attention %3, %new, %step {scale = 0.25 : f64} : (tensor<?x4x32xbf16>, !cache) -> tensor<?x4x32xbf16>
  return %6 : tensor<?x4x32xbf16>
}

// The group stands before the projection of what it quantizes; cache and table move up to there. The queries' rotation comes later.
// CHECK-LABEL: func.func @latents(
// CHECK:         %[[X:.*]] = epi.linear
// CHECK-NEXT:    %[[T:.*]] = epi.rope_table
// CHECK-NEXT:    %[[C:.*]] = epi.kv_cache "latents"
// CHECK-NEXT:    %[[G:.*]]:3 = epi.fused "rms_norm_x2_quantize_rope_kv_append"(%[[X]], %{{.*}}, %{{.*}}, %[[T]], %{{.*}}, %[[C]])
// CHECK:           epi.yield %{{.*}}, %{{.*}}, %{{.*}} : tensor<?x128xf8E4M3FN>, tensor<?x1xf32>, !epi.mla_cache<latent = 64, rope = 16, bf16>
// CHECK:         epi.linear %[[G]]#0 scale %[[G]]#1
// CHECK:         %[[Q:.*]] = epi.rope
// CHECK:         epi.mla_attention %{{.*}}, %[[Q]], %[[G]]#2
func.func @latents(%x: tensor<?x64xbf16>, %p: tensor<208x64xbf16>, %w: tensor<128xbf16>, %u: tensor<64xbf16>, %q: tensor<320x128xf8E4M3FN>, %s: tensor<3x1xf32>, %step: !epi.step) -> tensor<?x4x64xbf16> {
  %0 = epi.linear %x, %p : (tensor<?x64xbf16>, tensor<208x64xbf16>) -> tensor<?x208xbf16>
  %1:2 = epi.split %0 dim 1 : tensor<?x208xbf16> to tensor<?x128xbf16>, tensor<?x80xbf16>
  %2:3 = epi.fused "rms_norm_x2_quantize"(%1#0, %1#1, %w, %u) : (tensor<?x128xbf16>, tensor<?x80xbf16>, tensor<128xbf16>, tensor<64xbf16>) -> (tensor<?x64xbf16>, tensor<?x128xf8E4M3FN>, tensor<?x1xf32>) {
  ^bb0(%a: tensor<?x128xbf16>, %b: tensor<?x80xbf16>, %c: tensor<128xbf16>, %d: tensor<64xbf16>):
    %e = epi.rms_norm %a, %c {eps = 1.0e-6 : f64} : tensor<?x128xbf16>, tensor<128xbf16>
    %f:2 = epi.split %b dim 1 : tensor<?x80xbf16> to tensor<?x64xbf16>, tensor<?x16xbf16>
    %g = epi.rms_norm %f#0, %d {eps = 1.0e-6 : f64} : tensor<?x64xbf16>, tensor<64xbf16>
    %h, %i = epi.quantize %e {block = array<i64: 1, 128>} : tensor<?x128xbf16> -> tensor<?x128xf8E4M3FN>, tensor<?x1xf32>
    epi.yield %g, %h, %i : tensor<?x64xbf16>, tensor<?x128xf8E4M3FN>, tensor<?x1xf32>
  }
  %3 = epi.linear %2#1 scale %2#2, %q scale %s : (tensor<?x128xf8E4M3FN> scale tensor<?x1xf32>, tensor<320x128xf8E4M3FN> scale tensor<3x1xf32>) -> tensor<?x320xbf16>
  %4 = epi.reshape %3 : tensor<?x320xbf16> to tensor<?x4x80xbf16>
  %5:2 = epi.split %4 dim 2 : tensor<?x4x80xbf16> to tensor<?x4x64xbf16>, tensor<?x4x16xbf16>
  %table = epi.rope_table {magnitude = 1.0 : f64, theta = 1.0e+4 : f64} : tensor<256x16xf32>
  %6 = epi.rope %5#1, %table, %step {interleaved} : tensor<?x4x16xbf16>, tensor<256x16xf32>
  %7:2 = epi.split %1#1 dim 1 : tensor<?x80xbf16> to tensor<?x64xbf16>, tensor<?x16xbf16>
  %8 = epi.rope %7#1, %table, %step {interleaved} : tensor<?x16xbf16>, tensor<256x16xf32>
  %cache = epi.kv_cache "latents" : !latents
  %new = epi.kv_append %cache, %2#0, %8, %step : !latents, tensor<?x64xbf16>, tensor<?x16xbf16>
  %9 = epi.mla_attention %5#0, %6, %new, %step {scale = 0.25 : f64} : (tensor<?x4x64xbf16>, tensor<?x4x16xbf16>, !latents) -> tensor<?x4x64xbf16>
  return %9 : tensor<?x4x64xbf16>
}

// Rotations only. The keys that something else reads are a result, too.
// CHECK-LABEL: func.func @keys_wanted(
// CHECK:         %[[G:.*]]:3 = epi.fused "rope_x2_kv_append"
// CHECK:         %[[A:.*]] = epi.attention %[[G]]#0, %[[G]]#2
// CHECK:         return %[[A]], %[[G]]#1
func.func @keys_wanted(%x: tensor<?x256xbf16>, %table: tensor<256x32xf32>, %step: !epi.step) -> (tensor<?x4x32xbf16>, tensor<?x2x32xbf16>) {
  %0:3 = epi.split %x dim 1 : tensor<?x256xbf16> to tensor<?x128xbf16>, tensor<?x64xbf16>, tensor<?x64xbf16>
  %1 = epi.reshape %0#0 : tensor<?x128xbf16> to tensor<?x4x32xbf16>
  %2 = epi.rope %1, %table, %step : tensor<?x4x32xbf16>, tensor<256x32xf32>
  %3 = epi.reshape %0#1 : tensor<?x64xbf16> to tensor<?x2x32xbf16>
  %4 = epi.rope %3, %table, %step : tensor<?x2x32xbf16>, tensor<256x32xf32>
  %5 = epi.reshape %0#2 : tensor<?x64xbf16> to tensor<?x2x32xbf16>
  %cache = epi.kv_cache "wanted" : !cache
  %new = epi.kv_append %cache, %4, %5, %step : !cache, tensor<?x2x32xbf16>, tensor<?x2x32xbf16>
  %6 = epi.attention %2, %new, %step {scale = 0.25 : f64} : (tensor<?x4x32xbf16>, !cache) -> tensor<?x4x32xbf16>
  return %6, %4 : tensor<?x4x32xbf16>, tensor<?x2x32xbf16>
}

// Parts of heads are rotated by kernels of their own.
// CHECK-LABEL: func.func @parts_of_heads(
// CHECK-NOT:     epi.fused
// CHECK:         return
func.func @parts_of_heads(%x: tensor<?x2x32xbf16>, %v: tensor<?x2x32xbf16>, %table: tensor<256x16xf32>, %step: !epi.step) -> !cache {
  %0 = epi.rope %x, %table, %step : tensor<?x2x32xbf16>, tensor<256x16xf32>
  %cache = epi.kv_cache "parts" : !cache
  %new = epi.kv_append %cache, %0, %v, %step : !cache, tensor<?x2x32xbf16>, tensor<?x2x32xbf16>
  return %new : !cache
}

// Heads that a concat is made of, or that lie in two places of the input.
// CHECK-LABEL: func.func @heads_in_pieces(
// CHECK:         epi.concat
// CHECK:         epi.fused "rope_kv_append"
// CHECK:         epi.rope
// CHECK:         epi.kv_append
// CHECK-NOT:     epi.fused
// CHECK:         return
func.func @heads_in_pieces(%x: tensor<?x2x16xbf16>, %y: tensor<?x4x2x24xbf16>, %v: tensor<?x2x32xbf16>, %table: tensor<256x32xf32>, %step: !epi.step) -> (!cache, !cache) {
  %0 = epi.concat %x, %x dim 2 : tensor<?x2x16xbf16>, tensor<?x2x16xbf16> to tensor<?x2x32xbf16>
  %1 = epi.rope %0, %table, %step : tensor<?x2x32xbf16>, tensor<256x32xf32>
  %cache = epi.kv_cache "concat" : !cache
  %new = epi.kv_append %cache, %1, %v, %step : !cache, tensor<?x2x32xbf16>, tensor<?x2x32xbf16>
  %2:2 = epi.split %y dim 3 : tensor<?x4x2x24xbf16> to tensor<?x4x2x8xbf16>, tensor<?x4x2x16xbf16>
  %3 = epi.reshape %2#0 : tensor<?x4x2x8xbf16> to tensor<?x2x32xbf16>
  %4 = epi.rope %3, %table, %step : tensor<?x2x32xbf16>, tensor<256x32xf32>
  %other = epi.kv_cache "split" : !cache
  %newer = epi.kv_append %other, %4, %v, %step : !cache, tensor<?x2x32xbf16>, tensor<?x2x32xbf16>
  return %new, %newer : !cache, !cache
}

// What the norm gives is needed for what is appended, so it stays outside.
// CHECK-LABEL: func.func @cycle(
// CHECK:         epi.rms_norm
// CHECK:         epi.linear
// CHECK:         epi.fused "rope_kv_append"
func.func @cycle(%x: tensor<?x64xbf16>, %w: tensor<64xbf16>, %p: tensor<64x64xbf16>, %table: tensor<256x32xf32>, %step: !epi.step) -> !cache {
  %0 = epi.rms_norm %x, %w {eps = 1.0e-6 : f64} : tensor<?x64xbf16>, tensor<64xbf16>
  %1 = epi.linear %0, %p : (tensor<?x64xbf16>, tensor<64x64xbf16>) -> tensor<?x64xbf16>
  %2 = epi.reshape %1 : tensor<?x64xbf16> to tensor<?x2x32xbf16>
  %3 = epi.rope %2, %table, %step : tensor<?x2x32xbf16>, tensor<256x32xf32>
  %4 = epi.reshape %0 : tensor<?x64xbf16> to tensor<?x2x32xbf16>
  %cache = epi.kv_cache "cycle" : !cache
  %new = epi.kv_append %cache, %3, %4, %step : !cache, tensor<?x2x32xbf16>, tensor<?x2x32xbf16>
  return %new : !cache
}

// Nothing makes the parts row by row.
// CHECK-LABEL: func.func @alone(
// CHECK-NOT:     epi.fused
// CHECK:         return
func.func @alone(%k: tensor<?x2x32xbf16>, %v: tensor<?x2x32xbf16>, %step: !epi.step) -> !cache {
  %cache = epi.kv_cache "alone" : !cache
  %new = epi.kv_append %cache, %k, %v, %step : !cache, tensor<?x2x32xbf16>, tensor<?x2x32xbf16>
  return %new : !cache
}
