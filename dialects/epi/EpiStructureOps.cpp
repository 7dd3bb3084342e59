// Verifiers of the structure operations, and the dialect's generated definitions.
#include "dialects/epi/Epi.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace epigraph::epi;

#define GET_OP_CLASSES
#include "dialects/epi/EpiOps.cpp.inc"

std::string epigraph::epi::getShortName(StringRef tensorName) {
  tensorName.consume_back(".weight");
  std::string name = tensorName.rsplit('.').second.str();
  if (name.empty())
    name = tensorName.str();
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
