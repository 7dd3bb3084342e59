// RUN: epigraph-opt %s --exec-deduplicate-kernels --split-input-file | FileCheck %s
// RUN: epigraph-opt %s --exec-deduplicate-kernels --split-input-file --remarks-filter='.*' 2>&1 | FileCheck %s --check-prefix=COUNT

// The first stays, whatever the others are called and wherever they come from; all launches are of it.

// CHECK-LABEL: module @equal
// CHECK:       exec.kernel @silu_0
// CHECK-NOT:   exec.kernel
// CHECK:       func.func @main
// CHECK-COUNT-3: exec.launch @silu_0(
// CHECK:       func.func @mtp
// CHECK:         exec.launch @silu_0(
// COUNT:       kernels=1, merged=2, redirected=3
module @equal {
  exec.kernel @silu_0(%x: tensor<?x8xbf16>) -> tensor<?x8xbf16> {
    %0 = epi.silu %x : tensor<?x8xbf16> loc("model.layers.0")
    exec.yield %0 : tensor<?x8xbf16>
  }
  exec.kernel @silu_1(%y: tensor<?x8xbf16>) -> tensor<?x8xbf16> {
    %s = epi.silu %y : tensor<?x8xbf16> loc("model.layers.1")
    exec.yield %s : tensor<?x8xbf16>
  }
  exec.kernel @activation(%x: tensor<?x8xbf16>) -> tensor<?x8xbf16> {
    %0 = epi.silu %x : tensor<?x8xbf16>
    exec.yield %0 : tensor<?x8xbf16>
  }
  func.func @main(%x: tensor<?x8xbf16>) -> tensor<?x8xbf16> {
    %0 = exec.launch @silu_0(%x) : (tensor<?x8xbf16>) -> tensor<?x8xbf16>
    %1 = exec.launch @silu_1(%0) : (tensor<?x8xbf16>) -> tensor<?x8xbf16>
    %2 = exec.launch @activation(%1) : (tensor<?x8xbf16>) -> tensor<?x8xbf16>
    return %2 : tensor<?x8xbf16>
  }
  func.func @mtp(%x: tensor<?x8xbf16>) -> tensor<?x8xbf16> {
    %0 = exec.launch @silu_1(%x) : (tensor<?x8xbf16>) -> tensor<?x8xbf16>
    return %0 : tensor<?x8xbf16>
  }
}

// -----

// Kept: kernels that differ in an attribute, a type, the operands of an operation, what they yield, an operation,
// or an attribute of their own.

// CHECK-LABEL: module @different
// CHECK-COUNT-8: exec.kernel
// COUNT:       kernels=8, merged=0, redirected=0
module @different {
  exec.kernel @norm_0(%x: tensor<?x8xf32>, %w: tensor<8xf32>) -> tensor<?x8xf32> {
    %0 = epi.rms_norm %x, %w {eps = 0.5 : f64} : tensor<?x8xf32>, tensor<8xf32>
    exec.yield %0 : tensor<?x8xf32>
  }
  exec.kernel @norm_1(%x: tensor<?x8xf32>, %w: tensor<8xf32>) -> tensor<?x8xf32> {
    %0 = epi.rms_norm %x, %w {eps = 0.25 : f64} : tensor<?x8xf32>, tensor<8xf32>
    exec.yield %0 : tensor<?x8xf32>
  }
  exec.kernel @norm_2(%x: tensor<?x4xf32>, %w: tensor<4xf32>) -> tensor<?x4xf32> {
    %0 = epi.rms_norm %x, %w {eps = 0.5 : f64} : tensor<?x4xf32>, tensor<4xf32>
    exec.yield %0 : tensor<?x4xf32>
  }
  exec.kernel @add_0(%x: tensor<?x8xf32>, %y: tensor<?x8xf32>) -> tensor<?x8xf32> {
    %0 = epi.add %x, %y : tensor<?x8xf32>
    exec.yield %0 : tensor<?x8xf32>
  }
  exec.kernel @add_1(%x: tensor<?x8xf32>, %y: tensor<?x8xf32>) -> tensor<?x8xf32> {
    %0 = epi.add %x, %x : tensor<?x8xf32>
    exec.yield %0 : tensor<?x8xf32>
  }
  exec.kernel @add_2(%x: tensor<?x8xf32>, %y: tensor<?x8xf32>) -> tensor<?x8xf32> {
    %0 = epi.add %x, %y : tensor<?x8xf32>
    exec.yield %x : tensor<?x8xf32>
  }
  exec.kernel @mul_0(%x: tensor<?x8xf32>, %y: tensor<?x8xf32>) -> tensor<?x8xf32> {
    %0 = epi.mul %x, %y : tensor<?x8xf32>
    exec.yield %0 : tensor<?x8xf32>
  }
  exec.kernel @mul_1(%x: tensor<?x8xf32>, %y: tensor<?x8xf32>) -> tensor<?x8xf32> attributes {kept = 1 : i64} {
    %0 = epi.mul %x, %y : tensor<?x8xf32>
    exec.yield %0 : tensor<?x8xf32>
  }
  func.func @main() {
    return
  }
}
