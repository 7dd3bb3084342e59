// What a row kernel cannot rotate: a part of a head, a head of pieces, what is not computed row by row.
// REQUIRES: ptxas
// RUN: split-file %s %t
// RUN: not epigraph-compile-kernels %t/part.mlir -o %t/out 2>&1 | FileCheck %t/part.mlir
// RUN: not epigraph-compile-kernels %t/pieces.mlir -o %t/out 2>&1 | FileCheck %t/pieces.mlir
// RUN: not epigraph-compile-kernels %t/projected.mlir -o %t/out 2>&1 | FileCheck %t/projected.mlir

//--- part.mlir
// CHECK: error: CUDA kernel @part cannot rotate its heads among other operations: each must lie together in its inputs, be rotated as a whole and have a multiple of 16 elements; outline the rotation as a kernel of its own
exec.kernel @part(%x: tensor<?x2x64xbf16>, %table: tensor<64x32xf32>, %step: !epi.step) -> tensor<?x2x64xbf16> {
  %0 = epi.silu %x : tensor<?x2x64xbf16>
  %1 = epi.rope %0, %table, %step : tensor<?x2x64xbf16>, tensor<64x32xf32>
  exec.yield %1 : tensor<?x2x64xbf16>
}

//--- pieces.mlir
// CHECK: error: CUDA kernel @pieces cannot rotate its heads
exec.kernel @pieces(%x: tensor<?x2x16xbf16>, %y: tensor<?x2x16xbf16>, %table: tensor<64x32xf32>, %step: !epi.step) -> tensor<?x2x32xbf16> {
  %0 = epi.concat %x, %y dim 2 : tensor<?x2x16xbf16>, tensor<?x2x16xbf16> to tensor<?x2x32xbf16>
  %1 = epi.rope %0, %table, %step : tensor<?x2x32xbf16>, tensor<64x32xf32>
  exec.yield %1 : tensor<?x2x32xbf16>
}

//--- projected.mlir
// CHECK: error: exec.kernel @projected holds 'epi.rope' beside 'epi.linear'
exec.kernel @projected(%x: tensor<?x32xbf16>, %w: tensor<32x32xbf16>, %table: tensor<64x32xf32>, %step: !epi.step) -> tensor<?x32xbf16> {
  %0 = epi.linear %x, %w : (tensor<?x32xbf16>, tensor<32x32xbf16>) -> tensor<?x32xbf16>
  %1 = epi.rope %0, %table, %step : tensor<?x32xbf16>, tensor<64x32xf32>
  exec.yield %1 : tensor<?x32xbf16>
}
