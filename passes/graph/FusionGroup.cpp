// Groups are isolated, so inputs are found first, as operands that no operation of the group
// defines.
#include "passes/graph/FusionGroup.h"

#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;

namespace epigraph {

epi::FusedOp formFusionGroup(OpBuilder &builder, StringRef name, ArrayRef<Operation *> ops,
                             ValueRange yielded) {
  llvm::SetVector<Value> inputs;
  for (Operation *op : ops)
    for (Value operand : op->getOperands())
      if (!llvm::is_contained(ops, operand.getDefiningOp()))
        inputs.insert(operand);

  auto locations = llvm::map_to_vector(ops, [](Operation *op) { return op->getLoc(); });
  auto group = epi::FusedOp::create(builder, builder.getFusedLoc(locations), yielded.getTypes(),
                                    name, inputs.getArrayRef());
  OpBuilder::InsertionGuard guard(builder);
  Block *body = builder.createBlock(&group.getBody());
  IRMapping mapping;
  for (Value input : inputs)
    mapping.map(input, body->addArgument(input.getType(), input.getLoc()));
  for (Operation *op : ops)
    builder.clone(*op, mapping);
  auto results = llvm::map_to_vector(yielded, [&](Value value) { return mapping.lookup(value); });
  epi::YieldOp::create(builder, group.getLoc(), results);
  return group;
}

SmallVector<Operation *> openFusionGroup(epi::FusedOp group) {
  OpBuilder builder(group);
  IRMapping mapping;
  Block &body = group.getBody().front();
  mapping.map(body.getArguments(), group.getInputs());
  SmallVector<Operation *> ops;
  for (Operation &op : body.without_terminator())
    ops.push_back(builder.clone(op, mapping));
  for (auto [result, value] :
       llvm::zip_equal(group.getResults(), body.getTerminator()->getOperands()))
    result.replaceAllUsesWith(mapping.lookup(value));
  group.erase();
  return ops;
}

std::string fusionName(ArrayRef<std::string> names) {
  constexpr size_t kMostNames = 4;
  llvm::MapVector<StringRef, size_t> counts;
  for (const std::string &name : names)
    ++counts[name];
  if (counts.size() > kMostNames)
    return "rows";
  auto parts = llvm::map_to_vector(counts, [](const auto &entry) {
    return entry.first.str() +
           (entry.second > 1 ? "_x" + std::to_string(entry.second) : std::string());
  });
  return llvm::join(parts, "_");
}

} // namespace epigraph
