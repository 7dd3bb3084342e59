// Each phase keeps its promises, and says nothing else; an unknown phase is refused with those there are.
// RUN: epigraph-compile %model --ep 2 --stop-after canonicalize | epigraph-opt --epigraph-verify-phase='phase=canonicalize passes=epi-elide-dead-weights,epi-eliminate-common' -o /dev/null
// RUN: epigraph-compile %model --ep 2 --stop-after partition | epigraph-opt --epigraph-verify-phase='phase=partition passes=epi-eliminate-common' -o /dev/null
// RUN: epigraph-compile %model --ep 2 --compute float32 --stop-after codegen | epigraph-opt --epigraph-verify-phase='phase=codegen compute=float32' -o /dev/null
// RUN: not epigraph-opt %s --epigraph-verify-phase=phase=dinner 2>&1 | FileCheck %s --check-prefix=PHASE
// PHASE: --epigraph-verify-phase: phase 'dinner' is not one of import, canonicalize, fuse, quantize, sparsify, partition, schedule, plan-memory, codegen

// What optimisations promise is only asked for where they ran: here is a weight that nothing uses, and two equal sums; and a
// group around one projection is as good as one of rows.
// RUN: epigraph-opt %s --epigraph-verify-phase=phase=fuse | FileCheck %s
// RUN: epigraph-opt %s --epigraph-verify-phase='phase=fuse passes=epi-eliminate-common,epi-fuse-swiglu' | FileCheck %s
// RUN: not epigraph-opt %s --epigraph-verify-phase='phase=fuse passes=epi-fuse-swiglu,epi-eliminate-common' 2>&1 | FileCheck %s --check-prefix=TWICE
// TWICE: 'epi.add' op is computed twice

// The pipeline runs it at the end of each phase, and again after inserted passes, unless it is left out.
// RUN: epigraph-compile %model --ep 2 --stop-after fuse --report 2>&1 >/dev/null | FileCheck %s --check-prefix=REPORT
// RUN: epigraph-compile %model --ep 2 --stop-after fuse --disable-pass epigraph-verify-phase --report 2>&1 >/dev/null | FileCheck %s --check-prefix=OFF
// RUN: epigraph-compile %model --ep 2 --stop-after fuse --optimize=none --report 2>&1 >/dev/null | FileCheck %s --check-prefix=REPORT
// REPORT: epigraph-verify-phase {{ *}}ops=
// OFF-NOT: epigraph-verify-phase

// CHECK-LABEL: func.func @fine
// CHECK:         epi.weight
func.func @fine(%x: tensor<?x8xbf16>, %w: tensor<8x8xbf16>) -> (tensor<?x8xbf16>, tensor<?x8xbf16>) {
  %unused = epi.weight "w" : tensor<8xbf16>
  %y = epi.fused "linear_residual"(%x, %w) : (tensor<?x8xbf16>, tensor<8x8xbf16>) -> tensor<?x8xbf16> {
  ^bb0(%a: tensor<?x8xbf16>, %v: tensor<8x8xbf16>):
    %l = epi.linear %a, %v : (tensor<?x8xbf16>, tensor<8x8xbf16>) -> tensor<?x8xbf16>
    %s = epi.add %l, %a : tensor<?x8xbf16>
    epi.yield %s : tensor<?x8xbf16>
  }
  %s = epi.add %x, %y : tensor<?x8xbf16>
  %t = epi.add %x, %y : tensor<?x8xbf16>
  return %s, %t : tensor<?x8xbf16>, tensor<?x8xbf16>
}
