// What a phase refuses reaches the user with the place in the model, and the exit code says whose turn it is.
// RUN: not epigraph-compile %model --ep 5 --stop-after partition 2>&1 | FileCheck %s
// CHECK: epigraph compile: error: [E0302] partition: model.layers.1.mlp: {{.*}}32 experts{{.*}}5

// RUN: not epigraph-compile %model --max-context 5000 --stop-after import 2>&1 | FileCheck %s --check-prefix=CONTEXT
// CONTEXT: error: [E0109] --max-context is 5000, but the model was made for 4096 positions; give at most that

// RUN: not epigraph-compile %model --stop-after pack 2>&1 | FileCheck %s --check-prefix=OUTPUT
// OUTPUT: -o NAME.epi

// RUN: not epigraph-compile %model --stop-after dinner 2>&1 | FileCheck %s --check-prefix=PHASE
// PHASE: 'dinner' is not one of import, canonicalize, fuse, quantize, sparsify, partition, schedule, plan-memory, codegen, pack

// With the IR on standard output, the report goes where it cannot mix with it.
// RUN: epigraph-compile %model --stop-after fuse --report 2>&1 >/dev/null | FileCheck %s --check-prefix=REPORT
// REPORT: model {{ *}}DeepseekV3ForCausalLM
// REPORT: epi-fuse-projections {{ *}}groups={{[1-9][0-9]*}} projections={{[1-9][0-9]*}}
