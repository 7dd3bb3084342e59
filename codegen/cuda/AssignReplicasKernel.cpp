// Which of an expert's slots a token goes to: a table look-up for each choice of each token, one
// thread each.
#include "codegen/cuda/KernelBuilders.h"

using namespace mlir;

namespace epigraph::cuda {
namespace {

constexpr int64_t kThreads = 128;
constexpr int64_t kBytes = sizeof(int32_t);

} // namespace

LogicalResult buildAssignReplicas(KernelAssembly &assembly, ep::AssignReplicasOp op) {
  FailureOr<TensorView> ids = assembly.view(op, op.getIds(), "ids");
  FailureOr<TensorView> table = assembly.view(op, op.getTable(), "table");
  FailureOr<unsigned> result = assembly.yieldedAs(op, op.getResult());
  if (failed(ids) || failed(table) || failed(result))
    return failure();
  const int64_t choices = ids->shape[0], columns = table->shape[1];
  FunctionSpec spec;
  spec.threads = kThreads;
  spec.rowTile = std::max<int64_t>(kThreads / choices, 1);
  assembly.beginVariant();
  assembly.addFunction(spec, [&](KernelFrame &frame) {
    Emitter &e = frame.e;
    e.waitForPrevious();
    e.allowNext();
    Val lines = frame.rowAddress(*table, e.i32(0));
    Val first = e.blockId() * spec.rowTile;
    Val end = e.minimum(first + spec.rowTile, frame.rows()) * choices;
    e.forEach(first * choices + e.threadId(), end, e.i32(kThreads), [&](Val entry) {
      Val row = entry / choices, choice = entry % choices;
      // A line of the table: how many replicas, then their slots.
      Val expert = e.load(e.i32(), e.at(frame.rowAddress(*ids, row), choice, kBytes));
      Val line = e.at(lines, expert, columns * kBytes);
      Val replica = row % e.load(e.i32(), line);
      Val slot = e.load(e.i32(), e.at(e.offset(line, kBytes), replica, kBytes));
      e.store(slot, e.at(frame.resultRow(*result, row), choice, kBytes));
    });
  });
  return success();
}

} // namespace epigraph::cuda
