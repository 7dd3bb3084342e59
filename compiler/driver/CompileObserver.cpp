#include "compiler/driver/CompileObserver.h"

#include "mlir/Pass/Pass.h"

using namespace mlir;

namespace epigraph {
namespace {

class ObservedPasses : public PassInstrumentation {
public:
  ObservedPasses(CompileObserver &observer, Phase phase) : observer_(observer), phase_(phase) {}

  void runAfterPass(Pass *pass, Operation *op) override {
    StringRef flag = pass->getArgument();
    if (flag.empty()) // An adaptor, which only runs others.
      return;
    auto module = isa<ModuleOp>(op) ? cast<ModuleOp>(op) : op->getParentOfType<ModuleOp>();
    observer_.afterPass(phase_, {flag.data(), flag.size()}, module);
  }

private:
  CompileObserver &observer_;
  const Phase phase_;
};

} // namespace

std::unique_ptr<PassInstrumentation> observePasses(CompileObserver &observer, Phase phase) {
  return std::make_unique<ObservedPasses>(observer, phase);
}

} // namespace epigraph
