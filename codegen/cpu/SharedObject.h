// Links objects into one shared object, in this process, with LLVM's linker.
#ifndef EPIGRAPH_CODEGEN_CPU_SHAREDOBJECT_H
#define EPIGRAPH_CODEGEN_CPU_SHAREDOBJECT_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/Error.h"

#include <string>

namespace epigraph::cpu {

/// The shared object of `objects` (ELF relocatable files), which export all their symbols and may
/// need memcpy, memmove and memset from the process that loads it, nothing else. Equal inputs give
/// equal bytes. Uses files in the system's folder for temporary files. Errors: a symbol that
/// nothing defines; what the linker says; a file that cannot be written or read.
llvm::Expected<std::string> linkSharedObject(llvm::ArrayRef<std::string> objects);

} // namespace epigraph::cpu

#endif // EPIGRAPH_CODEGEN_CPU_SHAREDOBJECT_H
