// The kernel of a part stands in no module, and is gone once its functions are there. Each part has
// variants by numbers of rows of its own; the whole has one wherever one of them changes.
#include "codegen/cuda/KernelParts.h"

#include <set>

#include "codegen/cuda/KernelBuilders.h"

#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace epigraph::cuda {
namespace {

/// Where the tensor `value`, which `reader` reads, is among the pointers of the whole.
FailureOr<uint32_t> placeOf(KernelAssembly &whole, Operation *reader, Value value) {
  if (auto argument = dyn_cast<BlockArgument>(value))
    return whole.operandIndex(argument);
  FailureOr<unsigned> result = whole.yieldedAs(reader, value);
  if (failed(result))
    return failure();
  return whole.resultIndex(*result);
}

/// `ops` as a kernel: what they read from outside are its arguments.
OwningOpRef<exec::KernelOp> makeKernel(exec::KernelOp whole, ArrayRef<Operation *> ops,
                                       ArrayRef<Value> inputs, ArrayRef<Value> outputs,
                                       StringRef suffix) {
  ImplicitLocOpBuilder b(whole.getLoc(), whole.getContext());
  OwningOpRef<exec::KernelOp> part = exec::KernelOp::create(
      b, (whole.getSymName() + "_" + suffix).str(),
      FunctionType::get(b.getContext(), TypeRange(inputs), TypeRange(outputs)));
  Block *body = b.createBlock(&part->getBody());
  IRMapping mapping;
  for (Value input : inputs)
    mapping.map(input, body->addArgument(input.getType(), input.getLoc()));
  for (Operation *op : ops)
    b.clone(*op, mapping);
  exec::YieldOp::create(
      b, llvm::map_to_vector(outputs, [&](Value value) { return mapping.lookup(value); }));
  return part;
}

/// What `part` launches for `rows` rows; 0: for more than any variant names.
ArrayRef<DeviceLaunch> launchesFor(const DeviceKernel &part, uint32_t rows) {
  for (const DeviceVariant &variant : part.variants)
    if (variant.mostRows == 0 || (rows > 0 && rows <= variant.mostRows))
      return variant.launches;
  return {};
}

} // namespace

FailureOr<DeviceKernel> buildPart(KernelAssembly &assembly, ArrayRef<Operation *> ops,
                                  StringRef suffix) {
  llvm::SetVector<Value> inputs;
  SmallVector<Value> outputs;
  SmallVector<uint32_t> places;
  for (Operation *op : ops)
    for (Value operand : op->getOperands()) {
      if (llvm::is_contained(ops, operand.getDefiningOp()) || !inputs.insert(operand))
        continue;
      FailureOr<uint32_t> place = placeOf(assembly, op, operand);
      if (failed(place))
        return failure();
      places.push_back(*place);
    }
  Operation *yield = assembly.kernel.getBody().front().getTerminator();
  for (auto [index, value] : llvm::enumerate(yield->getOperands()))
    if (llvm::is_contained(ops, value.getDefiningOp())) {
      outputs.push_back(value);
      places.push_back(assembly.resultIndex(static_cast<unsigned>(index)));
    }
  OwningOpRef<exec::KernelOp> kernel =
      makeKernel(assembly.kernel, ops, inputs.getArrayRef(), outputs, suffix);
  KernelAssembly part(*kernel, assembly, places);
  if (failed(buildKernel(part)))
    return failure();
  if (part.workspaceBytes() > 0)
    assembly.needWorkspace(part.workspaceBytes() - kCounterBytes);
  return part.take();
}

void addParts(KernelAssembly &assembly, ArrayRef<DeviceKernel> parts, int64_t fewerRows) {
  std::set<uint32_t> bounds;
  for (const DeviceKernel &part : parts)
    for (const DeviceVariant &variant : part.variants)
      if (variant.mostRows > fewerRows)
        bounds.insert(variant.mostRows);
  auto add = [&](uint32_t mostRows) {
    assembly.beginVariant(mostRows);
    for (const DeviceKernel &part : parts)
      assembly.addLaunches(launchesFor(part, mostRows));
  };
  llvm::for_each(bounds, add);
  add(0);
}

} // namespace epigraph::cuda
