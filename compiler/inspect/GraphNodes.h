// What a graph page shows, apart from how.
#ifndef EPIGRAPH_COMPILER_INSPECT_GRAPHNODES_H
#define EPIGRAPH_COMPILER_INSPECT_GRAPHNODES_H

#include <string>
#include <vector>

#include "dialects/exec/Exec.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace epigraph::inspection {

/// An operation on the page.
struct GraphNode {
  mlir::Operation *op;
  size_t id;         ///< on the whole page
  std::string label; ///< the kernel's name, or the operation's
  /// A CSS class that tells kinds apart by colour: "attention", "linear", "experts", "rows",
  /// "route", "move", "collective", "other".
  std::string kind;
  std::string place;          ///< "model.layers.3.mlp"
  std::string layer;          ///< "model.layers.3", or empty outside of layers
  std::vector<size_t> inputs; ///< nodes whose results it takes, ascending
  /// Lines of what is known: rows, types, work, buffers.
  std::vector<std::pair<std::string, std::string>> facts;
  double flops = 0, bytes = 0; ///< of one decoded token; 0 where nothing is estimated
};

/// The nodes of `function` in its order, numbered from `firstId`.
mlir::FailureOr<std::vector<GraphNode>> collectNodes(mlir::func::FuncOp function, size_t firstId);

} // namespace epigraph::inspection

#endif // EPIGRAPH_COMPILER_INSPECT_GRAPHNODES_H
