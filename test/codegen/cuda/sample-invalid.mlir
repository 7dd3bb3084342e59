// RUN: not epigraph-compile-kernels %s -o %t 2>&1 | FileCheck %s

// Every other element of a row: no load of several neighbours finds them.
// CHECK: sample-invalid.mlir:[[@LINE+4]]:8: error: CUDA kernel @apart needs an x whose rows are contiguous
exec.kernel @apart(%x: tensor<?x64x2xf32>, %step: !epi.step) -> tensor<?xi32> {
  %0:2 = epi.split %x dim 2 : tensor<?x64x2xf32> to tensor<?x64x1xf32>, tensor<?x64x1xf32>
  %1 = epi.reshape %0#1 : tensor<?x64x1xf32> to tensor<?x64xf32>
  %2 = epi.sample %1, %step : tensor<?x64xf32> -> tensor<?xi32>
  exec.yield %2 : tensor<?xi32>
}
