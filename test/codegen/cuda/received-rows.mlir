// Forms of experts are chosen by the rows that come when all experts are chosen evenly. Of rows that ranks send each other the
// host knows how many there may be, which is twice as many on two ranks.
// REQUIRES: ptxas
// RUN: split-file %s %t
// RUN: epigraph-compile-kernels %t/alone.mlir -o %t/out && FileCheck %t/alone.mlir --input-file=%t/out/kernels.json
// RUN: cat %t/alone.mlir %t/receive.mlir > %t/both.mlir
// RUN: epigraph-compile-kernels %t/both.mlir -o %t/out && FileCheck %t/receive.mlir --input-file=%t/out/kernels.json

//--- alone.mlir
// CHECK: "name": "experts"
// CHECK: "most_rows": 128
// CHECK: "most_rows": 256
exec.kernel @experts(%x: tensor<?x64xbf16>, %counts: tensor<16xi32>, %w: tensor<16x48x64xbf16>) -> tensor<?x48xbf16> {
  %y = epi.grouped_linear %x, %counts, %w : (tensor<?x64xbf16>, tensor<16xi32>, tensor<16x48x64xbf16>) -> tensor<?x48xbf16>
  exec.yield %y : tensor<?x48xbf16>
}

//--- receive.mlir
// CHECK: "name": "experts"
// CHECK: "most_rows": 256
// CHECK: "most_rows": 512
ep.mesh @world {expert = 2 : i64, attention = #ep.attention<data>}
exec.kernel @receive() -> (tensor<?x64xbf16>, tensor<16xi32>, tensor<1xi32>, tensor<128x4xi32>, tensor<128x4xf32>) {
  %rows, %counts, %received, %places, %w = ep.dispatch_receive on @world {placement = #ep.placement<experts = 32, ranks = 2>, capacity = 64 : i64}
      : tensor<?x64xbf16>, tensor<16xi32>, tensor<1xi32>, tensor<128x4xi32>, tensor<128x4xf32>
  exec.yield %rows, %counts, %received, %places, %w : tensor<?x64xbf16>, tensor<16xi32>, tensor<1xi32>, tensor<128x4xi32>, tensor<128x4xf32>
}
