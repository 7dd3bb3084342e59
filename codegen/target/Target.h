// Targets by name or by description: `--target cpu`, `cpu:x86-64-v3`, `cuda:sm_90a`, `server.json`.
// All of them are a Machine; those of this build have nominal numbers where a description says
// nothing.
#ifndef EPIGRAPH_CODEGEN_TARGET_TARGET_H
#define EPIGRAPH_CODEGEN_TARGET_TARGET_H

#include "llvm/Support/Error.h"

#include <optional>

#include "codegen/target/CpuTarget.h"
#include "codegen/target/CudaTarget.h"
#include "runtime/device/Machine.h"

namespace epigraph {

/// What a model is compiled for.
struct Target {
  Machine machine; ///< complete: every number that costs are made of is there
  CpuTarget cpu;   ///< for kernels; without meaning where there is `cuda`
  std::optional<CudaTarget> cuda;

  const std::string &name() const { return cuda ? cuda->name : cpu.name; }
};

/// The target of a description: its name is "cpu:NAME", or "cuda:NAME" where its base is a GPU's
/// architecture. Numbers that it leaves out become nominal
/// ones of its instruction set. Errors: a base or processor that LLVM does not know, a feature of
/// no name that LLVM knows, features that kernels need and it lacks, vectors wider than its
/// features allow.
llvm::Expected<Target> makeTarget(const Machine &machine);

/// The target that `text` names: "cpu" (this machine, whose rates are nominal, so that one build
/// gives one artifact), "cpu:NAME" as parseCpuTarget knows it, "cuda" or "cuda:sm_90a", or a file
/// (with '/' or ending in
/// ".json") of parseMachine. The error's code is invalid_argument for a file that cannot be read,
/// not_supported for a machine that is too old for kernels.
llvm::Expected<Target> parseTarget(llvm::StringRef text);

} // namespace epigraph

#endif // EPIGRAPH_CODEGEN_TARGET_TARGET_H
