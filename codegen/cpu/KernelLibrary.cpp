// Emits one function for each kernel, into two modules in turn, which are compiled side by side,
// and links them. A kernel's module depends on its place alone, so the bytes do not depend on
// timing.
#include "codegen/cpu/KernelLibrary.h"
#include "codegen/cpu/KernelBuilders.h"
#include "codegen/cpu/ObjectEmission.h"
#include "codegen/cpu/SharedObject.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Dialect/X86Vector/X86VectorDialect.h"
#include "mlir/IR/Verifier.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"

using namespace mlir;

namespace epigraph::cpu {
namespace {

constexpr size_t kParts = 2;

/// Emits the function of `kernel` at the end of `module` and sets the kernel's tiling.
LogicalResult emitKernel(exec::KernelOp kernel, ModuleOp module, const CpuTarget &target) {
  MLIRContext *context = module.getContext();
  OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
  Type pointer = LLVM::LLVMPointerType::get(context), i64 = builder.getI64Type();
  auto type = builder.getFunctionType({pointer, pointer, i64, i64, i64}, {});
  auto function =
      func::FuncOp::create(builder, kernel.getLoc(), kernelSymbol(kernel.getSymName()), type);
  Block *entry = function.addEntryBlock();
  builder.setInsertionPointToStart(entry);
  KernelFrame frame(kernel, builder, target, entry->getArguments());
  BuiltTiling tiling = buildKernel(frame);
  if (failed(tiling))
    return failure();
  func::ReturnOp::create(builder, kernel.getLoc());
  kernel.setTilingAttr(exec::TilingAttr::get(context, tiling->rows, tiling->columns));
  return success();
}

class LibraryBuilder {
public:
  LibraryBuilder(ModuleOp module, const CpuTarget &target) : module(module), target(target) {
    for (size_t i = 0; i < kParts; ++i)
      parts.push_back(ModuleOp::create(module.getLoc()));
  }

  LogicalResult emitAll() {
    size_t next = 0;
    for (exec::KernelOp kernel : module.getOps<exec::KernelOp>())
      if (failed(checkSymbol(kernel)) ||
          failed(emitKernel(kernel, *parts[next++ % kParts], target)))
        return failure();
    for (OwningOpRef<ModuleOp> &part : parts)
      if (failed(verify(*part)))
        return part->emitError("the emitted kernels are invalid; this is a mistake in a "
                               "kernel builder");
    return success();
  }

  std::string text() const {
    std::string text;
    llvm::raw_string_ostream stream(text);
    for (const OwningOpRef<ModuleOp> &part : parts) {
      part.get()->print(stream);
      stream << "\n";
    }
    return text;
  }

  FailureOr<std::string> link() {
    for (OwningOpRef<ModuleOp> &part : parts)
      if (failed(lowerKernels(*part)))
        return part->emitError("cannot lower the emitted kernels to LLVM; this is a mistake "
                               "in a kernel builder");
    FailureOr<std::vector<std::string>> objects = compileObjects(parts, target);
    if (failed(objects))
      return failure();
    llvm::Expected<std::string> linked = linkSharedObject(*objects);
    if (!linked)
      return module.emitError(llvm::toString(linked.takeError()));
    return std::move(*linked);
  }

private:
  LogicalResult checkSymbol(exec::KernelOp kernel) {
    auto [entry, isNew] = symbols.try_emplace(kernelSymbol(kernel.getSymName()), kernel);
    if (isNew)
      return success();
    InFlightDiagnostic diagnostic = kernel.emitError("kernels @")
                                    << kernel.getSymName() << " and @" << entry->second.getSymName()
                                    << " would both be the symbol " << entry->first()
                                    << "; rename one";
    diagnostic.attachNote(entry->second.getLoc()) << "the other one";
    return diagnostic;
  }

  ModuleOp module;
  const CpuTarget &target;
  SmallVector<OwningOpRef<ModuleOp>> parts;
  llvm::StringMap<exec::KernelOp> symbols;
};

void loadDialects(MLIRContext &context) {
  context.loadDialect<arith::ArithDialect, func::FuncDialect, LLVM::LLVMDialect, math::MathDialect,
                      scf::SCFDialect, vector::VectorDialect, x86vector::X86VectorDialect>();
}

} // namespace

std::string kernelSymbol(StringRef name) {
  std::string symbol;
  if (name.empty() || llvm::isDigit(name.front()))
    symbol = "_";
  for (char c : name)
    symbol += llvm::isAlnum(c) ? c : '_';
  return symbol;
}

LogicalResult buildKernelLibrary(ModuleOp module, const CpuTarget &target, KernelLibrary &library) {
  loadDialects(*module.getContext());
  LibraryBuilder builder(module, target);
  if (failed(builder.emitAll()))
    return failure();
  library.kernelsMlir = builder.text();
  FailureOr<std::string> sharedObject = builder.link();
  if (failed(sharedObject))
    return failure();
  library.sharedObject = std::move(*sharedObject);
  return success();
}

} // namespace epigraph::cpu
