// Which of an expert's slots a token goes to: a table look-up for each choice of each token.
#include "codegen/cpu/KernelBuilders.h"

using namespace mlir;

namespace epigraph::cpu {

constexpr int64_t kTileRows = 64;
constexpr int64_t kBytes = sizeof(int32_t);

BuiltTiling buildAssignReplicas(KernelFrame &frame, ep::AssignReplicasOp op) {
  FailureOr<TensorView> ids = frame.view(op, op.getIds(), "ids");
  FailureOr<TensorView> table = frame.view(op, op.getTable(), "table");
  FailureOr<unsigned> result = frame.yieldedAs(op, op.getResult());
  if (failed(ids) || failed(table) || failed(result))
    return failure();
  KernelEmitter &e = frame.e;
  const int64_t choices = ids->shape[0], columns = table->shape[1];
  Value lines = frame.rowAddress(*table, e.constant(0));
  const Tiling tiling{kTileRows, 1};
  frame.forTiles(tiling, [&](Value first, Value last, Value) {
    e.forLoop(first, last, 1, [&](Value row) {
      Value from = frame.rowAddress(*ids, row), to = frame.resultRow(*result, row);
      e.forLoop(e.constant(0), e.constant(choices), 1, [&](Value choice) {
        // A line of the table: how many replicas, then their slots.
        Value expert = e.loadI32(e.element(from, choice, kBytes));
        Value line = e.element(lines, expert, columns * kBytes);
        Value replica = e.remainder(row, e.loadI32(line));
        Value slot = e.loadI32(e.element(e.advance(line, kBytes), replica, kBytes));
        e.storeI32(slot, e.element(to, choice, kBytes));
      });
    });
  });
  return tiling;
}

} // namespace epigraph::cpu
