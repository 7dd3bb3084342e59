// How `epigraph run` prints what it generated.
#ifndef EPIGRAPH_TOOLS_EPIGRAPH_RUNREPORT_H
#define EPIGRAPH_TOOLS_EPIGRAPH_RUNREPORT_H

#include <optional>
#include <vector>

#include "runtime/session/LoadedModel.h"

namespace epigraph::tool {

/// Prints one text as its tokens come; token ids, separated by spaces, where there is no tokenizer.
class TextStream {
public:
  explicit TextStream(const Tokenizer *tokenizer);
  void push(int32_t token);
  /// Ends the line.
  void finish();
  /// Whether anything was pushed.
  bool hasBegun() const { return begun; }

private:
  bool begun = false;
  std::optional<StreamDecoder> decoder;
};

/// One text a line; line breaks inside a text are printed as they are.
void printTexts(const LoadedModel &model, const GenerationReport &report);

/// Load time, tokens and rates, and the seed of a text that was sampled, on standard error when it
/// is a terminal.
void printTimings(absl::Span<const GenerationRequest> requests, const GenerationReport &report,
                  double loadSeconds);

/// One JSON object on standard output. `many`: results as a list, also of one.
void printJson(const LoadedModel &model, absl::Span<const GenerationRequest> requests,
               const GenerationReport &report, double loadSeconds, bool many);

} // namespace epigraph::tool

#endif // EPIGRAPH_TOOLS_EPIGRAPH_RUNREPORT_H
