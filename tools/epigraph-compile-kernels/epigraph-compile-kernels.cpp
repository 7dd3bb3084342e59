// epigraph-compile-kernels: device code of the exec.kernel operations of a file, without a model.
// For tests, benchmarks and those who write kernels: test/gpu/harness.py runs what it writes.
#include <filesystem>
#include <iostream>

#include <CLI/CLI.hpp>

#include "KernelsJson.h"
#include "codegen/cuda/KernelLibrary.h"
#include "dialects/ep/Ep.h"
#include "dialects/epi/Epi.h"
#include "dialects/exec/Exec.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Support/FileUtilities.h"
#include "runtime/base/FileSystem.h"
#include "llvm/Support/SourceMgr.h"

using namespace epigraph;

namespace {

absl::Status writeLibrary(mlir::ModuleOp module, const cuda::KernelLibrary &library,
                          const std::filesystem::path &folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error)
    return absl::InvalidArgumentError("cannot create " + folder.string() + ": " + error.message());
  for (const auto &[name, text] : {std::pair("kernels.cubin", library.cubin),
                                   {"kernels.ptx", library.ptx},
                                   {"kernels.mlir", library.kernelsMlir},
                                   {"kernels.json", kernelsJson(module, library.launches)}})
    if (absl::Status status = writeFileAtomically(folder / name, text); !status.ok())
      return status;
  return absl::OkStatus();
}

int compile(const std::string &input, const CudaTarget &target, const std::string &output) {
  mlir::MLIRContext context;
  context.loadDialect<epi::EpiDialect, ep::EpDialect, exec::ExecDialect, mlir::func::FuncDialect>();
  llvm::SourceMgr sources;
  mlir::SourceMgrDiagnosticHandler handler(sources, &context);
  auto module = mlir::parseSourceFile<mlir::ModuleOp>(input, sources, &context);
  cuda::KernelLibrary library;
  if (!module || failed(cuda::buildKernelLibrary(*module, target, library)))
    return 4;
  if (absl::Status status = writeLibrary(*module, library, output); !status.ok()) {
    std::cerr << "epigraph-compile-kernels: error: " << status.message() << "\n";
    return 3;
  }
  return 0;
}

} // namespace

int main(int argc, char **argv) {
  CLI::App app(
      "Compiles the exec.kernel operations of FILE for a GPU. Writes kernels.cubin, "
      "kernels.ptx,\nkernels.mlir (the device functions before lowering) and kernels.json "
      "(signatures and launches).\nFunctions of the file are not compiled: exec.launch in one "
      "tells in which order kernels run,\nwhich some of them make use of.",
      "epigraph-compile-kernels");
  std::string input, output;
  CudaTarget target{.name = "cuda:sm_90a", .architecture = "sm_90a"};
  app.add_option("FILE", input, "MLIR text or bytecode with exec.kernel operations")->required();
  app.add_option("-o,--output", output, "folder to write")->required();
  app.add_option("--target", target.name, "GPU to compile for")
      ->check(CLI::IsMember({"cuda:sm_90a"}))
      ->capture_default_str();
  app.footer("Exit codes: 0 done, 2 wrong usage, 3 bad output, 4 not supported or bad input.");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return compile(input, target, output);
}
