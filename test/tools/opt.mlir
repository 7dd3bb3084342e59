// What epigraph-opt takes beside the flags of single passes.

// Passes and named phases, with options, as one text.
// RUN: epigraph-opt %s --pass-pipeline='builtin.module(epigraph-fuse,epi-fuse-swiglu,epigraph-partition{ranks=2})' \
// RUN:   | FileCheck %s --check-prefix=PIPELINE
// PIPELINE: ep.mesh @world {{.*}}expert = 2
// PIPELINE: epi.fused "swiglu

// Level 0 leaves operations apart.
// RUN: epigraph-opt %s --epigraph-fuse=fusion-level=0 | FileCheck %s --check-prefix=LEVEL0
// LEVEL0-NOT: epi.fused

// RUN: epigraph-opt %s --epi-fuse-swiglu --mlir-timing -o /dev/null 2>&1 | FileCheck %s --check-prefix=TIMING
// TIMING: Execution time report
// TIMING: FuseSwigluPass

// Statistics are remarks.
// RUN: epigraph-opt %s --epi-fuse-swiglu --remarks-filter='.*' -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK
// REMARK: epi-fuse-swiglu{{.*}}groups=1

// RUN: epigraph-opt %s --epi-fuse-swiglu --mlir-print-ir-after=epi-fuse-swiglu -o /dev/null 2>&1 \
// RUN:   | FileCheck %s --check-prefix=PRINT
// PRINT: IR Dump After FuseSwigluPass
// PRINT: epi.fused "swiglu"

// RUN: not epigraph-opt %s --pass-pipeline='builtin.module(epi-fuse-dinner)' 2>&1 | FileCheck %s --check-prefix=UNKNOWN
// UNKNOWN: 'epi-fuse-dinner' does not refer to a registered pass or pass pipeline

// Passes of a plugin know the operations of the program that loads them.
// RUN: not epigraph-opt %s --load-pass-plugin=%test_passes --test-fail 2>&1 | FileCheck %s --check-prefix=PLUGIN
// PLUGIN: 'epi.rms_norm' op is not to the taste of this pass
// RUN: epigraph-opt --load-pass-plugin=%test_passes --help | FileCheck %s --check-prefix=HELP
// HELP: --test-crash

func.func @block(%x: tensor<?x8xf32>, %y: tensor<?x8xf32>, %g: tensor<?x8xf32>, %w: tensor<8xf32>)
    -> (tensor<?x8xf32>, tensor<?x8xf32>) {
  %gate = epi.silu %g : tensor<?x8xf32>
  %up = epi.mul %gate, %y : tensor<?x8xf32>
  %sum = epi.add %x, %up : tensor<?x8xf32>
  %norm = epi.rms_norm %sum, %w {eps = 1.0e-06 : f64} : tensor<?x8xf32>, tensor<8xf32>
  return %sum, %norm : tensor<?x8xf32>, tensor<?x8xf32>
}
