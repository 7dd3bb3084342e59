// REQUIRES: ptxas
// RUN: split-file %s %t
// RUN: not epigraph-compile-kernels %t/norm.mlir -o %t/out 2>&1 | FileCheck %s --check-prefix=NORM
// RUN: not epigraph-compile-kernels %t/block.mlir -o %t/out 2>&1 | FileCheck %s --check-prefix=BLOCK
// RUN: not epigraph-compile-kernels %t/computed.mlir -o %t/out 2>&1 | FileCheck %s --check-prefix=COMPUTED
// RUN: not epigraph-compile-kernels %t/other.mlir -o %t/out 2>&1 | FileCheck %s --check-prefix=OTHER

//--- norm.mlir
// NORM: orders rows by expert and can quantize them, but holds 'epi.silu' beside that; outline it as a kernel of its own
exec.kernel @silu(%x: tensor<?x64xbf16>, %ids: tensor<?x2xi32>) -> (tensor<?x64xbf16>, tensor<?x2xi32>, tensor<4xi32>) {
  %rows, %slots, %counts = epi.permute %x, %ids : tensor<?x64xbf16>, tensor<?x2xi32> -> tensor<?x64xbf16>, tensor<?x2xi32>, tensor<4xi32>
  %y = epi.silu %rows : tensor<?x64xbf16>
  exec.yield %y, %slots, %counts : tensor<?x64xbf16>, tensor<?x2xi32>, tensor<4xi32>
}

//--- block.mlir
// BLOCK: cannot give each block of 'epi.quantize' to neighbouring lanes of one warp
exec.kernel @block(%x: tensor<?x1024xbf16>, %ids: tensor<?x2xi32>) -> (tensor<?x1024xf8E4M3FN>, tensor<?x2xf32>, tensor<?x2xi32>, tensor<4xi32>) {
  %rows, %slots, %counts = epi.permute %x, %ids : tensor<?x1024xbf16>, tensor<?x2xi32> -> tensor<?x1024xbf16>, tensor<?x2xi32>, tensor<4xi32>
  %q, %s = epi.quantize %rows {block = array<i64: 1, 512>} : tensor<?x1024xbf16> -> tensor<?x1024xf8E4M3FN>, tensor<?x2xf32>
  exec.yield %q, %s, %slots, %counts : tensor<?x1024xf8E4M3FN>, tensor<?x2xf32>, tensor<?x2xi32>, tensor<4xi32>
}

//--- computed.mlir
// COMPUTED: cannot read 'rows' in place
exec.kernel @computed(%x: tensor<?x64xbf16>, %slots: tensor<?x2xi32>, %w: tensor<?x2xf32>) -> tensor<?x64xbf16> {
  %rows = epi.silu %x : tensor<?x64xbf16>
  %y = epi.unpermute %rows, %slots, %w : tensor<?x64xbf16>, tensor<?x2xi32>, tensor<?x2xf32> -> tensor<?x64xbf16>
  exec.yield %y : tensor<?x64xbf16>
}

//--- other.mlir
// OTHER: holds 'epi.permute' beside 'epi.route', but a device kernel is made around one operation
exec.kernel @other(%l: tensor<?x4xf32>, %x: tensor<?x64xbf16>, %ids: tensor<?x2xi32>)
    -> (tensor<?x2xi32>, tensor<?x2xf32>, tensor<?x64xbf16>, tensor<?x2xi32>, tensor<4xi32>) {
  %chosen, %w = epi.route %l {score = #epi.score<softmax>, top_k = 2 : i64, groups = 1 : i64, top_groups = 1 : i64,
                  group_score = #epi.group_score<max>, scale = 1.0 : f64} : tensor<?x4xf32> -> tensor<?x2xi32>, tensor<?x2xf32>
  %rows, %slots, %counts = epi.permute %x, %ids : tensor<?x64xbf16>, tensor<?x2xi32> -> tensor<?x64xbf16>, tensor<?x2xi32>, tensor<4xi32>
  exec.yield %chosen, %w, %rows, %slots, %counts : tensor<?x2xi32>, tensor<?x2xf32>, tensor<?x64xbf16>, tensor<?x2xi32>, tensor<4xi32>
}
