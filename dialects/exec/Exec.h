// The exec dialect: weights, kernels, launches and the memory plan. Reference: ExecOps.td.
#ifndef EPIGRAPH_DIALECTS_EXEC_EXEC_H
#define EPIGRAPH_DIALECTS_EXEC_EXEC_H

#include "dialects/ep/Ep.h"
#include "mlir/Interfaces/FunctionInterfaces.h"

#include "dialects/exec/ExecDialect.h.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/exec/ExecAttrs.h.inc"
#define GET_OP_CLASSES
#include "dialects/exec/ExecOps.h.inc"

namespace epigraph::exec {

/// The module attribute that holds the `#exec.limits`.
inline constexpr llvm::StringLiteral kLimitsAttrName = "exec.limits";
/// The module attribute that holds the `#exec.target`.
inline constexpr llvm::StringLiteral kTargetAttrName = "exec.target";
/// The attribute of a producing operation: one `#exec.buffer` for each result, made by
/// `--exec-plan-memory`.
inline constexpr llvm::StringLiteral kBuffersAttrName = "exec.buffers";
/// The function attribute that says how large its arena is, in bytes (an i64 integer attribute).
inline constexpr llvm::StringLiteral kArenaBytesAttrName = "exec.arena_bytes";
/// Offsets of buffers are multiples of this many bytes.
inline constexpr int64_t kBufferAlignment = 64;

} // namespace epigraph::exec

#endif // EPIGRAPH_DIALECTS_EXEC_EXEC_H
