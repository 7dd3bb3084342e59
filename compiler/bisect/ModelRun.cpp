#include "compiler/bisect/ModelRun.h"

#include <cmath>
#include <limits>

#include "runtime/base/Status.h"

using namespace mlir;

namespace epigraph::bisection {
namespace {

using reference::Tensor;

/// The name of an argument or result to the runtime.
StringRef nameOf(DictionaryAttr attributes) {
  auto name = attributes ? attributes.getAs<StringAttr>("epi.name") : StringAttr();
  return name ? name.getValue() : StringRef();
}

class Run {
public:
  Run(ModuleOp module, const RunSetup &setup)
      : module_(module), setup_(setup),
        interpreter_(module, setup.weights,
                     {.ranks = 1, .roundToTypes = setup.roundToTypes, .tracer = setup.tracer}) {}

  absl::StatusOr<std::vector<Output>> run() {
    for (size_t step = 0; step < setup_.script.size(); ++step) {
      const ScriptStep &now = setup_.script[step];
      const bool decodes = now.decodes && module_.lookupSymbol<func::FuncOp>("decode");
      EPIGRAPH_RETURN_IF_ERROR(runFunction(decodes ? "decode" : "main", step, now.batch));
      if (!module_.lookupSymbol<func::FuncOp>("mtp"))
        continue;
      StepBatch batch = now.batch;
      batch.ids = now.nextIds;
      for (const Output &output : outputs_)
        if (output.step == step && output.name == "hidden")
          batch.hidden = output.value->floatVector();
      EPIGRAPH_RETURN_IF_ERROR(runFunction("mtp", step, batch));
    }
    return std::move(outputs_);
  }

private:
  absl::Status runFunction(StringRef name, size_t step, const StepBatch &batch) {
    auto function = module_.lookupSymbol<func::FuncOp>(name);
    if (!function)
      return absl::InvalidArgumentError(absl::StrCat("the module has no function @", name.str()));
    EPIGRAPH_ASSIGN_OR_RETURN(reference::RankInput input, inputOf(function, batch));
    std::vector<reference::RankInput> inputs(static_cast<size_t>(interpreter_.ranks()), input);
    if (setup_.tracer)
      setup_.tracer->beginStep(name, step);
    FailureOr<std::vector<reference::RankResult>> results = interpreter_.run(name, inputs, state_);
    if (failed(results))
      return setup_.diagnostics.takeErrors(absl::StatusCode::kAborted,
                                           absl::StrCat("step ", step, " of @", name.str()));
    for (auto [i, value] : llvm::enumerate(results->front()))
      outputs_.push_back({name.str(),
                          nameOf(function.getResultAttrDict(static_cast<unsigned>(i))).str(), step,
                          value});
    return absl::OkStatus();
  }

  absl::StatusOr<reference::RankInput> inputOf(func::FuncOp function, const StepBatch &batch) {
    reference::RankInput input;
    input.step = batch;
    const int64_t tokens = static_cast<int64_t>(batch.ids.size());
    for (unsigned i = 0; i < function.getNumArguments(); ++i) {
      auto type = dyn_cast<RankedTensorType>(function.getArgumentTypes()[i]);
      StringRef name = nameOf(function.getArgAttrDict(i));
      if (!type)
        continue;
      if (name == "hidden" && type.getRank() == 2 &&
          static_cast<int64_t>(batch.hidden.size()) == tokens * type.getDimSize(1))
        input.tensors.emplace_back(reference::Shape{tokens, type.getDimSize(1)}, batch.hidden);
      else if (name == "ids")
        input.tensors.emplace_back(reference::Shape{tokens}, batch.ids);
      else
        return absl::InvalidArgumentError(absl::StrCat(
            "argument ", i, " of @", function.getName().str(), " is neither ids nor hidden"));
    }
    return input;
  }

  ModuleOp module_;
  const RunSetup &setup_;
  reference::Interpreter interpreter_;
  reference::InterpreterState state_;
  std::vector<Output> outputs_;
};

} // namespace

absl::StatusOr<std::vector<Output>> runModel(ModuleOp module, const RunSetup &setup) {
  return Run(module, setup).run();
}

Distance distanceOf(const Tensor &actual, const Tensor &expected) {
  constexpr double kInfinite = std::numeric_limits<double>::infinity();
  if (actual.elements() != expected.elements() || actual.isInt() != expected.isInt())
    return {kInfinite, kInfinite};
  double squares = 0, expectedSquares = 0, largest = 0;
  for (size_t i = 0; i < static_cast<size_t>(expected.elements()); ++i) {
    const double a = actual.isInt() ? actual.intVector()[i] : actual.floatVector()[i];
    const double b = expected.isInt() ? expected.intVector()[i] : expected.floatVector()[i];
    if (a == b || (std::isnan(a) && std::isnan(b)))
      continue;
    const double difference = std::isfinite(a) && std::isfinite(b) ? std::abs(a - b) : kInfinite;
    squares += difference * difference;
    largest = std::max(largest, difference);
  }
  for (size_t i = 0; i < static_cast<size_t>(expected.elements()); ++i) {
    const double b = expected.isInt() ? expected.intVector()[i] : expected.floatVector()[i];
    expectedSquares += std::isfinite(b) ? b * b : 0;
  }
  if (squares == 0)
    return {};
  return {expectedSquares > 0 ? std::sqrt(squares / expectedSquares) : kInfinite, largest};
}

std::optional<std::pair<size_t, Distance>>
firstDifference(ArrayRef<Output> actual, ArrayRef<Output> expected, double tolerance) {
  for (size_t i = 0; i < expected.size(); ++i) {
    const Distance distance = i < actual.size()
                                  ? distanceOf(*actual[i].value, *expected[i].value)
                                  : Distance{std::numeric_limits<double>::infinity(), 0};
    if (distance.relative > tolerance)
      return std::pair(i, distance);
  }
  return std::nullopt;
}

} // namespace epigraph::bisection
