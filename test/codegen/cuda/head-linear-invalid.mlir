// RUN: not epigraph-compile-kernels %s -o %t 2>&1 | FileCheck %s

// CHECK: CUDA kernel @shared can quantize only what it makes of a projection's result, in blocks of 1x128 that are of one head
exec.kernel @shared(%x: tensor<?x4x512xbf16>, %w: tensor<4x64x512xbf16>) -> (tensor<?x256xf8E4M3FN>, tensor<?x2xf32>) {
  %y = epi.head_linear %x, %w : (tensor<?x4x512xbf16>, tensor<4x64x512xbf16>) -> tensor<?x4x64xbf16>
  %flat = epi.reshape %y : tensor<?x4x64xbf16> to tensor<?x256xbf16>
  %q, %s = epi.quantize %flat {block = array<i64: 1, 128>} : tensor<?x256xbf16> -> tensor<?x256xf8E4M3FN>, tensor<?x2xf32>
  exec.yield %q, %s : tensor<?x256xf8E4M3FN>, tensor<?x2xf32>
}
