// Verifiers of the structure operations, and the dialect's generated definitions.
#include "dialects/epi/Epi.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/SmallPtrSet.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace epigraph::epi;

/// The second operand's type, where it is not the result's.
static ParseResult parseBroadcastType(OpAsmParser &parser, Type &rhs, Type result) {
  rhs = result;
  return failed(parser.parseOptionalComma()) ? success() : parser.parseType(rhs);
}

static void printBroadcastType(OpAsmPrinter &printer, Operation *, Type rhs, Type result) {
  if (rhs != result)
    printer << ", " << rhs;
}

#define GET_OP_CLASSES
#include "dialects/epi/EpiOps.cpp.inc"

std::string epigraph::epi::getShortName(StringRef tensorName) {
  const bool isScale = tensorName.consume_back("_scale_inv");
  tensorName.consume_back(".weight");
  std::string name = tensorName.rsplit('.').second.str();
  if (name.empty())
    name = tensorName.str();
  if (isScale)
    name += "_scale";
  for (char &c : name)
    if (!llvm::isAlnum(c) && c != '_')
      c = '_';
  // A name of digits alone would read as an unnamed value.
  return llvm::isDigit(name.empty() ? '0' : name.front()) ? "w" + name : name;
}

void WeightOp::getAsmResultNames(OpAsmSetValueNameFn setName) {
  setName(getResult(), getShortName(getName()));
}

void WeightStackOp::getAsmResultNames(OpAsmSetValueNameFn setName) {
  setName(getResult(), getShortName(getPattern()));
}

void KvCacheOp::getAsmResultNames(OpAsmSetValueNameFn setName) { setName(getResult(), "cache"); }

static bool hasDynamicRows(Type type) {
  auto tensor = cast<RankedTensorType>(type);
  return tensor.getRank() > 0 && tensor.isDynamicDim(0);
}

LogicalResult HalveRowsOp::verify() {
  if (!hasDynamicRows(getX().getType())) // (C1)
    return emitOpError("must have a dynamic number of rows, got ") << getX().getType();
  return success();
}

/// The halvings that `half`, their result number `index`, descends from through operations of one
/// block; every operation keeps its rows.
static bool descendsFromHalf(Value half, unsigned index) {
  SmallVector<Value> open{half};
  SmallPtrSet<Operation *, 16> seen;
  while (!open.empty()) {
    Value value = open.pop_back_val();
    Operation *op = value.getDefiningOp();
    if (auto halve = dyn_cast_or_null<HalveRowsOp>(op)) {
      if (cast<OpResult>(value).getResultNumber() == index)
        return true;
      continue;
    }
    if (op && seen.insert(op).second)
      open.append(op->operand_begin(), op->operand_end());
  }
  return false;
}

LogicalResult JoinRowsOp::verify() {
  if (!hasDynamicRows(getResult().getType())) // (C1)
    return emitOpError("must have a dynamic number of rows, got ") << getResult().getType();
  // In a kernel's body both halves are arguments; there is nothing to look at.
  if (isa<BlockArgument>(getFirst()) || isa<BlockArgument>(getSecond()))
    return success();
  if (!descendsFromHalf(getFirst(), 0) || !descendsFromHalf(getSecond(), 1)) // (C2)
    return emitOpError("must join the first and the second half of an epi.halve_rows");
  return success();
}

LogicalResult WeightOp::verify() {
  if (!cast<RankedTensorType>(getResult().getType()).hasStaticShape()) // (C1)
    return emitOpError("must have a static shape, got ") << getResult().getType();
  return success();
}

LogicalResult WeightStackOp::verify() {
  auto type = cast<RankedTensorType>(getResult().getType());
  if (!type.hasStaticShape() || type.getRank() < 2) // (C1)
    return emitOpError("must have a static shape of rank 2 or more, got ") << type;
  if (getPattern().count("{}") != 1) // (C2)
    return emitOpError("pattern must hold {} exactly once, got \"") << getPattern() << "\"";
  return success();
}

std::string WeightStackOp::getName(int64_t index) {
  auto [before, after] = getPattern().split("{}");
  return (before + Twine(index) + after).str();
}

LogicalResult FusedOp::verify() {
  Block &block = getBody().front();
  if (block.getArgumentTypes() != getInputs().getTypes()) // (C1)
    return emitOpError("block arguments must have the types of the operands");
  if (block.getTerminator()->getOperandTypes() != getResultTypes()) // (C2)
    return emitOpError("yielded values must have the types of the results");
  return success();
}
