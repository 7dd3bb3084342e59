#include "codegen/cuda/OrderedWork.h"

namespace epigraph::cuda {
namespace {

/// The next unit that nobody has taken, to the first thread.
Val takeUnit(Emitter &e, Val next) {
  return e.ifValues(
      e.threadId() == 0, [&] { return Vals{e.atomicAdd(next, e.i32(1))}; },
      [&] { return Vals{e.i32(0)}; })[0];
}

/// What the first thread has, to all.
Val share(Emitter &e, Val unit, Val slot) {
  e.ifThen(e.threadId() == 0, [&] { e.store(unit, slot); });
  e.syncThreads();
  Val shared = e.load(e.i32(), slot);
  e.syncThreads();
  return shared;
}

} // namespace

void forOrderedUnits(Emitter &e, Val units, Val next, Val slot,
                     llvm::function_ref<void(Val)> work) {
  e.whileLoop(
      {share(e, takeUnit(e, next), slot)},
      [&](llvm::ArrayRef<Val> carried) { return carried[0] < units; },
      [&](llvm::ArrayRef<Val> carried) -> Vals {
        // Taken early, so that it is there when this unit is done.
        Val following = takeUnit(e, next);
        work(carried[0]);
        e.syncThreads();
        return {share(e, following, slot)};
      });
}

Val takeTicket(Emitter &e, Val next, Val units) {
  Val ticket = e.atomicAdd(next, e.i32(1));
  // Each block gets one past the units, so this is the last of all.
  e.ifThen(ticket == units + e.blockCount() - 1, [&] { e.store(e.i32(0), next); });
  return ticket;
}

void countDone(Emitter &e, Val counter) {
  e.syncThreads();
  e.ifThen(e.threadId() == 0, [&] {
    e.threadFence();
    e.addRelease(e.i32(1), counter);
  });
}

void waitForCount(Emitter &e, Val counter, Val count) {
  e.ifThen(e.threadId() == 0, [&] { waitForCountAlone(e, counter, count); });
  e.syncThreads();
}

void waitForCountAlone(Emitter &e, Val counter, Val count) {
  e.whileLoop(
      {}, [&](llvm::ArrayRef<Val>) { return e.loadAcquire(counter) < count; },
      [](llvm::ArrayRef<Val>) { return Vals(); });
}

} // namespace epigraph::cuda
