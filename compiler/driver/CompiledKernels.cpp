#include "compiler/driver/CompiledKernels.h"

#include "codegen/cpu/KernelLibrary.h"
#include "codegen/cuda/KernelLibrary.h"
#include "compiler/driver/RandomWeightPlan.h"
#include "runtime/artifact/Artifact.h"

using namespace mlir;

namespace epigraph {
namespace {

FailureOr<CompiledKernels> compileForCpu(ModuleOp module, const CpuTarget &target) {
  cpu::KernelLibrary library;
  if (failed(cpu::buildKernelLibrary(module, target, library)))
    return failure();
  CompiledKernels kernels;
  kernels.files.emplace_back(kKernelsFile, std::move(library.sharedObject));
  kernels.text = std::move(library.kernelsMlir);
  return kernels;
}

FailureOr<CompiledKernels> compileForCuda(ModuleOp module, const CudaTarget &target) {
  cuda::KernelLibrary library;
  if (failed(
          cuda::buildKernelLibrary(module, target, library, randomWeightsOf(module).has_value())))
    return failure();
  CompiledKernels kernels;
  kernels.files.emplace_back(kDeviceKernelsFile, std::move(library.cubin));
  kernels.files.emplace_back(kDeviceAssemblyFile, std::move(library.ptx));
  kernels.text = std::move(library.kernelsMlir);
  kernels.device = std::move(library.launches);
  return kernels;
}

} // namespace

FailureOr<CompiledKernels> compileKernels(ModuleOp module, const Target &target) {
  return target.cuda ? compileForCuda(module, *target.cuda) : compileForCpu(module, target.cpu);
}

} // namespace epigraph
