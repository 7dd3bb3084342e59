// A phase's passes as Pipeline.cpp writes them down: each either an optimisation, which may be left
// out, or one that later phases need, with the reason.
#ifndef EPIGRAPH_COMPILER_PIPELINE_PASSLIST_H
#define EPIGRAPH_COMPILER_PIPELINE_PASSLIST_H

#include <memory>
#include <vector>

#include "mlir/Pass/Pass.h"

namespace epigraph {

struct ListedPass {
  std::unique_ptr<mlir::Pass> pass;
  /// Why compiling needs it; empty: it only makes the result better.
  llvm::StringRef neededBecause;
  /// It changes nothing, and is left out only by name.
  bool isCheck = false;

  bool isOptional() const { return neededBecause.empty(); }
};

class PassList {
public:
  /// Adds a pass that may be left out: the numbers are the same without it.
  void optional(std::unique_ptr<mlir::Pass> pass) { passes_.push_back({std::move(pass), {}}); }

  /// Adds a pass that cannot be left out; `because` ends the sentence "cannot be left out: ...".
  void required(std::unique_ptr<mlir::Pass> pass, llvm::StringLiteral because) {
    passes_.push_back({std::move(pass), because});
  }

  std::vector<ListedPass> take() { return std::move(passes_); }

private:
  std::vector<ListedPass> passes_;
};

} // namespace epigraph

#endif // EPIGRAPH_COMPILER_PIPELINE_PASSLIST_H
