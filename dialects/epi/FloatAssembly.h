// How attributes of the dialects write numbers and flags.
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

/// The end of `#epi.yarn`: `, truncate = false`, or nothing for true.
inline mlir::ParseResult parseTruncate(mlir::AsmParser &parser, bool &value) {
  value = true;
  if (mlir::failed(parser.parseOptionalComma()))
    return mlir::success();
  if (parser.parseKeyword("truncate") || parser.parseEqual())
    return mlir::failure();
  value = mlir::succeeded(parser.parseOptionalKeyword("true"));
  return value ? mlir::success() : parser.parseKeyword("false");
}

inline void printTruncate(mlir::AsmPrinter &printer, bool value) {
  if (!value)
    printer << ", truncate = false";
}

} // namespace epigraph::epi

#endif // EPIGRAPH_DIALECTS_EPI_FLOATASSEMBLY_H
