// A plugin of passes that go wrong, for the tests of what happens then.
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Tools/Plugins/PassPlugin.h"

#include "dialects/epi/Epi.h"

using namespace mlir;

namespace {

/// Aborts in the middle of its work.
struct CrashPass : PassWrapper<CrashPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(CrashPass)
  StringRef getArgument() const final { return "test-crash"; }
  void runOnOperation() final {
    getOperation()->setAttr("test.touched", UnitAttr::get(&getContext()));
    abort();
  }
};

/// Fails on the first norm, which it names.
struct FailPass : PassWrapper<FailPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(FailPass)
  StringRef getArgument() const final { return "test-fail"; }
  void runOnOperation() final {
    WalkResult result = getOperation()->walk([](epigraph::epi::RmsNormOp norm) {
      norm.emitOpError("is not to the taste of this pass");
      return WalkResult::interrupt();
    });
    if (result.wasInterrupted())
      signalPassFailure();
  }
};

/// Leaves IR that does not verify.
struct BreakPass : PassWrapper<BreakPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(BreakPass)
  StringRef getArgument() const final { return "test-break"; }
  void runOnOperation() final {
    getOperation()->walk([](epigraph::epi::WeightStackOp stack) {
      stack.setPattern("no braces");
      return WalkResult::interrupt();
    });
  }
};

} // namespace

extern "C" LLVM_ATTRIBUTE_WEAK PassPluginLibraryInfo mlirGetPassPluginInfo() {
  return {MLIR_PLUGIN_API_VERSION, "TestPasses", "1", [] {
            PassRegistration<CrashPass>();
            PassRegistration<FailPass>();
            PassRegistration<BreakPass>();
          }};
}
