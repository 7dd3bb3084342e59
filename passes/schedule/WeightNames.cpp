// Names depend on the expression alone, never on the order in which weights are met, so that a
// change in one layer does not rename another's weights.
#include "passes/schedule/WeightNames.h"

#include "dialects/epi/Epi.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace epigraph;

/// "a.experts.{}.up.weight" is named "a.experts.up.weight": the stack holds every number.
static std::string nameStack(StringRef pattern) {
  auto [before, after] = pattern.split("{}");
  if (before.ends_with(".") && after.starts_with("."))
    after = after.drop_front();
  return (before + after).str();
}

static std::string nameLeaf(Operation *leaf) {
  if (auto weight = dyn_cast<epi::WeightOp>(leaf))
    return weight.getName().str();
  if (auto stack = dyn_cast<epi::WeightStackOp>(leaf))
    return nameStack(stack.getPattern());
  return leaf->getName().stripDialect().str();
}

static void collectLeaves(Value value, llvm::SetVector<Operation *> &leaves) {
  Operation *op = value.getDefiningOp();
  if (op->getNumOperands() == 0)
    leaves.insert(op);
  if (auto dequantize = dyn_cast<epi::DequantizeOp>(op)) // Scales go by the name of their weight.
    return collectLeaves(dequantize.getX(), leaves);
  for (Value operand : op->getOperands())
    collectLeaves(operand, leaves);
}

/// ".part1" for each split on the way from `value` to its leaf, outermost part first.
static std::string nameParts(Value value) {
  std::string suffix;
  for (Operation *op = value.getDefiningOp(); op && op->getNumOperands() == 1;
       value = op->getOperand(0), op = value.getDefiningOp())
    if (isa<epi::SplitOp>(op))
      suffix.insert(0, ".part" + llvm::utostr(cast<OpResult>(value).getResultNumber()));
  return suffix;
}

std::string epigraph::joinWeightNames(ArrayRef<std::string> names) {
  SmallVector<SmallVector<StringRef>> components(names.size());
  size_t shortest = SIZE_MAX;
  for (auto [name, parts] : llvm::zip_equal(names, components)) {
    StringRef(name).split(parts, '.');
    shortest = std::min(shortest, parts.size());
  }
  // Every name keeps at least one component of its own.
  size_t prefix = 0, suffix = 0;
  auto agree = [&](auto component) {
    return llvm::all_of(components,
                        [&](auto &parts) { return component(parts) == component(components[0]); });
  };
  while (prefix + 1 < shortest && agree([&](auto &parts) { return parts[prefix]; }))
    ++prefix;
  while (prefix + suffix + 1 < shortest &&
         agree([&](auto &parts) { return parts[parts.size() - 1 - suffix]; }))
    ++suffix;

  SmallVector<std::string> middles;
  for (auto &parts : components)
    middles.push_back(llvm::join(ArrayRef(parts).drop_front(prefix).drop_back(suffix), "."));
  std::string middle = llvm::join(middles, "+");
  SmallVector<StringRef> joined(ArrayRef(components[0]).take_front(prefix));
  joined.push_back(middle);
  llvm::append_range(joined, ArrayRef(components[0]).take_back(suffix));
  return llvm::join(joined, ".");
}

std::string epigraph::nameWeight(Value value) {
  llvm::SetVector<Operation *> leaves;
  collectLeaves(value, leaves);
  // The same tensor may be named by several operations.
  SmallVector<std::string> names;
  for (Operation *leaf : leaves)
    if (std::string name = nameLeaf(leaf); !llvm::is_contained(names, name))
      names.push_back(name);
  return joinWeightNames(names) + nameParts(value);
}
