// What the GPU's attention and routing cannot compile is said where it stands.
// RUN: split-file %s %t
// RUN: not epigraph-compile-kernels %t/sizes.mlir -o %t/out 2>&1 | FileCheck %t/sizes.mlir
// RUN: not epigraph-compile-kernels %t/types.mlir -o %t/out 2>&1 | FileCheck %t/types.mlir
// RUN: not epigraph-compile-kernels %t/limits.mlir -o %t/out 2>&1 | FileCheck %t/limits.mlir
// RUN: not epigraph-compile-kernels %t/experts.mlir -o %t/out 2>&1 | FileCheck %t/experts.mlir

//--- sizes.mlir
// CHECK: sizes.mlir:[[#@LINE+3]]:{{.*}}error: CUDA kernel @attend needs a key size that is a multiple of 16 up to 256, got 40
exec.kernel @attend(%q: tensor<?x2x40xbf16>, %cache: !epi.kv_cache<heads = 2, key = 40, value = 32, bf16>, %step: !epi.step)
    -> tensor<?x2x32xbf16> {
  %o = epi.attention %q, %cache, %step {scale = 0.1 : f64}
     : (tensor<?x2x40xbf16>, !epi.kv_cache<heads = 2, key = 40, value = 32, bf16>) -> tensor<?x2x32xbf16>
  exec.yield %o : tensor<?x2x32xbf16>
}

//--- types.mlir
// CHECK: types.mlir:[[#@LINE+3]]:{{.*}}error: CUDA kernel @attend needs a 'q' of bf16, got 'f32'; compile with --compute bfloat16
exec.kernel @attend(%q: tensor<?x2x32xf32>, %cache: !epi.kv_cache<heads = 2, key = 32, value = 32, f32>, %step: !epi.step)
    -> tensor<?x2x32xf32> {
  %o = epi.attention %q, %cache, %step {scale = 0.1 : f64}
     : (tensor<?x2x32xf32>, !epi.kv_cache<heads = 2, key = 32, value = 32, f32>) -> tensor<?x2x32xf32>
  exec.yield %o : tensor<?x2x32xf32>
}

//--- limits.mlir
// CHECK: limits.mlir:[[#@LINE+3]]:{{.*}}error: CUDA kernel @attend needs exec.limits on the module, which bounds the memory that it takes; add it
exec.kernel @attend(%q: tensor<?x6x32xbf16>, %qr: tensor<?x6x16xbf16>, %cache: !epi.mla_cache<latent = 64, rope = 16, bf16>,
                    %step: !epi.step, %up: tensor<384x64xbf16>) -> tensor<?x6x32xbf16> {
  %o = epi.mla_attention %q, %qr, %cache, %step up %up {scale = 0.1 : f64}
     : (tensor<?x6x32xbf16>, tensor<?x6x16xbf16>, !epi.mla_cache<latent = 64, rope = 16, bf16>)
       up tensor<384x64xbf16> -> tensor<?x6x32xbf16>
  exec.yield %o : tensor<?x6x32xbf16>
}

//--- experts.mlir
// CHECK: experts.mlir:[[#@LINE+2]]:{{.*}}error: CUDA kernel @route routes to up to 1024 experts in up to 32 groups, and takes up to 32 of them; got 2048 experts, 1 groups, top_k = 8
exec.kernel @route(%logits: tensor<?x2048xf32>) -> (tensor<?x8xi32>, tensor<?x8xf32>) {
  %ids, %w = epi.route %logits {score = #epi.score<softmax>, top_k = 8 : i64, groups = 1 : i64, top_groups = 1 : i64,
               group_score = #epi.group_score<max>, scale = 1.0 : f64}
           : tensor<?x2048xf32> -> tensor<?x8xi32>, tensor<?x8xf32>
  exec.yield %ids, %w : tensor<?x8xi32>, tensor<?x8xf32>
}
