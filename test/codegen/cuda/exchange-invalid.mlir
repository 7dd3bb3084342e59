// RUN: not epigraph-compile-kernels %s -o %t 2>&1 | FileCheck %s

ep.mesh @world {expert = 16 : i64, attention = #ep.attention<data>}

// CHECK: device kernels exchange rows among up to 8 ranks with up to 65535 experts in all, but got 16 ranks and 32 experts
exec.kernel @send(%x: tensor<?x64xbf16>, %ids: tensor<?x4xi32>, %w: tensor<?x4xf32>) {
  ep.dispatch_send %x, %ids, %w on @world {placement = #ep.placement<experts = 32, ranks = 16>, capacity = 64 : i64}
      : tensor<?x64xbf16>, tensor<?x4xi32>, tensor<?x4xf32>
  exec.yield
}
