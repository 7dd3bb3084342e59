#include "codegen/cuda/BulkCopies.h"

namespace epigraph::cuda {

void copyBytesIn(Val target, Val source, Val bytes, Val barrier, Val policy) {
  Emitter &e = target.owner();
  Vals operands{e.sharedAddress(target), source, bytes, e.sharedAddress(barrier)};
  std::string hint, operand, constraints = "r,l,r,r";
  if (policy) {
    hint = ".L2::cache_hint", operand = ", $4", constraints += ",l";
    operands.push_back(policy);
  }
  e.ptx({},
        "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes" + hint +
            " [$0], [$1], $2, [$3]" + operand + ";",
        constraints + ",~{memory}", operands);
}

void fenceAsyncGlobal(Emitter &e) { e.ptx({}, "fence.proxy.async.global;", "~{memory}", {}); }

} // namespace epigraph::cuda
