#include "passes/graph/RowGroup.h"

#include "dialects/epi/Epi.h"
#include "dialects/exec/Exec.h"

#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace epigraph {

bool hasRows(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && type.getRank() > 0 && type.isDynamicDim(0);
}

int64_t bytesOfRow(Type type) {
  auto tensor = cast<RankedTensorType>(type);
  int64_t bytes = tensor.getElementTypeBitWidth() / 8;
  for (int64_t size : tensor.getShape())
    bytes *= ShapedType::isDynamic(size) ? 1 : size;
  return bytes;
}

bool isRowOp(Operation *op) {
  return isa<epi::AddOp, epi::MulOp, epi::SiluOp, epi::SigmoidOp, epi::ClampedSwigluOp, epi::CastOp,
             epi::ConcatOp, epi::RmsNormOp, epi::SoftmaxOp>(op) &&
         hasRows(op->getResult(0));
}

bool isRowView(Operation *op) {
  return isa_and_nonnull<epi::SplitOp, epi::ReshapeOp>(op) && hasRows(op->getOperand(0));
}

bool isComputedByRows(Operation *op) {
  return isRowOp(op) || isRowView(op) || isa<epi::QuantizeOp>(op);
}

RowMachine RowMachine::of(ModuleOp module) {
  RowMachine machine;
  if (auto limits = module->getAttrOfType<exec::LimitsAttr>(exec::kLimitsAttrName))
    machine.rows = limits.getSequences();
  if (auto target = module->getAttrOfType<exec::TargetAttr>(exec::kTargetAttrName)) {
    machine.registers = target.getRegisters();
    machine.cacheBytes = target.getCacheBytes();
    machine.memoryGbps = target.getMemoryGbps().getValueAsDouble();
    machine.gflops = target.getGflops().getValueAsDouble();
    machine.launchNs = static_cast<double>(target.getLaunchNs());
  }
  return machine;
}

namespace {

constexpr int64_t kExpFlops = 12;    // A polynomial of degree 6 and the scaling by a power of two.
constexpr int64_t kExpRegisters = 4; // Its coefficients come from memory; its argument is split.

bool isReduction(Operation *op) { return isa<epi::RmsNormOp, epi::SoftmaxOp>(op); }

bool takesExp(Operation *op) {
  return isa<epi::SiluOp, epi::SigmoidOp, epi::ClampedSwigluOp, epi::SoftmaxOp>(op);
}

int64_t elements(Operation *op) {
  Type type = op->getResult(0).getType();
  return bytesOfRow(type) * 8 / cast<RankedTensorType>(type).getElementTypeBitWidth();
}

/// Operations on a row where `op`'s value is wanted; a reduction is done by then.
int64_t flopsOf(Operation *op) {
  return elements(op) * llvm::TypeSwitch<Operation *, int64_t>(op)
                            .Case<epi::SiluOp, epi::SigmoidOp>([](auto) { return kExpFlops + 3; })
                            .Case([](epi::ClampedSwigluOp) { return kExpFlops + 7; })
                            .Case([](epi::SoftmaxOp) { return kExpFlops + 2; })
                            .Case([](epi::RmsNormOp) { return 2; })
                            .Case([](epi::ConcatOp) { return 0; })
                            .Default([](Operation *) { return 1; });
}

/// Operations of the reduction of a row.
int64_t flopsOfReduction(Operation *op) {
  return elements(op) * (isa<epi::SoftmaxOp>(op) ? kExpFlops + 3 : 2);
}

/// One pass over a row, which evaluates one value: the operations that it takes, operands first.
class Pass {
public:
  Pass(const llvm::SmallDenseSet<Operation *> &members, Value value) : members(members) {
    visit(value);
  }

  int64_t flops() const {
    int64_t sum = 0;
    for (Operation *op : order)
      sum += isRowView(op) ? 0 : flopsOf(op);
    return sum;
  }

  /// Most values at once: each lives from where it is computed, or loaded for its first use, to its
  /// last use.
  int64_t live() const {
    llvm::SmallDenseMap<Value, unsigned> lastUse;
    unsigned count = 0;
    for (Operation *op : order) {
      for (Value operand : op->getOperands())
        lastUse[operand] = count;
      ++count;
    }
    int64_t most = 1;
    llvm::SmallDenseSet<Value> alive;
    for (auto [index, op] : llvm::enumerate(order)) {
      for (Value operand : op->getOperands())
        alive.insert(operand);
      most = std::max<int64_t>(most, static_cast<int64_t>(alive.size()) + 1 +
                                         (takesExp(op) ? kExpRegisters : 0));
      for (Value operand : op->getOperands())
        if (lastUse[operand] == index)
          alive.erase(operand);
      if (!isRowView(op))
        alive.insert(op->getResult(0));
    }
    return most;
  }

private:
  void visit(Value value) {
    Operation *op = value.getDefiningOp();
    if (!op || !members.contains(op) || !seen.insert(op).second)
      return;
    for (Value operand : op->getOperands())
      visit(operand);
    order.push_back(op);
  }

  const llvm::SmallDenseSet<Operation *> &members;
  llvm::SmallDenseSet<Operation *> seen;
  SmallVector<Operation *> order;
};

} // namespace

RowGroup::RowGroup(ArrayRef<Operation *> ops, llvm::function_ref<Identity(Value)> identify) {
  llvm::SmallDenseSet<Identity> inputs;
  llvm::SmallDenseSet<Operation *> members(ops.begin(), ops.end());
  auto isInside = [&](Value value) {
    return value.getDefiningOp() && members.contains(value.getDefiningOp());
  };
  auto addPass = [&](Value value) {
    Pass pass(members, value);
    flops += pass.flops();
    live = std::max(live, pass.live());
    ++passes;
  };
  for (Operation *op : ops) {
    for (Value operand : op->getOperands()) {
      if (!isInside(operand))
        sources.insert(operand);
      if (isRowView(op) || !hasRows(operand))
        continue;
      Value viewed = operand;
      while (isInside(viewed) && isRowView(viewed.getDefiningOp()))
        viewed = viewed.getDefiningOp()->getOperand(0);
      if (!isInside(viewed) && inputs.insert(identify(operand)).second)
        rowBytes += bytesOfRow(operand.getType());
    }
    if (isReduction(op)) {
      flops += flopsOfReduction(op);
      addPass(op->getOperand(0));
    }
    if (!isRowView(op) &&
        llvm::any_of(op->getUsers(), [&](Operation *user) { return !members.contains(user); }))
      outputs.insert(op->getResult(0));
  }
  for (Value output : outputs) {
    addPass(output);
    rowBytes += bytesOfRow(output.getType());
  }
}

} // namespace epigraph
