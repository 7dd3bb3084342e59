// epigraph._runtime: artifacts, sessions and tokenizers. Loads no part of the compiler.
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "python/bindings/Errors.h"
#include "python/bindings/SessionBinding.h"
#include "runtime/artifact/Artifact.h"
#include "runtime/exec/PlanExecutor.h"
#include "runtime/text/Tokenizer.h"

namespace py = pybind11;

namespace epigraph::python {
namespace {

std::string readManifest(const std::string &path, bool verify) {
  const absl::StatusOr<std::string> json = [&]() -> absl::StatusOr<std::string> {
    py::gil_scoped_release release;
    absl::StatusOr<Artifact> artifact =
        Artifact::open(path, verify ? VerifyMode::Full : VerifyMode::Quick);
    if (!artifact.ok())
      return artifact.status();
    return printManifest(artifact->manifest());
  }();
  return unwrap(json);
}

std::unique_ptr<OwningSession> openSession(const std::string &path, int threads,
                                           uint64_t memoryPool) {
  absl::StatusOr<std::unique_ptr<PlanExecutor>> executor =
      [&]() -> absl::StatusOr<std::unique_ptr<PlanExecutor>> {
    py::gil_scoped_release release;
    absl::StatusOr<Artifact> artifact = Artifact::open(path, VerifyMode::Quick);
    if (!artifact.ok())
      return artifact.status();
    PlanExecutorOptions options;
    options.threads = threads;
    options.memoryPoolBytes = memoryPool;
    return PlanExecutor::create(*artifact, options);
  }();
  return std::make_unique<OwningSession>(unwrap(std::move(executor)));
}

/// Text decoded from tokens is UTF-8: what is not has become U+FFFD.
void bindTokenizer(py::module_ &module) {
  py::class_<Tokenizer>(module, "Tokenizer",
                        "A byte-level BPE tokenizer, from Hugging Face's tokenizer.json.")
      .def(py::init([](const std::string &path) {
             return std::make_unique<Tokenizer>(unwrap(Tokenizer::load(path)));
           }),
           py::arg("path"))
      .def(
          "encode",
          [](const Tokenizer &self, const std::string &text, bool addSpecial) {
            absl::StatusOr<std::vector<int32_t>> ids = [&] {
              py::gil_scoped_release release;
              return self.encode(text, addSpecial);
            }();
            return unwrap(std::move(ids));
          },
          py::arg("text"), py::arg("add_special") = true,
          "The ids of a text; with `add_special`, with the begin-of-sequence token.")
      .def(
          "decode",
          [](const Tokenizer &self, const std::vector<int32_t> &ids, bool skipSpecial) {
            return self.decode(ids, skipSpecial);
          },
          py::arg("ids"), py::arg("skip_special") = true,
          "The text of ids; with `skip_special`, special tokens give nothing.")
      .def_property_readonly("vocab_size", &Tokenizer::vocabSize);
}

} // namespace
} // namespace epigraph::python

PYBIND11_MODULE(_runtime, module) {
  using namespace epigraph::python;
  module.attr("__version__") = EPIGRAPH_VERSION;
  bindSession(module);
  bindTokenizer(module);
  module.def("read_manifest", &readManifest, py::arg("path"), py::arg("verify"));
  module.def("open_session", &openSession, py::arg("path"), py::arg("threads"),
             py::arg("memory_pool"));
}
