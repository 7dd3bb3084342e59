// REQUIRES: ptxas
// RUN: epigraph-compile-kernels %s -o %t && FileCheck %s --input-file=%t/kernels.ptx

// The row is read once, before the block adds up its squares, and kept in registers.
// CHECK-LABEL: .entry add_rms_norm(
// CHECK-COUNT-4: ld.global.v4
// CHECK: bar.sync
// CHECK-COUNT-2: ld.global.v4
// CHECK-NOT: ld.global.v4
// CHECK: ret;
exec.kernel @add_rms_norm(%x: tensor<?x7168xbf16>, %residual: tensor<?x7168xbf16>, %w: tensor<7168xbf16>)
    -> (tensor<?x7168xbf16>, tensor<?x7168xbf16>) {
  %0 = epi.add %residual, %x : tensor<?x7168xbf16>
  %1 = epi.rms_norm %0, %w {eps = 1.0e-6 : f64} : tensor<?x7168xbf16>, tensor<7168xbf16>
  exec.yield %0, %1 : tensor<?x7168xbf16>, tensor<?x7168xbf16>
}
