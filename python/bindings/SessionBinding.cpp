#include "python/bindings/SessionBinding.h"

#include <string>
#include <tuple>
#include <utility>

#include "python/bindings/Errors.h"

namespace py = pybind11;

namespace epigraph::python {
namespace {

/// Lets Python's signal handlers run. True if one of them raised; the exception stays pending, and
/// `raise` finds it.
bool signalled() {
  py::gil_scoped_acquire gil;
  return PyErr_CheckSignals() != 0;
}

/// Runs `work` without the GIL, one thread at a time. The lock is taken after the GIL is given up
/// and given back before it is taken again, so that the two never wait for each other.
template <typename Work> auto withoutGil(std::mutex &mutex, const Work &work) {
  py::gil_scoped_release release;
  std::lock_guard lock(mutex);
  return work();
}

} // namespace

OwningSession::OwningSession(std::unique_ptr<StepExecutor> executor)
    : executor(std::move(executor)), session(*this->executor, signalled),
      sequences(session.stepDriver()) {}

OwningSession::Floats OwningSession::toArray(std::vector<float> values) const {
  auto owner = std::make_unique<std::vector<float>>(std::move(values));
  const py::ssize_t vocab = info().vocab;
  const py::ssize_t rows = static_cast<py::ssize_t>(owner->size()) / vocab;
  const float *data = owner->data();
  py::capsule base(owner.get(), [](void *p) { delete static_cast<std::vector<float> *>(p); });
  owner.release();
  return Floats({rows, vocab}, data, base);
}

std::vector<std::pair<OwningSession::Ids, uint64_t>>
OwningSession::generate(const std::vector<Ids> &prompts, int32_t maxTokens, const Ids &eos,
                        const std::vector<Sampling> &sampling) {
  std::vector<GenerationRequest> requests;
  for (size_t i = 0; i < prompts.size(); ++i) {
    const auto &[temperature, topK, topP, minP, seed] = sampling.at(i);
    requests.push_back({prompts[i], maxTokens, eos, {temperature, topK, topP, minP, seed}});
  }
  GenerationReport report = unwrap(withoutGil(mutex, [&] { return session.generate(requests); }));
  std::vector<std::pair<Ids, uint64_t>> generated;
  for (GenerationResult &result : report.results)
    generated.emplace_back(std::move(result.ids), result.seed);
  return generated;
}

OwningSession::Floats OwningSession::logits(const Ids &ids) {
  return toArray(unwrap(withoutGil(mutex, [&] { return session.logits(ids); })));
}

OwningSession::Floats OwningSession::mtpLogits(const Ids &ids, const Ids &nextIds) {
  return toArray(unwrap(withoutGil(mutex, [&] { return session.mtpLogits(ids, nextIds); })));
}

std::tuple<double, double, int64_t, std::vector<double>>
OwningSession::perplexity(const Ids &text, int32_t bos, int32_t window) {
  PerplexityReport report =
      unwrap(withoutGil(mutex, [&] { return session.perplexity(text, bos, window); }));
  return {report.nll, report.perplexity, report.tokens, std::move(report.windowNll)};
}

int64_t OwningSession::addSequence() {
  return withoutGil(mutex, [&] { return sequences.add(); });
}

void OwningSession::closeSequence(int64_t sequence) {
  check(withoutGil(mutex, [&] { return sequences.close(sequence); }));
}

int64_t OwningSession::sequenceLength(int64_t sequence) {
  return unwrap(withoutGil(mutex, [&] { return sequences.length(sequence); }));
}

std::vector<OwningSession::Floats>
OwningSession::step(const std::vector<std::pair<int64_t, Ids>> &inputs, bool all) {
  std::vector<SequenceInput> chunks;
  for (const auto &[sequence, ids] : inputs)
    chunks.push_back({sequence, ids});
  const ChunkOutputs outputs = all ? ChunkOutputs::All : ChunkOutputs::Last;
  std::vector<std::vector<float>> logits =
      unwrap(withoutGil(mutex, [&] { return sequences.step(chunks, outputs); }));
  std::vector<Floats> arrays;
  for (std::vector<float> &values : logits)
    arrays.push_back(toArray(std::move(values)));
  return arrays;
}

void bindSession(py::module_ &module) {
  // Local to the module: the other one has a class of the same name.
  py::class_<OwningSession> session(module, "_Session", py::module_local());
  const auto property = [&](const char *name, auto ModelInfo::*field) {
    session.def_property_readonly(
        name, [field](const OwningSession &self) { return self.info().*field; });
  };
  property("architecture", &ModelInfo::architecture);
  property("vocab", &ModelInfo::vocab);
  property("hidden", &ModelInfo::hidden);
  property("ranks", &ModelInfo::ranks);
  property("data_parallel_attention", &ModelInfo::dataParallelAttention);
  property("max_batch_tokens", &ModelInfo::maxBatchTokens);
  property("max_sequences", &ModelInfo::maxSequences);
  property("max_context", &ModelInfo::maxContext);
  property("has_mtp", &ModelInfo::hasMtp);
  session.def("generate", &OwningSession::generate)
      .def("logits", &OwningSession::logits)
      .def("mtp_logits", &OwningSession::mtpLogits)
      .def("perplexity", &OwningSession::perplexity)
      .def("add_sequence", &OwningSession::addSequence)
      .def("close_sequence", &OwningSession::closeSequence)
      .def("sequence_length", &OwningSession::sequenceLength)
      .def("step", &OwningSession::step);
}

} // namespace epigraph::python
