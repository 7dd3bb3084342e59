// A load that nothing uses goes, equal loads are one; launches stay, since what they do is not their results alone.
// RUN: epigraph-opt %s --canonicalize --cse | FileCheck %s

exec.weight @w : tensor<8xf32> {
  %0 = epi.weight "w" : tensor<8xf32>
  exec.yield %0 : tensor<8xf32>
}
exec.kernel @rms_norm_0(%x: tensor<?x8xf32>, %w: tensor<8xf32>) -> tensor<?x8xf32> {
  %0 = epi.rms_norm %x, %w {eps = 0.5 : f64} : tensor<?x8xf32>, tensor<8xf32>
  exec.yield %0 : tensor<?x8xf32>
}

// CHECK-LABEL: func.func @main
// CHECK-NEXT:    %[[W:.*]] = exec.load_weight @w
// CHECK-NEXT:    exec.launch @rms_norm_0(%{{.*}}, %[[W]])
// CHECK-NEXT:    exec.launch @rms_norm_0(%{{.*}}, %[[W]])
// CHECK-NEXT:    return
func.func @main(%x: tensor<?x8xf32>) {
  %a = exec.load_weight @w : tensor<8xf32>
  %b = exec.load_weight @w : tensor<8xf32>
  %y = exec.launch @rms_norm_0(%x, %a) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %z = exec.launch @rms_norm_0(%x, %b) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  return
}

// CHECK-LABEL: func.func @unused
// CHECK-NEXT:    return
func.func @unused() {
  %a = exec.load_weight @w : tensor<8xf32>
  return
}
