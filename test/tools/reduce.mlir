// The interesting thing is the norm; everything that it does not need goes.
// RUN: chmod +x %S/Inputs/has-norm.sh
// RUN: epigraph-reduce %s --reduction-tree='traversal-mode=0 test=%S/Inputs/has-norm.sh' -o %t
// RUN: FileCheck %s < %t
// RUN: not %S/Inputs/has-norm.sh %t

// CHECK-NOT: func.func @other
// CHECK-LABEL: func.func @norm
// CHECK-NOT: epi.silu
// CHECK: epi.rms_norm

func.func @other(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %y = epi.silu %x : tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
func.func @norm(%x: tensor<?x8xf32>, %w: tensor<8xf32>) -> tensor<?x8xf32> {
  %a = epi.silu %x : tensor<?x8xf32>
  %b = epi.add %x, %a : tensor<?x8xf32>
  %y = epi.rms_norm %x, %w {eps = 1.0e-06 : f64} : tensor<?x8xf32>, tensor<8xf32>
  return %y : tensor<?x8xf32>
}
