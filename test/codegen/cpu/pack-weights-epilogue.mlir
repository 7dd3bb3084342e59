// RUN: epigraph-opt %s --exec-outline-kernels --cpu-pack-weights | FileCheck %s

// A projection with an epilogue is one kernel, named after its group. Its weight is packed; the bias and the residual,
// which the epilogue reads, are not.

// CHECK: exec.weight @w : tensor<40x9xbf16, #exec.panel<columns = 32, depth = 2>> {
exec.weight @w : tensor<40x9xbf16> {
  %0 = epi.weight "proj.weight" : tensor<40x9xbf16>
  exec.yield %0 : tensor<40x9xbf16>
}

// CHECK: exec.weight @b : tensor<40xbf16> {
exec.weight @b : tensor<40xbf16> {
  %0 = epi.weight "proj.bias" : tensor<40xbf16>
  exec.yield %0 : tensor<40xbf16>
}

// CHECK: exec.kernel @linear_bias_residual_0(%[[X:.*]]: tensor<?x9xbf16>, %[[W:.*]]: tensor<40x9xbf16, #exec.panel<columns = 32, depth = 2>>, %[[B:.*]]: tensor<40xbf16>, %[[R:.*]]: tensor<?x40xbf16>) -> tensor<?x40xbf16> {
// CHECK-NEXT: %[[P:.*]] = epi.linear %[[X]], %[[W]]
// CHECK-NEXT: %[[S:.*]] = epi.add %[[P]], %[[B]]
// CHECK-NEXT: %[[Y:.*]] = epi.add %[[S]], %[[R]]
// CHECK-NEXT: exec.yield %[[Y]]

// CHECK-LABEL: func.func @main
// CHECK-DAG:     %[[LW:.*]] = exec.load_weight @w : tensor<40x9xbf16, #exec.panel<columns = 32, depth = 2>>
// CHECK-DAG:     %[[LB:.*]] = exec.load_weight @b : tensor<40xbf16>
// CHECK:         exec.launch @linear_bias_residual_0(%{{.*}}, %[[LW]], %[[LB]], %{{.*}})
func.func @main(%x: tensor<?x9xbf16>, %r: tensor<?x40xbf16>) -> tensor<?x40xbf16> {
  %w = exec.load_weight @w : tensor<40x9xbf16>
  %b = exec.load_weight @b : tensor<40xbf16>
  %y = epi.fused "linear_bias_residual"(%x, %w, %b, %r)
      : (tensor<?x9xbf16>, tensor<40x9xbf16>, tensor<40xbf16>, tensor<?x40xbf16>) -> tensor<?x40xbf16> {
  ^bb0(%0: tensor<?x9xbf16>, %1: tensor<40x9xbf16>, %2: tensor<40xbf16>, %3: tensor<?x40xbf16>):
    %4 = epi.linear %0, %1 : (tensor<?x9xbf16>, tensor<40x9xbf16>) -> tensor<?x40xbf16>
    %5 = epi.add %4, %2 : tensor<?x40xbf16>, tensor<40xbf16>
    %6 = epi.add %5, %3 : tensor<?x40xbf16>
    epi.yield %6 : tensor<?x40xbf16>
  }
  return %y : tensor<?x40xbf16>
}
