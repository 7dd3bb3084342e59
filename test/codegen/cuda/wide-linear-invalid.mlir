// REQUIRES: ptxas
// RUN: split-file %s %t
// RUN: not epigraph-compile-kernels %t/wide.mlir -o %t/out 2>&1 | FileCheck %s
// RUN: not epigraph-compile-kernels %t/narrow-slabs.mlir -o %t/out 2>&1 | FileCheck %s

// CHECK: cannot be computed in the form that its attributes ask for

//--- wide.mlir
exec.kernel @tile(%x: tensor<?x1024xbf16>, %w: tensor<2048x1024xbf16>) -> tensor<?x2048xbf16>
    attributes {wide_tile = array<i64: 0, 128, 512, 1, 1, 1, 0>} {
  %y = epi.linear %x, %w : (tensor<?x1024xbf16>, tensor<2048x1024xbf16>) -> tensor<?x2048xbf16>
  exec.yield %y : tensor<?x2048xbf16>
}

// Results would pass through shared memory in rows of 32 columns, which are too short to be swizzled.
//--- narrow-slabs.mlir
exec.kernel @tile(%x: tensor<?x1024xbf16>, %w: tensor<2048x1024xbf16>) -> tensor<?x2048xbf16>
    attributes {wide_tile = array<i64: 0, 128, 224, 1, 1, 1, 0>} {
  %y = epi.linear %x, %w : (tensor<?x1024xbf16>, tensor<2048x1024xbf16>) -> tensor<?x2048xbf16>
  exec.yield %y : tensor<?x2048xbf16>
}
