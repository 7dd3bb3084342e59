// Emits the device functions of all kernels into one module, and compiles it.
#include "codegen/cuda/KernelLibrary.h"

#include "codegen/cuda/Cubin.h"
#include "codegen/cuda/KernelAssembly.h"
#include "codegen/cuda/KernelBuilders.h"
#include "codegen/cuda/Peers.h"
#include "codegen/cuda/PtxEmission.h"
#include "codegen/cuda/RandomWeightsKernel.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Verifier.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;

namespace epigraph::cuda {
namespace {

/// A module with the dynamic shared memory that all its functions name.
OwningOpRef<ModuleOp> createModule(Location loc) {
  OwningOpRef<ModuleOp> module = ModuleOp::create(loc);
  ImplicitLocOpBuilder b(loc, loc.getContext());
  b.setInsertionPointToStart(module->getBody());
  LLVM::GlobalOp::create(b, LLVM::LLVMArrayType::get(b.getI8Type(), 0), /*isConstant=*/false,
                         LLVM::Linkage::External, kSharedMemoryName, Attribute(),
                         /*alignment=*/1024, kShared);
  return module;
}

LogicalResult emitKernels(ModuleOp module, ModuleOp functions, const CudaTarget &target,
                          KernelLibrary &library) {
  for (exec::KernelOp kernel : module.getOps<exec::KernelOp>()) {
    KernelAssembly assembly(kernel, functions, target);
    if (failed(buildKernel(assembly)))
      return failure();
    library.launches.workspaceBytes =
        std::max(library.launches.workspaceBytes, static_cast<uint64_t>(assembly.workspaceBytes()));
    library.launches.tokenItems = std::max(library.launches.tokenItems, assembly.tokenItems());
    library.launches.kernels.push_back(assembly.take());
  }
  if (failed(verify(functions)))
    return functions.emitError("the emitted device functions are invalid; this is a mistake in a "
                               "kernel builder");
  return success();
}

/// The region that the exchanges of all kernels go through. What one of them leaves there is taken
/// for what it is only by others of the same layout.
LogicalResult layOutRegion(ModuleOp module, KernelLibrary &library) {
  std::optional<ExchangeLayout> first;
  WalkResult result = module.walk([&](ep::DispatchSendOp send) {
    const ExchangeLayout layout = exchangeLayout(send.getPlacement(), send.getCapacity(),
                                                 send.getIds().getType(), send.getX().getType());
    if (first && layout != *first) {
      send.emitError("exchanges rows of ")
          << layout.slotBytes() << " bytes, and other exchanges of the model rows of "
          << first->slotBytes()
          << "; one region serves all layers: quantize the experts of all layers, or of none";
      return WalkResult::interrupt();
    }
    first = layout;
    return WalkResult::advance();
  });
  if (first)
    library.launches.regionBytes = static_cast<uint64_t>(first->bytes());
  return failure(result.wasInterrupted());
}

void loadDialects(MLIRContext &context) {
  context.loadDialect<arith::ArithDialect, LLVM::LLVMDialect, NVVM::NVVMDialect, math::MathDialect,
                      scf::SCFDialect>();
}

} // namespace

std::string deviceSymbol(StringRef name) {
  std::string symbol = name.empty() || llvm::isDigit(name.front()) ? "_" : "";
  for (char c : name)
    symbol += llvm::isAlnum(c) ? c : '_';
  return symbol;
}

LogicalResult buildKernelLibrary(ModuleOp module, const CudaTarget &target, KernelLibrary &library,
                                 bool hasRandomWeights) {
  loadDialects(*module.getContext());
  OwningOpRef<ModuleOp> functions = createModule(module.getLoc());
  if (hasRandomWeights)
    library.launches.random = buildRandomWeights(*functions, target);
  if (failed(layOutRegion(module, library)) ||
      failed(emitKernels(module, *functions, target, library)))
    return failure();
  llvm::raw_string_ostream(library.kernelsMlir) << *functions;
  FailureOr<std::string> ptx = emitPtx(*functions, target.architecture);
  if (failed(ptx))
    return failure();
  library.ptx = std::move(*ptx);
  llvm::Expected<std::string> cubin = assemble(library.ptx, target.architecture);
  if (!cubin)
    return module.emitError(llvm::toString(cubin.takeError()));
  library.cubin = std::move(*cubin);
  return success();
}

} // namespace epigraph::cuda
