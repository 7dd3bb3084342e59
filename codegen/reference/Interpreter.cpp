#include "codegen/reference/Interpreter.h"

#include <thread>

#include "codegen/reference/Evaluator.h"

using namespace mlir;

namespace epigraph::reference {

static int threadsOf(const InterpreterOptions &options, int ranks) {
  int threads =
      options.threads > 0 ? options.threads : static_cast<int>(std::thread::hardware_concurrency());
  return std::max(1, threads / ranks);
}

Interpreter::Interpreter(ModuleOp module, WeightSource &source, InterpreterOptions options)
    : module(module), options(options), shape(MeshShape::of(module, {options.ranks, 1})),
      threadsPerRank(threadsOf(options, shape.ranks())), symbols(module),
      weights(module, source,
              {.mesh = shape,
               .workers = Workers{threadsPerRank},
               .roundToTypes = options.roundToTypes}),
      mesh(shape.expert, shape.tensor, {.deadline = options.deadline, .spin = false}) {}

/// What the types of the function cannot promise about inputs that come from outside the IR.
LogicalResult Interpreter::check(func::FuncOp function, ArrayRef<RankInput> inputs) {
  if (!function.getBody().hasOneBlock())
    return function.emitError("the reference target runs functions of one block");
  if (static_cast<int>(inputs.size()) != ranks())
    return function.emitError("runs on ")
           << ranks() << " ranks, but got inputs for " << inputs.size();
  for (const RankInput &input : inputs) {
    size_t next = 0;
    for (auto [index, type] : llvm::enumerate(function.getArgumentTypes())) {
      if (isa<epi::StepType>(type))
        continue;
      auto tensor = dyn_cast<RankedTensorType>(type);
      if (!tensor)
        return function.emitError("argument ") << index << " is neither a tensor nor a step";
      if (next == input.tensors.size())
        return function.emitError("got no value for argument ") << index << ", " << type;
      const Tensor &value = input.tensors[next++];
      bool fits =
          value.rank() == tensor.getRank() && value.isInt() == tensor.getElementType().isInteger();
      for (unsigned i = 0; fits && i < tensor.getRank(); ++i)
        fits = tensor.isDynamicDim(i) || tensor.getDimSize(i) == value.dim(i);
      if (!fits)
        return function.emitError("the value of argument ") << index << " is not a " << type;
    }
    if (next != input.tensors.size())
      return function.emitError("takes ") << next << " tensors, got " << input.tensors.size();
  }
  return success();
}

/// The input's tensors and the step, in the order of the parameters.
static RuntimeValues argumentsOf(func::FuncOp function, const RankInput &input) {
  RuntimeValues arguments;
  size_t next = 0;
  for (Type type : function.getArgumentTypes())
    if (isa<epi::StepType>(type))
      arguments.push_back(StepValue{});
    else
      arguments.push_back(shared(input.tensors[next++]));
  return arguments;
}

FailureOr<std::vector<RankResult>> Interpreter::run(StringRef name, ArrayRef<RankInput> inputs,
                                                    InterpreterState &state) {
  auto function = symbols.lookup<func::FuncOp>(name);
  if (!function || function.isExternal())
    return module.emitError("the module has no function @") << name << " with a body";
  if (failed(check(function, inputs)))
    return failure();
  mesh.reset();
  std::atomic<bool> errorReported{false};
  std::vector<FailureOr<RuntimeValues>> outcomes(inputs.size(), failure());
  auto runRank = [&](int rank, CacheSet &caches) {
    const RankInput &input = inputs[static_cast<size_t>(rank)];
    Evaluator evaluator({.rank = rank,
                         .mesh = mesh,
                         .step = input.step,
                         .caches = caches,
                         .weights = weights,
                         .symbols = symbols,
                         .workers = Workers{threadsPerRank},
                         .roundToTypes = options.roundToTypes,
                         .errorReported = errorReported,
                         .tracer = options.tracer});
    outcomes[static_cast<size_t>(rank)] = evaluator.run(function, argumentsOf(function, input));
  };
  {
    std::vector<std::jthread> others;
    for (int rank = 1; rank < ranks(); ++rank)
      others.emplace_back(runRank, rank, std::ref(state.caches(rank)));
    runRank(0, state.caches(0));
  }
  std::vector<RankResult> results;
  for (FailureOr<RuntimeValues> &outcome : outcomes) {
    if (failed(outcome))
      return failure();
    RankResult &result = results.emplace_back();
    for (RuntimeValue &value : *outcome)
      if (auto *tensor = std::get_if<TensorRef>(&value))
        result.push_back(std::move(*tensor));
  }
  return results;
}

} // namespace epigraph::reference
