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

epi::FusedOp wrapInGroup(Operation *op) {
  OpBuilder builder(op);
  auto group = formFusionGroup(builder, op->getName().stripDialect(), op, op->getResults());
  op->replaceAllUsesWith(group.getResults());
  op->erase();
  return group;
}

epi::FusedOp sinkIntoGroup(Operation *producer, epi::FusedOp group, StringRef name) {
  OpBuilder builder(group);
  Location loc = builder.getFusedLoc({producer->getLoc(), group.getLoc()});
  Block &body = group.getBody().front();
  SmallVector<Value> inputs(group.getInputs());
  IRMapping mapping;
  for (Value operand : producer->getOperands()) {
    auto known = llvm::find(inputs, operand);
    if (known == inputs.end()) {
      inputs.push_back(operand);
      body.addArgument(operand.getType(), operand.getLoc());
      known = std::prev(inputs.end());
    }
    mapping.map(operand, body.getArgument(static_cast<unsigned>(known - inputs.begin())));
  }
  builder.setInsertionPointToStart(&body);
  Value sunk = builder.clone(*producer, mapping)->getResult(0);
  for (unsigned i = 0; i < inputs.size();)
    if (inputs[i] == producer->getResult(0)) {
      body.getArgument(i).replaceAllUsesWith(sunk);
      body.eraseArgument(i);
      inputs.erase(inputs.begin() + i);
    } else {
      ++i;
    }
  builder.setInsertionPoint(group);
  auto fused = epi::FusedOp::create(builder, loc, group.getResultTypes(), name, inputs);
  fused.getBody().takeBody(group.getBody());
  group.replaceAllUsesWith(fused.getResults());
  group.erase();
  producer->erase();
  return fused;
}

} // namespace epigraph
