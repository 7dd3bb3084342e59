// Verifiers and custom syntax of the exec dialect.
#include "dialects/exec/Exec.h"

#include "mlir/IR/Builders.h"
#include "mlir/Interfaces/FunctionImplementation.h"

using namespace mlir;
using namespace epigraph;
using namespace epigraph::exec;

#define GET_OP_CLASSES
#include "dialects/exec/ExecOps.cpp.inc"

LogicalResult WeightOp::verify() {
  Block &block = getBody().front();
  Operation *yield = block.getTerminator();
  if (block.getNumArguments() != 0 || yield->getNumOperands() != 1 || // (C1)
      yield->getOperand(0).getType() != getType())
    return emitOpError("the region must have no arguments and yield one value of type ")
           << getType();
  if (!cast<RankedTensorType>(getType()).hasStaticShape()) // (C2)
    return emitOpError("must have a static shape, got ") << getType();
  bool slices =
      !block.getOps<ep::LocalExpertsOp>().empty() || !block.getOps<ep::LocalShardOp>().empty();
  if (slices != getRankLocal()) // (C3)
    return emitOpError(
        slices ? "differs from rank to rank (ep.local_experts, ep.local_shard): mark it rank_local"
               : "is marked rank_local but is the same on every rank");
  return success();
}

void LoadWeightOp::getAsmResultNames(OpAsmSetValueNameFn setName) {
  setName(getResult(), epi::getShortName(getWeight()));
}

LogicalResult LoadWeightOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto weight = symbols.lookupNearestSymbolFrom<WeightOp>(*this, getWeightAttr());
  if (!weight)
    return emitOpError("there is no exec.weight ") << getWeightAttr();
  if (weight.getType() != getResult().getType()) // (C1)
    return emitOpError("has type ")
           << getResult().getType() << " but " << getWeightAttr() << " has " << weight.getType();
  return success();
}

LogicalResult PackOp::verify() {
  auto from = cast<RankedTensorType>(getX().getType());
  auto to = cast<RankedTensorType>(getResult().getType());
  if (from.getShape() != to.getShape() || from.getElementType() != to.getElementType()) // (C1)
    return emitOpError("must keep shape and element type, got ") << from << " to " << to;
  if (from.getRank() < 2 || !isa_and_nonnull<PanelAttr>(to.getEncoding())) // (C2)
    return emitOpError("packs weights of rank 2 or more into an #exec.panel layout, got ") << to;
  return success();
}

void KernelOp::build(OpBuilder &builder, OperationState &state, StringRef name, FunctionType type) {
  state.addAttribute(getSymNameAttrName(state.name), builder.getStringAttr(name));
  state.addAttribute(getFunctionTypeAttrName(state.name), TypeAttr::get(type));
  state.addRegion();
}

ParseResult KernelOp::parse(OpAsmParser &parser, OperationState &result) {
  auto buildType = [](Builder &builder, ArrayRef<Type> arguments, ArrayRef<Type> results,
                      function_interface_impl::VariadicFlag,
                      std::string &) { return builder.getFunctionType(arguments, results); };
  return function_interface_impl::parseFunctionOp(
      parser, result, /*allowVariadic=*/false, getFunctionTypeAttrName(result.name), buildType,
      getArgAttrsAttrName(result.name), getResAttrsAttrName(result.name));
}

void KernelOp::print(OpAsmPrinter &printer) {
  function_interface_impl::printFunctionOp(printer, *this, /*isVariadic=*/false,
                                           getFunctionTypeAttrName(), getArgAttrsAttrName(),
                                           getResAttrsAttrName());
}

LogicalResult KernelOp::verify() {
  if (!getBody().hasOneBlock()) // (C1)
    return emitOpError("must have a body of one block");
  auto yield = dyn_cast<YieldOp>(getBody().front().getTerminator());
  if (!yield || yield.getOperandTypes() != TypeRange(getResultTypes())) // (C2)
    return emitOpError("must end with exec.yield of its result types");
  return success();
}

LogicalResult LaunchOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto kernel = symbols.lookupNearestSymbolFrom<KernelOp>(*this, getKernelAttr());
  if (!kernel)
    return emitOpError("there is no exec.kernel ") << getKernelAttr();
  if (TypeRange(kernel.getArgumentTypes()) != getInputs().getTypes() || // (C1)
      TypeRange(kernel.getResultTypes()) != getResultTypes())
    return emitOpError("must have the operand and result types of ")
           << getKernelAttr() << ", " << kernel.getFunctionType();
  return success();
}
