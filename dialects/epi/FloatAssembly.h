// How attributes of the dialects write numbers.
#ifndef EPIGRAPH_DIALECTS_EPI_FLOATASSEMBLY_H
#define EPIGRAPH_DIALECTS_EPI_FLOATASSEMBLY_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"

namespace epigraph::epi {

/// A double written without its type: `40.0`, not `40.0 : f64`.
inline mlir::ParseResult parseF64(mlir::AsmParser &parser, mlir::FloatAttr &value) {
  double number;
  if (parser.parseFloat(number))
    return mlir::failure();
  value = parser.getBuilder().getF64FloatAttr(number);
  return mlir::success();
}

inline void printF64(mlir::AsmPrinter &printer, mlir::FloatAttr value) {
  printer.printFloat(value.getValue());
}

} // namespace epigraph::epi

#endif // EPIGRAPH_DIALECTS_EPI_FLOATASSEMBLY_H
