// RUN: epigraph-opt %s --epi-form-fusion-groups --split-input-file | FileCheck %s
// RUN: epigraph-opt %s --epi-form-fusion-groups --split-input-file --remarks-filter='.*' 2>&1 | FileCheck %s --check-prefix=COUNT
// RUN: epigraph-opt %s --epi-form-fusion-groups=level=1 --split-input-file | FileCheck %s --check-prefix=NONE
// RUN: epigraph-opt %s --epi-form-fusion-groups=threshold=1e9 --split-input-file | FileCheck %s --check-prefix=NONE
// RUN: epigraph-opt %s --epi-form-fusion-groups=max-operands=2 --split-input-file | FileCheck %s --check-prefix=FEW

// Producer and consumer. 32 rows (no limits are given) of 16 bytes, not written and not read: 1024 bytes at 20 GB/s,
// and one launch of 2000 ns less.

// CHECK-LABEL: func.func @chain
// CHECK-SAME:    (%[[X:.*]]: tensor<?x8xbf16>, %[[B:.*]]: tensor<8xbf16>)
// CHECK-NEXT:    %[[Y:.*]] = epi.fused "silu_add"(%[[X]], %[[B]])
// CHECK:           epi.silu
// CHECK-NEXT:      epi.add
// CHECK-NEXT:      epi.yield
// CHECK:         return %[[Y]]
// COUNT:       epi-form-fusion-groups | bytes=1024, groups=1, ns=2051, ops=2
// NONE-LABEL:  func.func @chain
// NONE-NOT:    epi.fused
// NONE:        return
// FEW-LABEL:   func.func @chain
// FEW-NOT:     epi.fused
// FEW:         return
func.func @chain(%x: tensor<?x8xbf16>, %b: tensor<8xbf16>) -> tensor<?x8xbf16> {
  %s = epi.silu %x : tensor<?x8xbf16>
  %y = epi.add %s, %b : tensor<?x8xbf16>, tensor<8xbf16>
  return %y : tensor<?x8xbf16>
}

// -----

// Two norms of the parts of one value, which the group views; the weight of the second moves up, the first use stays behind.

// CHECK-LABEL: func.func @siblings
// CHECK-SAME:    (%[[X:.*]]: tensor<?x12xbf16>, %[[P:.*]]: tensor<8x8xbf16>)
// CHECK-DAG:     %[[V:.*]] = epi.weight "v"
// CHECK-DAG:     %[[W:.*]] = epi.weight "w"
// CHECK:         %[[G:.*]]:2 = epi.fused "rms_norm_x2"(%[[X]], %[[V]], %[[W]])
// CHECK-NEXT:    ^bb0(%[[A:.*]]: tensor<?x12xbf16>
// CHECK-NEXT:      %[[S:.*]]:2 = epi.split %[[A]] dim 1
// CHECK-NEXT:      %[[M:.*]] = epi.rms_norm %[[S]]#0
// CHECK-NEXT:      %[[N:.*]] = epi.rms_norm %[[S]]#1
// CHECK-NEXT:      epi.yield %[[M]], %[[N]]
// CHECK-NEXT:    }
// CHECK-NEXT:    %[[L:.*]] = epi.linear %[[G]]#0
// CHECK-NEXT:    return %[[L]], %[[G]]#1
func.func @siblings(%x: tensor<?x12xbf16>, %p: tensor<8x8xbf16>) -> (tensor<?x8xbf16>, tensor<?x4xbf16>) {
  %a, %b = epi.split %x dim 1 : tensor<?x12xbf16> to tensor<?x8xbf16>, tensor<?x4xbf16>
  %v = epi.weight "v" : tensor<8xbf16>
  %m = epi.rms_norm %a, %v {eps = 0.5 : f64} : tensor<?x8xbf16>, tensor<8xbf16>
  %l = epi.linear %m, %p : (tensor<?x8xbf16>, tensor<8x8xbf16>) -> tensor<?x8xbf16>
  %w = epi.weight "w" : tensor<4xbf16>
  %n = epi.rms_norm %b, %w {eps = 0.5 : f64} : tensor<?x4xbf16>, tensor<4xbf16>
  return %l, %n : tensor<?x8xbf16>, tensor<?x4xbf16>
}

// -----

// A group that is there grows, through a reshape, and gives what others read too.

// CHECK-LABEL: func.func @extended
// CHECK:         %[[G:.*]]:2 = epi.fused "add_rms_norm_silu"
// CHECK:           %[[S:.*]] = epi.add
// CHECK-NEXT:      %[[N:.*]] = epi.rms_norm %[[S]]
// CHECK-NEXT:      %[[R:.*]] = epi.reshape %[[N]]
// CHECK-NEXT:      %[[Y:.*]] = epi.silu %[[R]]
// CHECK-NEXT:      epi.yield %[[S]], %[[Y]]
// CHECK:         return %[[G]]#0, %[[G]]#1
func.func @extended(%x: tensor<?x8xbf16>, %y: tensor<?x8xbf16>, %w: tensor<8xbf16>) -> (tensor<?x8xbf16>, tensor<?x2x4xbf16>) {
  %s, %n = epi.fused "add_rms_norm"(%x, %y, %w) : (tensor<?x8xbf16>, tensor<?x8xbf16>, tensor<8xbf16>) -> (tensor<?x8xbf16>, tensor<?x8xbf16>) {
  ^bb0(%a: tensor<?x8xbf16>, %b: tensor<?x8xbf16>, %c: tensor<8xbf16>):
    %0 = epi.add %a, %b : tensor<?x8xbf16>
    %1 = epi.rms_norm %0, %c {eps = 0.5 : f64} : tensor<?x8xbf16>, tensor<8xbf16>
    epi.yield %0, %1 : tensor<?x8xbf16>, tensor<?x8xbf16>
  }
  %r = epi.reshape %n : tensor<?x8xbf16> to tensor<?x2x4xbf16>
  %t = epi.silu %r : tensor<?x2x4xbf16>
  return %s, %t : tensor<?x8xbf16>, tensor<?x2x4xbf16>
}

// -----

// A group with nothing beside it stays as it is; so does a group around a projection, though a sum follows it.

// CHECK-LABEL: func.func @as_they_are
// CHECK:         epi.fused "swiglu"(%{{.*}}) : (tensor<?x8xbf16>) -> tensor<?x4xbf16> {
// CHECK-NEXT:    ^bb0(%[[A:.*]]: tensor<?x8xbf16>):
// CHECK-NEXT:      %[[S:.*]]:2 = epi.split %[[A]]
// CHECK-NEXT:      %[[T:.*]] = epi.silu %[[S]]#0
// CHECK-NEXT:      %[[M:.*]] = epi.mul %[[T]], %[[S]]#1
// CHECK-NEXT:      epi.yield %[[M]]
// CHECK:         epi.fused "linear_bias"
// CHECK:         epi.linear
// CHECK:         epi.silu
// CHECK-NOT:     epi.fused
// COUNT:       groups=0
func.func @as_they_are(%x: tensor<?x8xbf16>, %w: tensor<4x4xbf16>, %b: tensor<4xbf16>) -> tensor<?x4xbf16> {
  %y = epi.fused "swiglu"(%x) : (tensor<?x8xbf16>) -> tensor<?x4xbf16> {
  ^bb0(%a: tensor<?x8xbf16>):
    %g, %u = epi.split %a dim 1 : tensor<?x8xbf16> to tensor<?x4xbf16>, tensor<?x4xbf16>
    %s = epi.silu %g : tensor<?x4xbf16>
    %m = epi.mul %s, %u : tensor<?x4xbf16>
    epi.yield %m : tensor<?x4xbf16>
  }
  %z = epi.fused "linear_bias"(%y, %w, %b) : (tensor<?x4xbf16>, tensor<4x4xbf16>, tensor<4xbf16>) -> tensor<?x4xbf16> {
  ^bb0(%a: tensor<?x4xbf16>, %v: tensor<4x4xbf16>, %c: tensor<4xbf16>):
    %l = epi.linear %a, %v : (tensor<?x4xbf16>, tensor<4x4xbf16>) -> tensor<?x4xbf16>
    %m = epi.add %l, %c : tensor<?x4xbf16>, tensor<4xbf16>
    epi.yield %m : tensor<?x4xbf16>
  }
  %l = epi.linear %z, %w : (tensor<?x4xbf16>, tensor<4x4xbf16>) -> tensor<?x4xbf16>
  %t = epi.silu %l : tensor<?x4xbf16>
  return %t : tensor<?x4xbf16>
}

// -----

// No cycles: the product needs what the projection makes of the silu. And values of the rows of two steps are nothing to each other: static
// tensors are no rows.

// CHECK-LABEL: func.func @cycle
// CHECK-NOT:     epi.fused
// COUNT:       another operation needs the one and gives what the other needs
func.func @cycle(%x: tensor<?x8xbf16>, %w: tensor<8x8xbf16>, %s: tensor<4x8xbf16>) -> (tensor<?x8xbf16>, tensor<4x8xbf16>) {
  %a = epi.silu %x : tensor<?x8xbf16>
  %l = epi.linear %a, %w : (tensor<?x8xbf16>, tensor<8x8xbf16>) -> tensor<?x8xbf16>
  %y = epi.mul %a, %l : tensor<?x8xbf16>
  %t = epi.silu %s : tensor<4x8xbf16>
  %u = epi.add %t, %s : tensor<4x8xbf16>
  return %y, %u : tensor<?x8xbf16>, tensor<4x8xbf16>
}

// -----

// Nor through memory: the sum reads what attention finds in the cache after the append, which takes the norm.

// CHECK-LABEL: func.func @through_the_cache
// CHECK:         epi.rms_norm
// CHECK:         epi.kv_append
// CHECK:         epi.attention
// CHECK-NOT:     epi.fused
func.func @through_the_cache(%q: tensor<?x1x8xbf16>, %w: tensor<8xbf16>, %step: !epi.step) -> tensor<?x1x8xbf16> {
  %n = epi.rms_norm %q, %w {eps = 0.5 : f64} : tensor<?x1x8xbf16>, tensor<8xbf16>
  %c = epi.kv_cache "layer" : !epi.kv_cache<heads = 1, key = 8, value = 8, bf16>
  %d = epi.kv_append %c, %n, %q, %step : !epi.kv_cache<heads = 1, key = 8, value = 8, bf16>, tensor<?x1x8xbf16>, tensor<?x1x8xbf16>
  %a = epi.attention %q, %d, %step {scale = 0.5 : f64} : (tensor<?x1x8xbf16>, !epi.kv_cache<heads = 1, key = 8, value = 8, bf16>) -> tensor<?x1x8xbf16>
  %s = epi.add %a, %n : tensor<?x1x8xbf16>
  return %s : tensor<?x1x8xbf16>
}

// -----

// The machine decides. Rows of 8 KiB do not stay in a cache of 16 KiB between two passes; here launches cost next to
// nothing, and computing the silus again for the norm more than the memory saves.

// CHECK-LABEL: module @small
// CHECK-NOT:     epi.fused
// COUNT:       a row would not stay in the cache between the group's passes
module @small attributes {exec.target = #exec.target<name = "small", cores = 1, vector_bits = 256, registers = 16, cache_bytes = 16384,
    memory_gbps = 10.0, gflops = 10.0, launch_ns = 2000, link_gbps = 1.0, link_latency_ns = 1>} {
  func.func @norm(%x: tensor<?x4096xbf16>, %w: tensor<4096xbf16>) -> tensor<?x4096xbf16> {
    %s = epi.silu %x : tensor<?x4096xbf16>
    %n = epi.rms_norm %s, %w {eps = 0.5 : f64} : tensor<?x4096xbf16>, tensor<4096xbf16>
    return %n : tensor<?x4096xbf16>
  }
}

// -----

// CHECK-LABEL: module @slow
// CHECK-NOT:     epi.fused
// COUNT:       merging saves too little
module @slow attributes {exec.limits = #exec.limits<batch_tokens = 64, sequences = 64, context = 64>,
    exec.target = #exec.target<name = "slow", cores = 1, vector_bits = 256, registers = 16, cache_bytes = 1048576,
    memory_gbps = 100.0, gflops = 1.0, launch_ns = 10, link_gbps = 1.0, link_latency_ns = 1>} {
  func.func @norm(%x: tensor<?x4096xbf16>, %w: tensor<4096xbf16>) -> tensor<?x4096xbf16> {
    %s = epi.silu %x : tensor<?x4096xbf16>
    %n = epi.rms_norm %s, %w {eps = 0.5 : f64} : tensor<?x4096xbf16>, tensor<4096xbf16>
    return %n : tensor<?x4096xbf16>
  }
}
