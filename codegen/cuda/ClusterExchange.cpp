#include "codegen/cuda/ClusterExchange.h"

#include "codegen/cuda/Hopper.h"

using namespace mlir;

namespace epigraph::cuda {

void openExchange(Val barrier, Val bytes) {
  Emitter &e = barrier.owner();
  Val isFirst = e.threadId() == 0;
  e.ifThen(isFirst, [&] {
    initBarrier(barrier, 1);
    fenceBarrierInit(e);
  });
  clusterMeet(e);
  e.ifThen(isFirst, [&] { expectBytes(barrier, bytes); }); // Some may have come already.
}

void leaveWith(Val rank, ArrayRef<Val> values, Val target, Val barrier) {
  Emitter &e = target.owner();
  Vals operands{e.sharedAddress(target), e.sharedAddress(barrier), rank};
  std::string names, constraints = "r,r,r,";
  for (Val value : values) {
    names += (names.empty() ? "$" : ", $") + std::to_string(operands.size());
    constraints += "f,";
    operands.push_back(value);
  }
  const std::string vector = values.size() == 1 ? "" : ".v" + std::to_string(values.size());
  e.ptx({},
        "{ .reg .b32 place, counter; mapa.shared::cluster.u32 place, $0, $2; "
        "mapa.shared::cluster.u32 counter, $1, $2; "
        "st.async.weak.shared::cluster.mbarrier::complete_tx::bytes" +
            vector + ".f32 [place], {" + names + "}, [counter]; }",
        constraints + "~{memory}", operands);
}

void awaitExchange(Val barrier) { wait(barrier, barrier.owner().i32(0)); }

} // namespace epigraph::cuda
