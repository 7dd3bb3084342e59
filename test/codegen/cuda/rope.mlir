// REQUIRES: ptxas
// RUN: epigraph-compile-kernels %s -o %t && FileCheck %s --input-file=%t/kernels.ptx

// A thread turns four pairs: 16 bytes of the head, and as many of cosines and of sines.
// CHECK-LABEL: .entry neighbours(
// CHECK: griddepcontrol.wait
// CHECK-COUNT-3: ld.global.v4
// CHECK: st.global.v4
// CHECK: ret;
exec.kernel @neighbours(%x: tensor<?x128x64xbf16>, %table: tensor<8192x64xf32>, %step: !epi.step) -> tensor<?x128x64xbf16> {
  %y = epi.rope %x, %table, %step {interleaved} : tensor<?x128x64xbf16>, tensor<8192x64xf32>
  exec.yield %y : tensor<?x128x64xbf16>
}
