// Walks each function once, in order: an operation on weights whose operands are all weight
// expressions is one too, and a weight expression met as an operand of anything else is a root.
// Roots are numbered by value (operation, attributes, operands), so that equal expressions of
// different places and functions become one exec.weight. Cost: linear in the number of operations.
// A weight is loaded once a function, before its first use.
#include "dialects/exec/Exec.h"
#include "passes/PassRemarks.h"
#include "passes/graph/WeightExpressions.h"
#include "passes/schedule/Passes.h"
#include "passes/schedule/WeightNames.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/StringSet.h"
#include <map>

namespace epigraph {
#define GEN_PASS_DEF_HOISTWEIGHTSPASS
#include "passes/schedule/Passes.h.inc"
} // namespace epigraph

using namespace mlir;
using namespace epigraph;

namespace {

/// Gives equal weight expressions equal numbers.
class ValueNumbering {
public:
  unsigned get(Value value) {
    Operation *op = value.getDefiningOp();
    // Names, attributes and types are unique in a context, so their addresses stand for them.
    std::vector<uintptr_t> key = {
        reinterpret_cast<uintptr_t>(op->getName().getAsOpaquePointer()),
        reinterpret_cast<uintptr_t>(op->getAttrDictionary().getAsOpaquePointer()),
        cast<OpResult>(value).getResultNumber()};
    // All of them: which part of a split a result is depends on the sizes of its siblings.
    for (Type type : op->getResultTypes())
      key.push_back(reinterpret_cast<uintptr_t>(type.getAsOpaquePointer()));
    for (Value operand : op->getOperands())
      key.push_back(get(operand));
    unsigned next = numbers.size();
    return numbers.try_emplace(std::move(key), next).first->second;
  }

private:
  std::map<std::vector<uintptr_t>, unsigned> numbers;
};

/// Makes the exec.weight of each root, once.
class WeightProgram {
public:
  explicit WeightProgram(ModuleOp module) : builder(module.getContext()) {
    for (auto &op : *module.getBody())
      if (auto name = SymbolTable::getSymbolName(&op))
        names.insert(name.getValue());
    auto functions = module.getOps<func::FuncOp>();
    builder.setInsertionPoint(*functions.begin());
  }

  /// The weight whose program computes `root`.
  exec::WeightOp getOrCreate(Value root) {
    exec::WeightOp &weight = weights[numbering.get(root)];
    if (!weight)
      weight = create(root);
    return weight;
  }

  size_t getNumWeights() const { return weights.size(); }

private:
  exec::WeightOp create(Value root) {
    auto weight = exec::WeightOp::create(builder, root.getLoc(), uniqueName(root),
                                         cast<RankedTensorType>(root.getType()));
    auto body = OpBuilder::atBlockEnd(&weight.getBody().emplaceBlock());
    IRMapping mapping;
    cloneExpression(root.getDefiningOp(), body, mapping);
    exec::YieldOp::create(body, root.getLoc(), mapping.lookup(root));
    weight.setRankLocal(llvm::any_of(weight.getBody().getOps(), [](Operation &op) {
      return isa<ep::LocalExpertsOp, ep::LocalShardOp>(op);
    }));
    return weight;
  }

  static void cloneExpression(Operation *op, OpBuilder &builder, IRMapping &mapping) {
    if (mapping.contains(op->getResult(0)))
      return;
    for (Value operand : op->getOperands())
      cloneExpression(operand.getDefiningOp(), builder, mapping);
    builder.clone(*op, mapping);
  }

  std::string uniqueName(Value root) {
    std::string stem = nameWeight(root), name = stem;
    for (unsigned i = 2; !names.insert(name).second; ++i)
      name = (stem + "." + Twine(i)).str();
    return name;
  }

  OpBuilder builder;
  ValueNumbering numbering;
  llvm::StringSet<> names;
  llvm::DenseMap<unsigned, exec::WeightOp> weights;
};

struct HoistWeightsPass : epigraph::impl::HoistWeightsPassBase<HoistWeightsPass> {
  void runOnOperation() override {
    numOps = numUses = 0;
    auto functions = getOperation().getOps<func::FuncOp>();
    if (functions.empty())
      return;
    WeightProgram program(getOperation());
    for (auto function : functions)
      if (!function.isExternal())
        hoist(function, program);
    reportStatistics(*this, getOperation())
        << metric("weights", program.getNumWeights()) << metric("hoisted-ops", numOps)
        << metric("uses", numUses);
  }

  void hoist(func::FuncOp function, WeightProgram &program) {
    llvm::DenseMap<exec::WeightOp, Value> loads;
    SmallVector<Operation *> hoisted;
    for (Operation &op : function.getOps()) {
      if (isWeightOp(&op) && llvm::all_of(op.getOperands(), isWeightExpression)) {
        hoisted.push_back(&op);
        continue;
      }
      for (OpOperand &operand : op.getOpOperands())
        if (isWeightExpression(operand.get()))
          operand.set(load(operand.get(), &op, program, loads));
    }
    for (Operation *op : llvm::reverse(hoisted))
      op->erase();
    numOps += hoisted.size();
  }

  /// The value of `root` as loaded in this function; the first use of it is `user`.
  Value load(Value root, Operation *user, WeightProgram &program,
             llvm::DenseMap<exec::WeightOp, Value> &loads) {
    exec::WeightOp weight = program.getOrCreate(root);
    ++numUses;
    Value &loaded = loads[weight];
    if (!loaded) {
      OpBuilder builder(user);
      loaded =
          exec::LoadWeightOp::create(builder, root.getLoc(), weight.getType(), weight.getSymName());
    }
    return loaded;
  }

  size_t numOps = 0, numUses = 0;
};

} // namespace
