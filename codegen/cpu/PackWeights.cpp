// Kernels decide: their arguments that are used as `w` want panels. From there the wish goes up
// through all launches to the weights. A weight whose every load is wanted packed is packed in
// place; otherwise a packed copy joins it. Cost: linear in kernels, launches and weights.
#include "codegen/cpu/Passes.h"
#include "codegen/cpu/WeightPanel.h"
#include "passes/PassRemarks.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/TypeSwitch.h"

namespace epigraph {
#define GEN_PASS_DEF_PACKWEIGHTSPASS
#include "codegen/cpu/Passes.h.inc"
} // namespace epigraph

using namespace mlir;
using namespace epigraph;

namespace {

/// The weight of a projection, or null for other operations.
Value projectionWeight(Operation *op) {
  return llvm::TypeSwitch<Operation *, Value>(op)
      .Case<epi::LinearOp, epi::HeadLinearOp, epi::GroupedLinearOp>(
          [](auto projection) { return projection.getW(); })
      .Default(Value());
}

RankedTensorType packedType(RankedTensorType type) {
  return type.cloneWithEncoding(cpu::panelOf(type));
}

int64_t paddingBytes(RankedTensorType type) {
  int64_t stored = 1;
  for (int64_t size : cpu::panelOf(type).getStoredShape(type.getShape()))
    stored *= size;
  return (stored - type.getNumElements()) * type.getElementTypeBitWidth() / 8;
}

struct PackWeightsPass : epigraph::impl::PackWeightsPassBase<PackWeightsPass> {
  void runOnOperation() override {
    numPacked = numCopies = padding = 0;
    wanted.clear();
    readUnpacked.clear();
    packed.clear();
    SymbolTable table(getOperation());
    symbols = &table;
    for (auto kernel : getOperation().getOps<exec::KernelOp>())
      if (failed(packArguments(kernel)))
        return signalPassFailure();
    SmallVector<OpOperand *> uses;
    if (failed(collectUses(uses)))
      return signalPassFailure();
    for (OpOperand *use : uses)
      loadPacked(*use);
    reportStatistics(*this, getOperation())
        << metric("weights", numPacked) << metric("copies", numCopies)
        << metric("padding-bytes", padding);
  }

  /// Gives the arguments of `kernel` that are projections' weights their packed types.
  LogicalResult packArguments(exec::KernelOp kernel) {
    Block &body = kernel.getBody().front();
    for (Operation &op : body) {
      Value weight = projectionWeight(&op);
      if (!weight || cast<RankedTensorType>(weight.getType()).getEncoding())
        continue;
      auto argument = dyn_cast<BlockArgument>(weight);
      if (!argument)
        return op.emitOpError("cannot read its weight packed: it is computed inside the kernel @")
               << kernel.getSymName() << "; run --exec-hoist-weights before --exec-outline-kernels";
      for (Operation *user : argument.getUsers())
        if (projectionWeight(user) != weight)
          return user->emitOpError("reads a weight that kernel @")
                 << kernel.getSymName() << " also multiplies by; outline them apart";
      argument.setType(packedType(cast<RankedTensorType>(weight.getType())));
      wanted.insert({kernel.getSymNameAttr(), argument.getArgNumber()});
    }
    kernel.setFunctionType(
        FunctionType::get(&getContext(), body.getArgumentTypes(), kernel.getResultTypes()));
    return success();
  }

  bool isWantedPacked(OpOperand &operand) {
    auto launch = dyn_cast<exec::LaunchOp>(operand.getOwner());
    return launch &&
           wanted.contains({launch.getKernelAttr().getAttr(), operand.getOperandNumber()});
  }

  /// Finds the operands of launches that must be packed, and the weights that are also read as they
  /// are.
  LogicalResult collectUses(SmallVectorImpl<OpOperand *> &uses) {
    WalkResult result = getOperation().walk([&](Operation *op) {
      for (OpOperand &operand : op->getOpOperands()) {
        auto load = operand.get().getDefiningOp<exec::LoadWeightOp>();
        if (!isWantedPacked(operand)) {
          if (load)
            readUnpacked.insert(load.getWeightAttr().getAttr());
          continue;
        }
        if (!load) {
          op->emitOpError("cannot read operand ")
              << operand.getOperandNumber() << " packed: it is the weight of a projection, but not "
              << "loaded from the weight program; run --exec-hoist-weights";
          return WalkResult::interrupt();
        }
        uses.push_back(&operand);
      }
      return WalkResult::advance();
    });
    return failure(result.wasInterrupted());
  }

  /// Makes `use`, an operand loaded from a weight, the packed weight.
  void loadPacked(OpOperand &use) {
    auto load = use.get().getDefiningOp<exec::LoadWeightOp>();
    if (cast<RankedTensorType>(load.getType()).getEncoding())
      return; // an earlier use of this load packed it in place
    exec::WeightOp weight = packedWeight(load.getWeightAttr().getAttr());
    if (load.getWeight() == weight.getSymName()) {
      load.getResult().setType(cast<RankedTensorType>(weight.getType()));
      return;
    }
    OpBuilder builder(load);
    use.set(
        exec::LoadWeightOp::create(builder, load.getLoc(), weight.getType(), weight.getSymName()));
    if (load->use_empty())
      load.erase();
  }

  /// The packed form of the weight `name`: itself if nothing reads it otherwise, else a copy.
  exec::WeightOp packedWeight(StringAttr name) {
    exec::WeightOp &known = packed[name];
    if (known)
      return known;
    auto weight = symbols->lookup<exec::WeightOp>(name);
    known = readUnpacked.contains(name) ? copy(weight) : weight;
    auto type = cast<RankedTensorType>(weight.getType());
    Operation *yield = known.getBody().front().getTerminator();
    OpBuilder builder(yield);
    auto pack =
        exec::PackOp::create(builder, weight.getLoc(), packedType(type), yield->getOperand(0));
    yield->setOperand(0, pack);
    known.setType(packedType(type));
    ++numPacked;
    padding += paddingBytes(type);
    return known;
  }

  exec::WeightOp copy(exec::WeightOp weight) {
    ++numCopies;
    exec::WeightOp copied = weight.clone();
    copied.setSymName((weight.getSymName() + ".packed").str());
    // Renames it if that is taken.
    symbols->insert(copied, std::next(weight->getIterator()));
    return copied;
  }

  /// Kernel and argument number of each weight that is wanted packed.
  llvm::DenseSet<std::pair<Attribute, unsigned>> wanted;
  llvm::DenseSet<Attribute> readUnpacked;
  llvm::DenseMap<StringAttr, exec::WeightOp> packed;
  SymbolTable *symbols = nullptr;
  int64_t numPacked = 0, numCopies = 0, padding = 0;
};

} // namespace
