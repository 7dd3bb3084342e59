// Which passes a compilation runs: what may be left out is, what is needed is not.

// RUN: epigraph-compile %model --stop-after fuse | FileCheck %s --check-prefix=ALL
// ALL: epi.fused "swiglu"
// RUN: epigraph-compile %model --stop-after fuse --disable-pass=epi-fuse-swiglu | FileCheck %s --check-prefix=WITHOUT
// WITHOUT-NOT: epi.fused
// RUN: epigraph-compile %model --stop-after partition --optimize=none | FileCheck %s --check-prefix=NONE
// NONE-NOT: epi.fused
// NONE: ep.dispatch
// RUN: epigraph-compile %model --stop-after fuse --fusion-level=0 | FileCheck %s --check-prefix=LEVEL0
// LEVEL0-NOT: epi.fused

// RUN: not epigraph-compile %model --stop-after fuse --disable-pass=epi-fuse-dinner 2>&1 | FileCheck %s --check-prefix=UNKNOWN
// UNKNOWN: epigraph compile: error: [E0103] --disable-pass=epi-fuse-dinner: no pass of the pipeline is called that; those that may be left out are {{.*}}epi-fuse-swiglu
// RUN: not epigraph-compile %model --stop-after fuse --disable-pass=exec-plan-memory 2>&1 | FileCheck %s --check-prefix=NEEDED
// NEEDED: [E0104] --disable-pass=exec-plan-memory: this pass cannot be left out: the runtime runs planned memory only

// A pass runs after its phase's own.
// RUN: epigraph-compile %model --stop-after canonicalize --insert-pass=epi-fuse-swiglu@canonicalize | FileCheck %s --check-prefix=INSERT
// INSERT: epi.fused "swiglu"
// RUN: epigraph-compile %model --stop-after quantize --insert-pass='epi-convert-compute-type{type=float32}@fuse' \
// RUN:   | FileCheck %s --check-prefix=OPTIONS
// OPTIONS: func.func @main({{.*}} -> (tensor<?x{{[0-9]+}}xf32>{{.*}}, tensor<?x{{[0-9]+}}xf32>
// RUN: not epigraph-compile %model --stop-after fuse --insert-pass=epi-fuse-swiglu 2>&1 | FileCheck %s --check-prefix=FORM
// FORM: [E0105] --insert-pass=epi-fuse-swiglu: expected NAME@PHASE or NAME{options}@PHASE, with one of the phases import, canonicalize,
// RUN: not epigraph-compile %model --stop-after fuse --insert-pass=epi-fuse-swiglu@dinner 2>&1 | FileCheck %s --check-prefix=PHASE
// PHASE: [E0102] --insert-pass=epi-fuse-swiglu@dinner: 'dinner' is not one of import, canonicalize,
// RUN: not epigraph-compile %model -o %t.epi --insert-pass=epi-fuse-swiglu@pack 2>&1 | FileCheck %s --check-prefix=PACK
// PACK: [E0105] --insert-pass=epi-fuse-swiglu: the phase pack writes files and runs no passes
// RUN: not epigraph-compile %model --stop-after fuse --insert-pass=my-pass@fuse 2>&1 | FileCheck %s --check-prefix=NAME
// NAME: [E0105] --insert-pass=my-pass: {{.*}}'my-pass' does not refer to a registered pass or pass pipeline{{.*}}--load-pass-plugin
// RUN: not epigraph-compile %model --stop-after fuse --load-pass-plugin=%t.absent.so 2>&1 | FileCheck %s --check-prefix=ABSENT
// ABSENT: [E0106] --load-pass-plugin={{.*}}absent.so: {{.*}}No such file{{.*}}build it against this version of Epigraph
// RUN: epigraph-compile %model --stop-after fuse >/dev/null; not epigraph-compile %model --fusion-level=7 -o x.epi 2>&1 \
// RUN:   | FileCheck %s --check-prefix=RANGE
// RANGE: [E0101] --fusion-level
