// Runs modules given as text, with weights given by the test.
#ifndef EPIGRAPH_TEST_CODEGEN_REFERENCE_INTERPRETERHARNESS_H
#define EPIGRAPH_TEST_CODEGEN_REFERENCE_INTERPRETERHARNESS_H

#include "codegen/reference/Interpreter.h"
#include "mlir/Parser/Parser.h"
#include "test/codegen/reference/Samples.h"

namespace epigraph::reference {

/// Weights by name; everything else is sampled from its name. Counts what is loaded.
class TestWeights : public WeightSource {
public:
  std::map<std::string, Tensor> given;
  std::map<std::string, int> loads;

  absl::StatusOr<Tensor> load(std::string_view name, mlir::RankedTensorType type) override {
    std::string key(name);
    ++loads[key];
    if (auto found = given.find(key); found != given.end())
      return found->second;
    if (key == "missing")
      return absl::NotFoundError("weight \"missing\" is not there");
    int seed = 0;
    for (char c : key)
      seed += c;
    return sample(Shape(type.getShape().begin(), type.getShape().end()), seed);
  }
};

/// One module and what its runs say.
class Program {
public:
  explicit Program(const std::string &text, InterpreterOptions options = {.threads = 1})
      : handler(&context, [this](mlir::Diagnostic &diagnostic) {
          std::string line;
          llvm::raw_string_ostream stream(line);
          if (auto name = llvm::dyn_cast<mlir::NameLoc>(diagnostic.getLocation()))
            stream << name.getName().getValue() << ": ";
          stream << diagnostic;
          for (mlir::Diagnostic &note : diagnostic.getNotes())
            stream << " / " << note;
          said.push_back(line);
          return mlir::success();
        }) {
    context.printOpOnDiagnostic(false);
    context
        .loadDialect<epi::EpiDialect, ep::EpDialect, exec::ExecDialect, mlir::func::FuncDialect>();
    module = mlir::parseSourceString<mlir::ModuleOp>(text, mlir::ParserConfig(&context));
    EXPECT_TRUE(module) << testing::PrintToString(said);
    if (module)
      interpreter.emplace(*module, weights, options);
  }

  /// The results on each rank; empty after a failure, which `said` tells of.
  std::vector<RankResult> run(const std::vector<RankInput> &inputs,
                              llvm::StringRef function = "main") {
    said.clear();
    auto results = interpreter->run(function, inputs, state);
    return mlir::failed(results) ? std::vector<RankResult>() : *results;
  }

  /// The only result on one rank. A step without tokens where none is given.
  Tensor runOne(std::vector<Tensor> tensors, StepBatch step = {}) {
    std::vector<RankResult> results = run({{std::move(tensors), std::move(step)}});
    EXPECT_EQ(results.size(), 1u) << testing::PrintToString(said);
    return results.empty() ? Tensor() : *results.front().front();
  }

  mlir::MLIRContext context;
  std::vector<std::string> said; ///< diagnostics of the last run, each with its notes
  mlir::ScopedDiagnosticHandler handler;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  TestWeights weights;
  InterpreterState state;
  std::optional<Interpreter> interpreter;
};

} // namespace epigraph::reference

#endif // EPIGRAPH_TEST_CODEGEN_REFERENCE_INTERPRETERHARNESS_H
