// REQUIRES: ptxas
// RUN: epigraph-compile-kernels %s -o %t && FileCheck %s --input-file=%t/kernels.ptx

// The first projection of the groups lets the next kernel start only when it has waited for the one before, which has made the counts.
// CHECK-LABEL: .entry first_
// CHECK-NOT: griddepcontrol.launch_dependents
// CHECK-NOT: ld.relaxed
// CHECK: griddepcontrol.wait
// CHECK: griddepcontrol.launch_dependents
// CHECK: ld.relaxed.gpu
// CHECK: cp.async.bulk
exec.kernel @first(%x: tensor<?x256xbf16>, %counts: tensor<8xi32>, %w: tensor<8x512x256xbf16>) -> tensor<?x512xbf16>
    attributes {wide_tile = array<i64: 1, 16, 128, 1, 1, 1, 0>} {
  %y = epi.grouped_linear %x, %counts, %w : (tensor<?x256xbf16>, tensor<8xi32>, tensor<8x512x256xbf16>) -> tensor<?x512xbf16>
  exec.yield %y : tensor<?x512xbf16>
}

// So the second reads the counts, and fetches weights, before it waits.
// CHECK-LABEL: .entry second_
// CHECK-NOT: griddepcontrol
// CHECK: ld.relaxed.gpu
// CHECK-NOT: griddepcontrol
// CHECK: cp.async.bulk
// CHECK: griddepcontrol.wait
// CHECK: griddepcontrol.launch_dependents
exec.kernel @second(%x: tensor<?x512xbf16>, %counts: tensor<8xi32>, %w: tensor<8x256x512xbf16>) -> tensor<?x256xbf16>
    attributes {wide_tile = array<i64: 1, 16, 128, 1, 1, 1, 0>} {
  %y = epi.grouped_linear %x, %counts, %w : (tensor<?x512xbf16>, tensor<8xi32>, tensor<8x256x512xbf16>) -> tensor<?x256xbf16>
  exec.yield %y : tensor<?x256xbf16>
}

// One that also runs as the first of its groups does not.
// CHECK-LABEL: .entry either_
// CHECK-NOT: ld.relaxed
// CHECK: griddepcontrol.wait
// CHECK: ld.relaxed.gpu
exec.kernel @either(%x: tensor<?x512xbf16>, %counts: tensor<8xi32>, %w: tensor<8x256x512xbf16>) -> tensor<?x256xbf16>
    attributes {wide_tile = array<i64: 1, 16, 128, 1, 1, 1, 0>} {
  %y = epi.grouped_linear %x, %counts, %w : (tensor<?x512xbf16>, tensor<8xi32>, tensor<8x256x512xbf16>) -> tensor<?x256xbf16>
  exec.yield %y : tensor<?x256xbf16>
}

func.func @experts(%x: tensor<?x256xbf16>, %counts: tensor<8xi32>, %others: tensor<8xi32>, %w: tensor<8x512x256xbf16>, %v: tensor<8x256x512xbf16>)
    -> (tensor<?x256xbf16>, tensor<?x256xbf16>, tensor<?x256xbf16>) {
  %h = exec.launch @first(%x, %counts, %w) : (tensor<?x256xbf16>, tensor<8xi32>, tensor<8x512x256xbf16>) -> tensor<?x512xbf16>
  %y = exec.launch @second(%h, %counts, %v) : (tensor<?x512xbf16>, tensor<8xi32>, tensor<8x256x512xbf16>) -> tensor<?x256xbf16>
  %z = exec.launch @either(%h, %counts, %v) : (tensor<?x512xbf16>, tensor<8xi32>, tensor<8x256x512xbf16>) -> tensor<?x256xbf16>
  %o = exec.launch @either(%h, %others, %v) : (tensor<?x512xbf16>, tensor<8xi32>, tensor<8x256x512xbf16>) -> tensor<?x256xbf16>
  return %y, %z, %o : tensor<?x256xbf16>, tensor<?x256xbf16>, tensor<?x256xbf16>
}
