// REQUIRES: ptxas
// RUN: epigraph-compile-kernels %s -o %t && FileCheck %s --input-file=%t/kernels.ptx

// A row is read once, before its squares are added up, and kept in registers, as are the norm's weights. Few rows are shared by
// clusters, which meet when all blocks run and when their sums are there.
// CHECK-LABEL: .entry add_rms_norm_few(
// CHECK: .explicitcluster
// CHECK: .reqnctapercluster 4
// CHECK: barrier.cluster
// CHECK: griddepcontrol.wait
// CHECK-COUNT-3: ld.global.v4
// CHECK: st.shared::cluster
// CHECK: barrier.cluster
// CHECK-NOT: ld.global.v4
// CHECK-LABEL: .entry add_rms_norm_many(
// CHECK-COUNT-6: ld.global.v4
// CHECK: bar.sync
// CHECK-NOT: ld.global.v4
// CHECK: ret;
exec.kernel @add_rms_norm(%x: tensor<?x7168xbf16>, %residual: tensor<?x7168xbf16>, %w: tensor<7168xbf16>)
    -> (tensor<?x7168xbf16>, tensor<?x7168xbf16>) {
  %0 = epi.add %residual, %x : tensor<?x7168xbf16>
  %1 = epi.rms_norm %0, %w {eps = 1.0e-6 : f64} : tensor<?x7168xbf16>, tensor<7168xbf16>
  exec.yield %0, %1 : tensor<?x7168xbf16>, tensor<?x7168xbf16>
}
