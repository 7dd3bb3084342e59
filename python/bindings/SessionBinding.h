// epigraph._runtime._Session and epigraph._compiler._Session: one class, bound in both modules, so
// that a compiled artifact and the reference interpreter are driven alike.
#ifndef EPIGRAPH_PYTHON_BINDINGS_SESSIONBINDING_H
#define EPIGRAPH_PYTHON_BINDINGS_SESSIONBINDING_H

#include <memory>
#include <mutex>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "runtime/exec/StepExecutor.h"
#include "runtime/session/OpenSequences.h"
#include "runtime/session/Session.h"

namespace epigraph::python {

/// A session that owns its executor. Calls release the GIL; calls from several threads take turns.
class OwningSession {
public:
  using Ids = std::vector<int32_t>;
  using Floats = pybind11::array_t<float>;

  explicit OwningSession(std::unique_ptr<StepExecutor> executor);

  const ModelInfo &info() const { return session.info(); }

  /// As epigraph.Sampling: temperature, top_k, top_p, min_p, seed.
  using Sampling = std::tuple<double, int32_t, double, double, std::optional<uint64_t>>;
  /// Of each prompt the tokens, and the seed that they follow from. `sampling`: one for each
  /// prompt.
  std::vector<std::pair<Ids, uint64_t>> generate(const std::vector<Ids> &prompts, int32_t maxTokens,
                                                 const Ids &eos,
                                                 const std::vector<Sampling> &sampling);
  Floats logits(const Ids &ids);
  Floats mtpLogits(const Ids &ids, const Ids &nextIds);
  /// (mean nll, perplexity, tokens, mean nll of each window).
  std::tuple<double, double, int64_t, std::vector<double>> perplexity(const Ids &text, int32_t bos,
                                                                      int32_t window);
  int64_t addSequence();
  void closeSequence(int64_t sequence);
  int64_t sequenceLength(int64_t sequence);
  std::vector<Floats> step(const std::vector<std::pair<int64_t, Ids>> &inputs, bool all);

private:
  /// [rows][vocab], without a copy.
  Floats toArray(std::vector<float> values) const;

  std::unique_ptr<StepExecutor> executor;
  std::mutex mutex;
  Session session;
  OpenSequences sequences;
};

/// Defines the class `_Session` in `module`.
void bindSession(pybind11::module_ &module);

} // namespace epigraph::python

#endif // EPIGRAPH_PYTHON_BINDINGS_SESSIONBINDING_H
