// RUN: epigraph-opt %s --epi-fuse-query-rotation | FileCheck %s
// RUN: epigraph-opt %s --epi-fuse-query-rotation --remarks-filter=.* -o /dev/null 2>&1 | FileCheck %s --check-prefix=STATS

// STATS: Category:epi-fuse-query-rotation {{.*}}something else reads the rotated queries
// STATS: Category:epi-fuse-query-rotation {{.*}}it does not rotate whole heads of a multiple of 16 elements
// STATS: Category:epi-fuse-query-rotation {{.*}}attention of expanded keys and values reads rotated queries often
// STATS: Category:epi-fuse-query-rotation | groups=1, row-bytes=1024

// CHECK-LABEL: func.func @absorbed
// CHECK:         %[[PARTS:.*]]:2 = epi.split
// CHECK-NEXT:    %[[F:.*]] = epi.fused "rope_mla_attention"(%[[PARTS]]#1, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}) : {{.*}} -> tensor<?x4x512xbf16> {
// CHECK-NEXT:    ^bb0(%[[X:.*]]: tensor<?x4x64xbf16>, %[[T:.*]]: tensor<64x64xf32>, %[[S:.*]]: !epi.step, %[[Q:.*]]: tensor<?x4x512xbf16>, %[[C:.*]]: !epi.mla_cache
// CHECK-NEXT:      %[[R:.*]] = epi.rope %[[X]], %[[T]], %[[S]] {interleaved}
// CHECK-NEXT:      %[[O:.*]] = epi.mla_attention %[[Q]], %[[R]], %[[C]], %[[S]]
// CHECK-NEXT:      epi.yield %[[O]]
// CHECK:         return %[[F]]
func.func @absorbed(%x: tensor<?x768xbf16>, %q: tensor<?x4x512xbf16>, %table: tensor<64x64xf32>, %cache: !epi.mla_cache<latent = 512, rope = 64, bf16>, %step: !epi.step) -> tensor<?x4x512xbf16> {
  %0 = epi.reshape %x : tensor<?x768xbf16> to tensor<?x4x192xbf16>
  %1:2 = epi.split %0 dim 2 : tensor<?x4x192xbf16> to tensor<?x4x128xbf16>, tensor<?x4x64xbf16>
  %2 = epi.rope %1#1, %table, %step {interleaved} : tensor<?x4x64xbf16>, tensor<64x64xf32>
  %3 = epi.mla_attention %q, %2, %cache, %step {scale = 0.1 : f64} : (tensor<?x4x512xbf16>, tensor<?x4x64xbf16>, !epi.mla_cache<latent = 512, rope = 64, bf16>) -> tensor<?x4x512xbf16>
  return %3 : tensor<?x4x512xbf16>
}

// Queries that are read twice, and of which only a part is rotated.
// CHECK-LABEL: func.func @others
// CHECK-NOT:     epi.fused
// CHECK:         return
func.func @others(%x: tensor<?x4x64xbf16>, %q: tensor<?x4x512xbf16>, %table: tensor<64x64xf32>, %part: tensor<64x32xf32>, %cache: !epi.mla_cache<latent = 512, rope = 64, bf16>, %step: !epi.step)
    -> (tensor<?x4x512xbf16>, tensor<?x4x64xbf16>, tensor<?x4x512xbf16>) {
  %0 = epi.rope %x, %table, %step : tensor<?x4x64xbf16>, tensor<64x64xf32>
  %1 = epi.mla_attention %q, %0, %cache, %step {scale = 0.1 : f64} : (tensor<?x4x512xbf16>, tensor<?x4x64xbf16>, !epi.mla_cache<latent = 512, rope = 64, bf16>) -> tensor<?x4x512xbf16>
  %2 = epi.rope %x, %part, %step : tensor<?x4x64xbf16>, tensor<64x32xf32>
  %3 = epi.mla_attention %q, %2, %cache, %step {scale = 0.1 : f64} : (tensor<?x4x512xbf16>, tensor<?x4x64xbf16>, !epi.mla_cache<latent = 512, rope = 64, bf16>) -> tensor<?x4x512xbf16>
  return %1, %0, %3 : tensor<?x4x512xbf16>, tensor<?x4x64xbf16>, tensor<?x4x512xbf16>
}

// CHECK-LABEL: func.func @expanded
// CHECK-NOT:     epi.fused
// CHECK:         return
func.func @expanded(%x: tensor<?x4x64xbf16>, %q: tensor<?x4x128xbf16>, %table: tensor<64x64xf32>, %up: tensor<1024x512xbf16>, %cache: !epi.mla_cache<latent = 512, rope = 64, bf16>, %step: !epi.step) -> tensor<?x4x128xbf16> {
  %0 = epi.rope %x, %table, %step : tensor<?x4x64xbf16>, tensor<64x64xf32>
  %1 = epi.mla_attention %q, %0, %cache, %step up %up {scale = 0.1 : f64} : (tensor<?x4x128xbf16>, tensor<?x4x64xbf16>, !epi.mla_cache<latent = 512, rope = 64, bf16>) up tensor<1024x512xbf16> -> tensor<?x4x128xbf16>
  return %1 : tensor<?x4x128xbf16>
}
