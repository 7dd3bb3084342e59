// What the CUDA code generator knows of the GPU it compiles for. A description, as CpuTarget is: no
// GPU is needed to compile for one.
#ifndef EPIGRAPH_CODEGEN_TARGET_CUDATARGET_H
#define EPIGRAPH_CODEGEN_TARGET_CUDATARGET_H

#include <cstdint>
#include <string>

#include "llvm/Support/Error.h"

namespace epigraph {

struct Machine;
struct Target;

struct CudaTarget {
  std::string name;              ///< as given on the command line: "cuda:sm_90a"
  std::string architecture;      ///< as ptxas and LLVM name it: "sm_90a"
  int64_t multiprocessors = 132; ///< of the GPU that work is divided for
  int64_t sharedBytes = 232448;  ///< shared memory that one block may take
};

/// Whether `base` of a description is an architecture that kernels are built for.
bool isCudaArchitecture(llvm::StringRef base);

/// The target of a description whose base is an architecture: its name is "cuda:NAME". Numbers that
/// it leaves out become an H200's.
llvm::Expected<Target> makeCudaTarget(Machine machine);

/// "cuda" or "cuda:ARCHITECTURE". Errors: an architecture that there are no kernels for.
llvm::Expected<Target> parseCudaTarget(llvm::StringRef text);

} // namespace epigraph

#endif // EPIGRAPH_CODEGEN_TARGET_CUDATARGET_H
