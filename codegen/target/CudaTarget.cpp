// The kernels are Hopper's: they use its matrix units and its copy engine directly.
#include "codegen/target/CudaTarget.h"

#include "codegen/target/Target.h"

namespace epigraph {
namespace {

constexpr llvm::StringLiteral kArchitecture = "sm_90a";

/// An H200 SXM: what costs are made of where a description says nothing. Rates are those that
/// kernels reach, not a datasheet's (docs/performance.md).
void complete(Machine &machine) {
  auto fill = [](auto &field, auto nominal) {
    if (field == std::decay_t<decltype(field)>())
      field = static_cast<std::decay_t<decltype(field)>>(nominal);
  };
  fill(machine.vectorBits, 1024); // a warp
  fill(machine.vectorRegisters, 255);
  fill(machine.cores, 132);
  fill(machine.l1Bytes, 256 * 1024);
  fill(machine.l2Bytes, 232448); // of one core: its shared memory
  fill(machine.l3Bytes, 50 << 20);
  fill(machine.memoryBytes, uint64_t{141} * 1000 * 1000 * 1000);
  fill(machine.memoryGbps, 4600.0);
  fill(machine.f32Gflops, 60000.0);
  fill(machine.bf16Gflops, 750000.0);
  fill(machine.launchNs, 1000);
  fill(machine.linkGbps, 390.0);
  fill(machine.linkLatencyNs, 2000);
}

} // namespace

bool isCudaArchitecture(llvm::StringRef base) { return base == kArchitecture; }

llvm::Expected<Target> makeCudaTarget(Machine machine) {
  complete(machine);
  CudaTarget cuda;
  cuda.name = "cuda:" + machine.name;
  cuda.architecture = machine.base;
  cuda.multiprocessors = machine.cores;
  return Target{std::move(machine), CpuTarget(), std::move(cuda)};
}

llvm::Expected<Target> parseCudaTarget(llvm::StringRef text) {
  llvm::StringRef name = text;
  Machine machine;
  machine.name = machine.base = kArchitecture.str();
  if (name == "cuda" || (name.consume_front("cuda:") && isCudaArchitecture(name)))
    return makeCudaTarget(std::move(machine));
  return llvm::createStringError(llvm::inconvertibleErrorCode(),
                                 "target '" + text + "': there are no kernels for '" + name +
                                     "'; known is " + kArchitecture +
                                     " (H100, H200): cuda:" + kArchitecture);
}

} // namespace epigraph
