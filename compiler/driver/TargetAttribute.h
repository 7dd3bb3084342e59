// The target as passes see it: an attribute of the module, so that they read costs from the IR and
// nothing else.
#ifndef EPIGRAPH_COMPILER_DRIVER_TARGETATTRIBUTE_H
#define EPIGRAPH_COMPILER_DRIVER_TARGETATTRIBUTE_H

#include "codegen/target/Target.h"
#include "dialects/exec/Exec.h"

namespace epigraph {

/// What `#exec.target` says of `target`, whose description is complete.
exec::TargetAttr targetAttribute(mlir::MLIRContext &context, const Target &target);

} // namespace epigraph

#endif // EPIGRAPH_COMPILER_DRIVER_TARGETATTRIBUTE_H
