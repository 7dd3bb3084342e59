// A compilation that starts from an earlier one's IR ends where that one did, names of layers included.
// RUN: epigraph-compile %model --ep 2 --dump-phases %t.phases --stop-after plan-memory -o %t.whole
// RUN: epigraph-compile %model --ep 2 --start-from %t.phases/00-import.mlir --start-phase canonicalize --stop-after plan-memory -o %t.1
// RUN: diff %t.whole %t.1
// RUN: epigraph-compile %model --ep 2 --start-from %t.phases/02-fuse.mlir --start-phase quantize --stop-after plan-memory -o %t.2
// RUN: diff %t.whole %t.2
// RUN: epigraph-compile %model --ep 2 --start-from %t.phases/05-partition.mlir --start-phase schedule --stop-after plan-memory -o %t.3
// RUN: diff %t.whole %t.3
// RUN: FileCheck %s < %t.3
// CHECK: exec.launch {{.*}} loc("model.layers.1.

// What does not fit is refused, with what would.
// RUN: not epigraph-compile %model --start-from %t.phases/05-partition.mlir --start-phase schedule --stop-after schedule 2>&1 \
// RUN:   | FileCheck %s --check-prefix=RANKS
// RANKS: [E0404] {{.*}}05-partition.mlir: the IR is for 2 ranks; give --ep 2
// RUN: not epigraph-compile %model --ep 2 --attention data --start-from %t.phases/05-partition.mlir --start-phase schedule --stop-after schedule 2>&1 \
// RUN:   | FileCheck %s --check-prefix=ATTENTION
// ATTENTION: [E0404] {{.*}}the IR is for replicated attention; give --attention replicated
// RUN: not epigraph-compile %model --ep 2 --compute float32 --start-from %t.phases/05-partition.mlir --start-phase schedule --stop-after schedule 2>&1 \
// RUN:   | FileCheck %s --check-prefix=COMPUTE
// COMPUTE: [E0404] {{.*}}the IR is for bf16; give --compute bf16
// RUN: not epigraph-compile %model --ep 2 --start-from %t.phases/05-partition.mlir --start-phase fuse --stop-after schedule 2>&1 \
// RUN:   | FileCheck %s --check-prefix=EARLY
// EARLY: [E0110] {{.*}}the IR has ep.mesh and no exec.kernel, so --start-phase must be schedule, not fuse
// RUN: not epigraph-compile %model --start-from %t.phases/02-fuse.mlir --start-phase codegen --stop-after codegen 2>&1 \
// RUN:   | FileCheck %s --check-prefix=LATE
// LATE: [E0110] {{.*}}the IR has no ep.mesh, so --start-phase must be one from canonicalize to partition, not codegen
// RUN: not epigraph-compile %model --start-from %t.phases/02-fuse.mlir --start-phase quantize --stop-after fuse 2>&1 \
// RUN:   | FileCheck %s --check-prefix=STOP
// STOP: [E0110] --stop-after fuse comes before --start-phase quantize
// RUN: not epigraph-compile %model --start-from %t.phases/02-fuse.mlir --start-phase import --stop-after fuse 2>&1 \
// RUN:   | FileCheck %s --check-prefix=IMPORT
// IMPORT: [E0110] --start-from stands in place of the phase import
// RUN: not epigraph-compile %model --start-from %t.phases/02-fuse.mlir --stop-after fuse 2>&1 | FileCheck %s --check-prefix=BOTH
// BOTH: [E0101] --start-from requires --start-phase
// RUN: not epigraph-compile %model --start-from %t.phases/02-fuse.mlir --start-phase quantize --max-seqs 2 --stop-after quantize 2>&1 \
// RUN:   | FileCheck %s --check-prefix=LIMITS
// LIMITS: [E0101] --{{.*}} excludes --

// The file is not trusted.
// RUN: not epigraph-compile %model --start-from %s --start-phase quantize --stop-after quantize 2>&1 | FileCheck %s --check-prefix=NOMODEL
// NOMODEL: [E0402] {{.*}}the module has no epi.model attribute, so it is no model
// RUN: sed 's/func.func @main/func.func @other/' %t.phases/02-fuse.mlir > %t.nomain.mlir
// RUN: not epigraph-compile %model --start-from %t.nomain.mlir --start-phase quantize --stop-after quantize 2>&1 \
// RUN:   | FileCheck %s --check-prefix=NOMAIN
// NOMAIN: [E0402] {{.*}}the module has no function @main
// RUN: sed 's/"model.norm.weight"/"model.nrom.weight"/' %t.phases/00-import.mlir > %t.renamed.mlir
// RUN: not epigraph-compile %model --start-from %t.renamed.mlir --start-phase canonicalize --stop-after fuse 2>&1 \
// RUN:   | FileCheck %s --check-prefix=WEIGHT
// WEIGHT: [E0403] {{.*}}names weights that the checkpoint does not have as they are
// WEIGHT: model.nrom.weight is missing
// RUN: sed 's/epi.fused "swiglu"/epi.fused/' %t.phases/02-fuse.mlir > %t.broken.mlir
// RUN: not epigraph-compile %model --start-from %t.broken.mlir --start-phase quantize --stop-after quantize 2>&1 \
// RUN:   | FileCheck %s --check-prefix=BROKEN
// BROKEN: [E0401] cannot read {{.*}}broken.mlir: {{.*}}broken.mlir:{{[0-9]+}}:{{[0-9]+}}:
// RUN: not epigraph-compile %model --start-from %t.absent --start-phase quantize --stop-after quantize 2>&1 | FileCheck %s --check-prefix=ABSENT
// ABSENT: absent
func.func @f() {
  return
}
