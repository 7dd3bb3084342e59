// What `epigraph run` is asked to continue.
#ifndef EPIGRAPH_TOOLS_EPIGRAPH_PROMPTS_H
#define EPIGRAPH_TOOLS_EPIGRAPH_PROMPTS_H

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "runtime/session/LoadedModel.h"

namespace epigraph::tool {

/// Token ids separated by commas: "0,5,7". Errors: InvalidArgument naming the entry.
absl::StatusOr<std::vector<int32_t>> parseIds(const std::string &text);

/// Reads a file with one JSON object a line: {"prompt": "..."} or {"ids": [...]}, with an optional
/// "max_tokens" in place of `maxTokens`, and numbers of `sampling` by their names on the command
/// line; empty lines are skipped. Errors: InvalidArgument naming file and line.
absl::StatusOr<std::vector<GenerationRequest>> readPrompts(const std::string &path,
                                                           const LoadedModel &model,
                                                           int32_t maxTokens,
                                                           const SamplingOptions &sampling);

} // namespace epigraph::tool

#endif // EPIGRAPH_TOOLS_EPIGRAPH_PROMPTS_H
