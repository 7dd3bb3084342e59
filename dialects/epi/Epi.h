// The epi dialect: operations, types and attributes. Reference: EpiOps.td.
#ifndef EPIGRAPH_DIALECTS_EPI_EPI_H
#define EPIGRAPH_DIALECTS_EPI_EPI_H

#include "dialects/epi/Scales.h"

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace epigraph::epi {
/// How the second operand of an elementwise operation meets the first: of the same type, a vector
/// that meets every row, or one value for each row.
enum class Broadcast { None, Columns, Rows };
} // namespace epigraph::epi

#include "dialects/epi/EpiDialect.h.inc"
#include "dialects/epi/EpiEnums.h.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/epi/EpiTypes.h.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/epi/EpiAttrs.h.inc"
#define GET_OP_CLASSES
#include "dialects/epi/EpiOps.h.inc"

namespace epigraph::epi {

/// The name of the module attribute that holds a `#epi.model`.
inline constexpr llvm::StringLiteral kModelAttrName = "epi.model";

/// The name that a checkpoint tensor gets in the text of the IR:
/// "model.layers.3.self_attn.q_a_proj.weight" reads
/// `%q_a_proj`.
std::string getShortName(llvm::StringRef tensorName);

} // namespace epigraph::epi

#endif // EPIGRAPH_DIALECTS_EPI_EPI_H
