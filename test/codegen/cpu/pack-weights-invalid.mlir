// RUN: epigraph-opt %s --cpu-pack-weights --split-input-file --verify-diagnostics

exec.kernel @linear_0(%x: tensor<?x8xf32>, %w: tensor<4x8xf32>) -> tensor<?x4xf32> {
  %y = epi.linear %x, %w : (tensor<?x8xf32>, tensor<4x8xf32>) -> tensor<?x4xf32>
  exec.yield %y : tensor<?x4xf32>
}
func.func @main(%x: tensor<?x8xf32>, %w: tensor<4x8xf32>) -> tensor<?x4xf32> {
  // expected-error @+1 {{cannot read operand 1 packed: it is the weight of a projection, but not loaded from the weight program; run --exec-hoist-weights}}
  %y = exec.launch @linear_0(%x, %w) : (tensor<?x8xf32>, tensor<4x8xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

exec.kernel @linear_0(%x: tensor<?x8xf32>, %w: tensor<4x8xbf16>) -> tensor<?x4xf32> {
  %0 = epi.cast %w : tensor<4x8xbf16> to tensor<4x8xf32>
  // expected-error @+1 {{cannot read its weight packed: it is computed inside the kernel @linear_0; run --exec-hoist-weights before --exec-outline-kernels}}
  %y = epi.linear %x, %0 : (tensor<?x8xf32>, tensor<4x8xf32>) -> tensor<?x4xf32>
  exec.yield %y : tensor<?x4xf32>
}
