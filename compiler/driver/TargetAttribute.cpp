#include "compiler/driver/TargetAttribute.h"

#include "mlir/IR/Builders.h"

using namespace mlir;

namespace epigraph {

exec::TargetAttr targetAttribute(MLIRContext &context, const Target &target) {
  Builder builder(&context);
  const Machine &machine = target.machine;
  return exec::TargetAttr::get(
      &context, builder.getStringAttr(target.name()), machine.cores, machine.vectorBits,
      machine.vectorRegisters, static_cast<int64_t>(machine.l2Bytes),
      builder.getF64FloatAttr(machine.memoryGbps), builder.getF64FloatAttr(machine.f32Gflops),
      machine.launchNs, builder.getF64FloatAttr(machine.linkGbps), machine.linkLatencyNs);
}

} // namespace epigraph
