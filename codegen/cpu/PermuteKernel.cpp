// Orders the rows of a batch by expert: a counting sort. One tile: the place of a row depends on
// all rows before it, and the sort itself is a few instructions a row.
#include "codegen/cpu/KernelBuilders.h"

using namespace mlir;

namespace epigraph::cpu {
namespace {

constexpr int64_t kIdBytes = sizeof(int32_t);

/// The sort of `permute`: all addresses, and sizes known at compile time.
struct Sort {
  Value ids, slots, counts;
  int64_t topK, experts;
};

/// counts[e] = how many ids are e.
void countIds(KernelEmitter &e, const Sort &sort, Value entries) {
  e.forLoop(e.constant(0), e.constant(sort.experts), 1, [&](Value expert) {
    e.storeI32(e.constant(0), e.element(sort.counts, expert, kIdBytes));
  });
  e.forLoop(e.constant(0), entries, 1, [&](Value entry) {
    Value id = e.loadI32(e.element(sort.ids, entry, kIdBytes));
    Value count = e.element(sort.counts, id, kIdBytes);
    e.storeI32(e.add(e.loadI32(count), 1), count);
  });
}

/// next[e] = the slot of the first row of expert e.
void startSlots(KernelEmitter &e, const Sort &sort, Value next) {
  e.forLoop(e.constant(0), e.constant(sort.experts), 1, {e.constant(0)},
            [&](Value expert, Values sum) -> Values {
              e.storeI32(sum[0], e.element(next, expert, kIdBytes));
              return {e.add(sum[0], e.loadI32(e.element(sort.counts, expert, kIdBytes)))};
            });
}

} // namespace

BuiltTiling buildPermute(KernelFrame &frame, epi::PermuteOp op) {
  FailureOr<TensorView> x = frame.view(op, op.getX(), "x");
  FailureOr<TensorView> ids = frame.view(op, op.getIds(), "ids");
  FailureOr<unsigned> rows = frame.yieldedAs(op, op.getRows());
  FailureOr<unsigned> slots = frame.yieldedAs(op, op.getSlots());
  FailureOr<unsigned> counts = frame.yieldedAs(op, op.getCounts());
  if (failed(x) || failed(ids) || failed(rows) || failed(slots) || failed(counts))
    return failure();
  if (!x->isContiguous() || ids->rowStride != ids->shape[0])
    return op.emitError("CPU kernel @")
           << frame.kernel.getSymName() << " needs an x and ids whose rows are contiguous";
  KernelEmitter &e = frame.e;
  const Sort sort{frame.rowAddress(*ids, e.constant(0)), frame.resultAddress(*slots),
                  frame.resultAddress(*counts), ids->shape[0],
                  cast<RankedTensorType>(op.getCounts().getType()).getDimSize(0)};
  const int64_t rowBytes = x->elements() * byteSize(x->elementType);
  Value next = e.scratch(sort.experts * kIdBytes);
  const Tiling tiling{0, 1};
  frame.forTiles(tiling, [&](Value, Value last, Value) {
    countIds(e, sort, e.multiply(last, sort.topK));
    startSlots(e, sort, next);
    e.forLoop(e.constant(0), last, 1, [&](Value row) {
      Value from = frame.rowAddress(*x, row), entry = e.multiply(row, sort.topK);
      e.forLoop(entry, e.add(entry, sort.topK), 1, [&](Value choice) {
        Value id = e.loadI32(e.element(sort.ids, choice, kIdBytes));
        Value place = e.element(next, id, kIdBytes);
        Value slot = e.loadI32(place);
        e.storeI32(e.add(slot, 1), place);
        e.storeI32(slot, e.element(sort.slots, choice, kIdBytes));
        e.copyBytes(from, e.element(frame.resultAddress(*rows), slot, rowBytes), rowBytes);
      });
    });
  });
  return tiling;
}

} // namespace epigraph::cpu
