// LLVM dialect -> LLVM IR -> optimised machine code. Code is generated for baseline x86-64 plus the
// target's features, so that what the artifact requires is all that it uses. Loops are never
// unrolled here: the emitter has chosen the unrolling, and more of it bunches the prefetches.
#include "codegen/cpu/ObjectEmission.h"

#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Target/TargetMachine.h"

#include <memory>
#include <mutex>
#include <thread>

using namespace mlir;

namespace epigraph::cpu {
namespace {

constexpr llvm::StringLiteral kTriple = "x86_64-unknown-linux-gnu";
constexpr llvm::StringLiteral kBaselineCpu = "x86-64";

void initializeBackend() {
  static std::once_flag once;
  std::call_once(once, [] {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
  });
}

/// One part on its way: everything that a thread needs, shared with no other.
struct Job {
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> module;
  std::unique_ptr<llvm::TargetMachine> machine;
  std::string object, error;
};

std::unique_ptr<llvm::TargetMachine> makeMachine(const CpuTarget &target, std::string &error) {
  const llvm::Triple triple(kTriple);
  const llvm::Target *backend = llvm::TargetRegistry::lookupTarget(triple, error);
  if (!backend)
    return nullptr;
  return std::unique_ptr<llvm::TargetMachine>(backend->createTargetMachine(
      triple, kBaselineCpu, target.featureString(), llvm::TargetOptions(), llvm::Reloc::PIC_,
      std::nullopt, llvm::CodeGenOptLevel::Aggressive));
}

void setFunctionAttributes(llvm::Module &module, const CpuTarget &target) {
  const std::string width = std::to_string(32 * target.vectorWidth);
  for (llvm::Function &function : module) {
    if (function.isDeclaration())
      continue;
    function.addFnAttr("tune-cpu", target.tuneCpu);
    function.addFnAttr("prefer-vector-width", width);
    function.addFnAttr(llvm::Attribute::NoUnwind);
  }
}

LogicalResult prepare(ModuleOp part, const CpuTarget &target, Job &job) {
  // The name goes into the object: a constant, so that objects are reproducible.
  job.module = translateModuleToLLVMIR(part, job.context, "kernels");
  if (!job.module)
    return part.emitError("cannot translate the emitted kernels to LLVM IR; this is a "
                          "mistake in a kernel builder");
  std::string error;
  job.machine = makeMachine(target, error);
  if (!job.machine)
    return part.emitError("LLVM cannot generate code for ")
           << kTriple << ": " << error << "; install an LLVM with the X86 backend";
  job.module->setTargetTriple(job.machine->getTargetTriple());
  job.module->setDataLayout(job.machine->createDataLayout());
  setFunctionAttributes(*job.module, target);
  return success();
}

void optimize(Job &job) {
  llvm::PipelineTuningOptions tuning;
  tuning.LoopUnrolling = false;
  tuning.LoopInterleaving = false;
  tuning.LoopVectorization = false;
  tuning.SLPVectorization = false;
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager components;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder builder(job.machine.get(), tuning);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(components);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, components, modules);
  builder.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O3).run(*job.module, modules);
}

void compile(Job &job) {
  optimize(job);
  llvm::SmallString<0> bytes;
  llvm::raw_svector_ostream stream(bytes);
  llvm::legacy::PassManager manager;
  if (job.machine->addPassesToEmitFile(manager, stream, nullptr,
                                       llvm::CodeGenFileType::ObjectFile)) {
    job.error = "LLVM cannot write object files for this target";
    return;
  }
  manager.run(*job.module);
  job.object = bytes.str().str();
}

} // namespace

FailureOr<std::vector<std::string>> compileObjects(ArrayRef<OwningOpRef<ModuleOp>> parts,
                                                   const CpuTarget &target) {
  initializeBackend();
  std::vector<Job> jobs(parts.size());
  for (auto [part, job] : llvm::zip_equal(parts, jobs)) {
    registerBuiltinDialectTranslation(*part.get()->getContext());
    registerLLVMDialectTranslation(*part.get()->getContext());
    if (failed(prepare(*part, target, job)))
      return failure();
  }
  std::vector<std::thread> threads;
  for (Job &job : llvm::drop_begin(jobs))
    threads.emplace_back([&job] { compile(job); });
  compile(jobs.front());
  for (std::thread &thread : threads)
    thread.join();
  std::vector<std::string> objects;
  for (auto [part, job] : llvm::zip_equal(parts, jobs)) {
    if (!job.error.empty())
      return part.get()->emitError(job.error);
    objects.push_back(std::move(job.object));
  }
  return objects;
}

} // namespace epigraph::cpu
