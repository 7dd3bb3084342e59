// The graph of a module as one HTML page: what runs, in which layer, on what, at which cost.
#ifndef EPIGRAPH_COMPILER_INSPECT_GRAPHPAGE_H
#define EPIGRAPH_COMPILER_INSPECT_GRAPHPAGE_H

#include <string>

#include "absl/status/statusor.h"
#include "mlir/IR/BuiltinOps.h"

namespace epigraph {

/// A page that needs no network and no other file. Every operation of a function but weights and
/// terminators is one element with the attribute `data-node` ("launch", "collective", "op"), linked
/// with the operations whose results it takes and with its line of the IR, which the page holds
/// too. Layers (by location) are folded, and equal neighbours are folded again. Launches of a
/// scheduled module have their estimated work; those whose memory is planned, their buffers.
absl::StatusOr<std::string> graphPage(mlir::ModuleOp module);

/// The same for IR as text; `name` stands for it in messages. InvalidArgument if it does not parse
/// or verify.
absl::StatusOr<std::string> graphPageOfText(const std::string &ir, const std::string &name);

} // namespace epigraph

#endif // EPIGRAPH_COMPILER_INSPECT_GRAPHPAGE_H
