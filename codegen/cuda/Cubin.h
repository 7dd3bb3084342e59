// PTX to machine code, by NVIDIA's assembler, which runs without a GPU.
#ifndef EPIGRAPH_CODEGEN_CUDA_CUBIN_H
#define EPIGRAPH_CODEGEN_CUDA_CUBIN_H

#include "llvm/Support/Error.h"

#include <optional>
#include <string>

namespace epigraph::cuda {

/// The assembler: $EPIGRAPH_PTXAS, or ptxas on the PATH, in $CUDA_HOME/bin or /usr/local/cuda/bin.
/// Nothing if there is none.
std::optional<std::string> findAssembler();

/// Assembles `ptx` for `architecture` ("sm_90a"). A kernel that spills registers to memory, or
/// whose wgmma the assembler serialises (its warnings C75xx), is an error that names the kernel:
/// both make kernels many times slower without making them wrong. Also an error: no assembler, with
/// where it was looked for.
llvm::Expected<std::string> assemble(llvm::StringRef ptx, llvm::StringRef architecture);

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_CUBIN_H
