// The phase pack: a compiled module, its kernels and its checkpoint become an artifact.
#ifndef EPIGRAPH_COMPILER_DRIVER_PACKAGE_H
#define EPIGRAPH_COMPILER_DRIVER_PACKAGE_H

#include "absl/status/status.h"

#include "codegen/target/Target.h"
#include "compiler/driver/Compile.h"
#include "compiler/driver/CompiledKernels.h"
#include "compiler/import/Importer.h"
#include "runtime/artifact/Checkpoint.h"

namespace epigraph {

/// Writes the artifact that `options` ask for, and what it weighs into `report`. Why a plan or
/// weight cannot be written is in the context's diagnostics (Internal).
absl::Status packageArtifact(const CompileOptions &options, const ImportedModel &model,
                             const Checkpoint &checkpoint, const Target &target,
                             const CompiledKernels &kernels, Report &report);

} // namespace epigraph

#endif // EPIGRAPH_COMPILER_DRIVER_PACKAGE_H
