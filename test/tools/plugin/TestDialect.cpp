// A plugin with a dialect of one operation.
#include "mlir/IR/Dialect.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/Tools/Plugins/DialectPlugin.h"

using namespace mlir;

namespace {

struct TestPluginDialect : Dialect {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(TestPluginDialect)
  static constexpr StringRef getDialectNamespace() { return "test_plugin"; }

  explicit TestPluginDialect(MLIRContext *context)
      : Dialect(getDialectNamespace(), context, TypeID::get<TestPluginDialect>()) {
    allowUnknownOperations();
  }
};

} // namespace

extern "C" LLVM_ATTRIBUTE_WEAK DialectPluginLibraryInfo mlirGetDialectPluginInfo() {
  return {MLIR_PLUGIN_API_VERSION, "TestDialect", "1",
          [](DialectRegistry *registry) { registry->insert<TestPluginDialect>(); }};
}
