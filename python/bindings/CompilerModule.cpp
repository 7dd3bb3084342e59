// epigraph._compiler: compiling, and the reference interpreter. Loading it loads LLVM.
#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "compiler/driver/Compile.h"
#include "compiler/driver/ReferenceExecutor.h"
#include "python/bindings/Errors.h"
#include "python/bindings/SessionBinding.h"

namespace py = pybind11;

namespace epigraph::python {
namespace {

/// The value of `options[name]` among `choices`; ValueError if it is none of them.
template <typename T>
T choose(const py::dict &options, const char *name,
         std::initializer_list<std::pair<const char *, T>> choices) {
  const std::string found = options[name].cast<std::string>();
  std::string expected;
  for (const auto &[text, value] : choices) {
    if (found == text)
      return value;
    expected += (expected.empty() ? "'" : " or '") + std::string(text) + "'";
  }
  throw py::value_error(std::string(name) + " is '" + found + "'; expected " + expected);
}

/// Which passes run, and on what.
void readPassOptions(const py::dict &dict, CompileOptions &options) {
  options.fusionLevel = dict["fusion_level"].cast<int64_t>();
  options.optimize = choose<bool>(dict, "optimize", {{"all", true}, {"none", false}});
  options.disabledPasses = dict["disable_passes"].cast<std::vector<std::string>>();
  for (const std::string &plugin : dict["pass_plugins"].cast<std::vector<std::string>>())
    options.passPlugins.emplace_back(plugin);
  options.insertedPasses = dict["insert_passes"].cast<std::vector<std::string>>();
  options.startFrom = dict["start_from"].cast<std::string>();
  options.reproducer = dict["reproducer"].cast<std::string>();
  const std::string phase = dict["start_phase"].cast<std::string>();
  if (options.startFrom.empty() != phase.empty())
    throw py::value_error("start_from and start_phase need each other");
  if (phase.empty())
    return;
  const std::optional<Phase> start = phaseFromName(phase);
  if (!start)
    throw py::value_error("start_phase is '" + phase + "'; expected one of " + phaseNames());
  options.startPhase = *start;
}

CompileOptions optionsOf(const std::string &model, const std::string &output,
                         const py::dict &dict) {
  CompileOptions options;
  options.model = model;
  options.output = output;
  options.randomWeights = dict["random_weights"].cast<std::optional<uint64_t>>();
  options.target = dict["target"].cast<std::string>();
  options.ranks = dict["ep"].cast<int64_t>();
  options.tensor = dict["tp"].cast<int64_t>();
  options.tensorMode = choose<TensorMode>(dict, "tp_mode",
                                          {{"auto", TensorMode::Auto},
                                           {"column", TensorMode::Column},
                                           {"row", TensorMode::Row},
                                           {"2d", TensorMode::TwoDimensional}});
  options.expertLoad = dict["expert_load"].cast<std::string>();
  options.redundantExperts = dict["redundant_experts"].cast<int64_t>();
  options.attention = choose<AttentionSharing>(
      dict, "attention",
      {{"replicated", AttentionSharing::Replicated}, {"data", AttentionSharing::Data}});
  options.compute = choose<ComputeType>(
      dict, "compute", {{"bf16", ComputeType::BFloat16}, {"float32", ComputeType::Float32}});
  options.limits.batchTokens = dict["max_batch_tokens"].cast<int64_t>();
  options.limits.sequences = dict["max_seqs"].cast<int64_t>();
  options.limits.maxContext = dict["max_context"].cast<std::optional<int64_t>>();
  options.dumpDirectory = dict["dump_phases"].cast<std::string>();
  readPassOptions(dict, options);
  return options;
}

void compile(const std::string &model, const std::string &output, const py::dict &dict) {
  CompileOptions options = optionsOf(model, output, dict);
  std::atomic<bool> cancelled = false;
  options.cancelled = &cancelled;
  options.progress = [&cancelled](Phase, double) {
    py::gil_scoped_acquire gil;
    // The exception of a signal handler (KeyboardInterrupt) stays pending; `check` finds it.
    if (PyErr_CheckSignals() != 0)
      cancelled = true;
  };
  const absl::Status status = [&] {
    py::gil_scoped_release release;
    return compileModel(options).status();
  }();
  check(status);
}

std::unique_ptr<OwningSession> openReference(const std::string &ir, const std::string &name,
                                             const std::string &model, int ranks) {
  absl::StatusOr<std::unique_ptr<StepExecutor>> executor =
      [&]() -> absl::StatusOr<std::unique_ptr<StepExecutor>> {
    py::gil_scoped_release release;
    ReferenceOptions options;
    options.ranks = ranks;
    return openReferenceExecutor(ir, name, model, options);
  }();
  return std::make_unique<OwningSession>(unwrap(std::move(executor)));
}

} // namespace
} // namespace epigraph::python

PYBIND11_MODULE(_compiler, module) {
  using namespace epigraph::python;
  bindSession(module);
  module.def("compile", &compile, py::arg("model"), py::arg("output"), py::arg("options"));
  module.def("open_reference", &openReference, py::arg("ir"), py::arg("name"), py::arg("model"),
             py::arg("ranks"));
}
