// REQUIRES: ptxas
// RUN: epigraph-compile-kernels %s -o %t && FileCheck %s --input-file=%t/kernels.ptx

// Where the token is, is read before the kernel before has ended. A thread has a chunk of queries, of keys or of values; of what is
// rotated it loads the other half's chunk too, and eight cosines and sines.
// CHECK-LABEL: .entry rope_x2_kv_append(
// CHECK: prefetch.global.L2
// CHECK-NOT: ld.global.v4
// CHECK: griddepcontrol.wait
// CHECK-COUNT-6: ld.global.v4
// CHECK: st.global.v4
// CHECK-COUNT-6: ld.global.v4
// CHECK: st.global.v4
// CHECK: ld.global.v4
// CHECK: st.global.v4
// CHECK-NOT: {{(ld|st)}}.global.v4
// CHECK: ret;
exec.kernel @rope_x2_kv_append(%x: tensor<?x256xbf16>, %table: tensor<64x32xf32>, %step: !epi.step,
                               %cache: !epi.kv_cache<heads = 2, key = 32, value = 32, bf16>)
    -> (tensor<?x4x32xbf16>, !epi.kv_cache<heads = 2, key = 32, value = 32, bf16>) {
  %0:3 = epi.split %x dim 1 : tensor<?x256xbf16> to tensor<?x128xbf16>, tensor<?x64xbf16>, tensor<?x64xbf16>
  %1 = epi.reshape %0#0 : tensor<?x128xbf16> to tensor<?x4x32xbf16>
  %2 = epi.rope %1, %table, %step : tensor<?x4x32xbf16>, tensor<64x32xf32>
  %3 = epi.reshape %0#1 : tensor<?x64xbf16> to tensor<?x2x32xbf16>
  %4 = epi.rope %3, %table, %step : tensor<?x2x32xbf16>, tensor<64x32xf32>
  %5 = epi.reshape %0#2 : tensor<?x64xbf16> to tensor<?x2x32xbf16>
  %new = epi.kv_append %cache, %4, %5, %step : !epi.kv_cache<heads = 2, key = 32, value = 32, bf16>, tensor<?x2x32xbf16>, tensor<?x2x32xbf16>
  exec.yield %2, %new : tensor<?x4x32xbf16>, !epi.kv_cache<heads = 2, key = 32, value = 32, bf16>
}
