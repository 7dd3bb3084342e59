// What a failing pass leaves, and how it is replayed.
// RUN: rm -rf %t && mkdir -p %t && cd %t

// A pass that fails with a diagnostic.
// RUN: not epigraph-compile %model --stop-after fuse --load-pass-plugin=%test_passes --insert-pass=test-fail@canonicalize 2> %t/fail
// RUN: FileCheck %s --check-prefix=FAIL < %t/fail
// FAIL: epigraph compile: error: [E0405] canonicalize: model.layers.0{{.*}}: 'epi.rms_norm' op is not to the taste of this pass
// FAIL: to replay the failing pass: epigraph-opt --load-pass-plugin={{.*}}TestPasses.so --run-reproducer epigraph-reproducer-test-fail.mlir
// The file holds the IR before that pass, and that pass alone.
// RUN: FileCheck %s --check-prefix=FILE < epigraph-reproducer-test-fail.mlir
// FILE: epi.model = #epi.model
// FILE: mlir_reproducer
// FILE-NEXT: pipeline: "builtin.module(test-fail)"
// RUN: sed -n 's/^to replay the failing pass: //p' %t/fail > %t/replay.sh
// RUN: not sh %t/replay.sh 2>&1 | FileCheck %s --check-prefix=REPLAY
// REPLAY: 'epi.rms_norm' op is not to the taste of this pass

// One that crashes.
// RUN: not epigraph-compile %model --stop-after fuse --load-pass-plugin=%test_passes --insert-pass=test-crash@fuse --reproducer %t/mine.mlir 2> %t/crash
// RUN: FileCheck %s --check-prefix=CRASH < %t/crash
// CRASH: error: [E0405] fuse: the pass test-crash crashed
// CRASH: --run-reproducer {{.*}}/mine.mlir
// RUN: grep 'builtin.module(test-crash)' %t/mine.mlir
// RUN: not grep test.touched %t/mine.mlir

// One that leaves invalid IR; its reproducer lies with the dumps.
// RUN: not epigraph-compile %model --stop-after fuse --load-pass-plugin=%test_passes --insert-pass=test-break@import --dump-phases %t/dumps 2>&1 \
// RUN:   | FileCheck %s --check-prefix=BREAK
// BREAK: error: [E0405] import: {{.*}}'epi.weight_stack' op
// RUN: ls %t/dumps/epigraph-reproducer-test-break.mlir

// A refusal is no failure of a pass, and leaves nothing, unless it is asked for.
// RUN: mkdir %t/clean && cd %t/clean && not epigraph-compile %model --ep 5 --stop-after partition && cd %t && rmdir %t/clean
// RUN: not epigraph-compile %model --ep 5 --stop-after partition --reproducer %t/refused.mlir 2>&1 | FileCheck %s --check-prefix=REFUSED
// REFUSED: [E0302]
// REFUSED: to replay the failing pass: epigraph-opt --run-reproducer
// RUN: not epigraph-opt --run-reproducer %t/refused.mlir 2>&1 | FileCheck %s --check-prefix=AGAIN
// AGAIN: 32 experts, which 5 ranks cannot share equally
