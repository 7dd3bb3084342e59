// Starting a compilation from IR that an earlier one wrote, in place of importing.
#ifndef EPIGRAPH_COMPILER_DRIVER_STARTMODULE_H
#define EPIGRAPH_COMPILER_DRIVER_STARTMODULE_H

#include "compiler/driver/Compile.h"
#include "compiler/driver/Diagnostics.h"
#include "compiler/import/Importer.h"

namespace epigraph {

/// Reads `options.startFrom`, which is not trusted, into `context`: text or bytecode that parses
/// and verifies, declares a model with its limits, has been through the phases before
/// `options.startPhase` and none after, was compiled with the ranks, attention and type of
/// `options`, and names weights that `checkpoint` has in their shapes and types. Errors
/// (InvalidArgument, NotFound) name the file and what is wrong.
absl::StatusOr<ImportedModel> readStartModule(mlir::MLIRContext &context,
                                              DiagnosticCollector &diagnostics,
                                              const CompileOptions &options,
                                              const Checkpoint &checkpoint);

} // namespace epigraph

#endif // EPIGRAPH_COMPILER_DRIVER_STARTMODULE_H
