// REQUIRES: ptxas
// RUN: not epigraph-compile-kernels %s -o %t 2>&1 | FileCheck %s

// CHECK: cannot give each head of 'epi.rms_norm' to neighbouring lanes of one warp
exec.kernel @heads(%x: tensor<?x2x512xbf16>, %w: tensor<512xbf16>) -> tensor<?x2x512xbf16> {
  %y = epi.rms_norm %x, %w {eps = 1.0e-6 : f64} : tensor<?x2x512xbf16>, tensor<512xbf16>
  exec.yield %y : tensor<?x2x512xbf16>
}
