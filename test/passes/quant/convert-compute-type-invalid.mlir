// RUN: epigraph-opt %s --epi-convert-compute-type=type=float32 --verify-diagnostics

// expected-error @+1 {{is scheduled already: convert the compute type before weights are hoisted}}
exec.weight @w : tensor<8xbf16> {
  %0 = epi.weight "w" : tensor<8xbf16>
  exec.yield %0 : tensor<8xbf16>
}
