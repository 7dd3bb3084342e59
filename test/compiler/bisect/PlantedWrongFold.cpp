// Knows operations by their names alone: as a plugin it is linked against MLIR and nothing else.
#include "test/compiler/bisect/PlantedWrongFold.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Tools/Plugins/PassPlugin.h"

using namespace mlir;

namespace {

enum class Mistake {
  Drop,  ///< the result becomes the first operand
  Scale, ///< eps becomes far too large
};

struct PlantedWrongFoldPass : PassWrapper<PlantedWrongFoldPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(PlantedWrongFoldPass)

  PlantedWrongFoldPass() = default;
  PlantedWrongFoldPass(const PlantedWrongFoldPass &other) : PassWrapper(other) {}

  StringRef getArgument() const override { return "test-wrong-fold"; }
  StringRef getDescription() const override { return "Folds one operation into a wrong value"; }

  void runOnOperation() override {
    getOperation().walk([&](Operation *op) {
      auto place = op->getLoc()->findInstanceOf<NameLoc>();
      if (op->getName().getStringRef() != name || !place ||
          !place.getName().getValue().starts_with(location))
        return WalkResult::advance();
      if (mistake == Mistake::Drop)
        op->getResult(0).replaceAllUsesWith(op->getOperand(0));
      else
        op->setAttr("eps",
                    FloatAttr::get(Float64Type::get(op->getContext()),
                                   100 + cast<FloatAttr>(op->getAttr("eps")).getValueAsDouble()));
      return WalkResult::interrupt();
    });
  }

  Option<std::string> name{*this, "op", llvm::cl::desc("name of the operation"),
                           llvm::cl::init("epi.add")};
  Option<std::string> location{*this, "location", llvm::cl::desc("start of its location")};
  Option<Mistake> mistake{
      *this, "mistake", llvm::cl::desc("what happens to it"), llvm::cl::init(Mistake::Drop),
      llvm::cl::values(clEnumValN(Mistake::Drop, "drop", "its first operand stands in for it"),
                       clEnumValN(Mistake::Scale, "eps", "its eps is far too large"))};
};

} // namespace

void epigraph::registerPlantedWrongFold() { PassRegistration<PlantedWrongFoldPass>(); }

extern "C" LLVM_ATTRIBUTE_WEAK PassPluginLibraryInfo mlirGetPassPluginInfo() {
  return {MLIR_PLUGIN_API_VERSION, "EpigraphPlantedWrongFold", "1",
          [] { epigraph::registerPlantedWrongFold(); }};
}
