#include "codegen/cuda/BulkCopies.h"

namespace epigraph::cuda {

void copyBytesIn(Val target, Val source, Val bytes, Val barrier) {
  Emitter &e = target.owner();
  e.ptx({},
        "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [$0], [$1], $2, [$3];",
        "r,l,r,r,~{memory}", {e.sharedAddress(target), source, bytes, e.sharedAddress(barrier)});
}

void fenceAsyncGlobal(Emitter &e) { e.ptx({}, "fence.proxy.async.global;", "~{memory}", {}); }

} // namespace epigraph::cuda
