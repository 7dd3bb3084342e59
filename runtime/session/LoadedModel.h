// An artifact, ready to run: what the command line and Python load.
#ifndef EPIGRAPH_RUNTIME_SESSION_LOADEDMODEL_H
#define EPIGRAPH_RUNTIME_SESSION_LOADEDMODEL_H

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "runtime/artifact/Artifact.h"
#include "runtime/exec/PlanExecutor.h"
#include "runtime/session/Session.h"
#include "runtime/text/Tokenizer.h"

namespace epigraph {

struct LoadOptions {
  PlanExecutorOptions executor;
  VerifyMode verify = VerifyMode::Quick;
};

class LoadedModel {
public:
  /// Opens and checks `directory`, and loads it. Errors: those of Artifact::open, Tokenizer::load
  /// and PlanExecutor::create. `interrupted`: see Session.
  static absl::StatusOr<std::unique_ptr<LoadedModel>> load(const std::filesystem::path &directory,
                                                           const LoadOptions &options,
                                                           Interrupted interrupted = nullptr);

  const Artifact &artifact() const { return opened; }
  const PlanExecutor &executor() const { return *planExecutor; }
  PlanExecutor &executor() { return *planExecutor; }
  Session &session() { return theSession; }

  /// Null when the artifact has none.
  const Tokenizer *tokenizer() const { return loadedTokenizer ? &*loadedTokenizer : nullptr; }

  /// The tokens of `text`. Errors: those of Tokenizer::encode; FailedPrecondition without a
  /// tokenizer.
  absl::StatusOr<std::vector<int32_t>> encode(std::string_view text, bool addSpecial = true) const;

  /// Tokens that end a text.
  std::vector<int32_t> endTokens() const;

private:
  LoadedModel(Artifact artifact, std::optional<Tokenizer> tokenizer,
              std::unique_ptr<PlanExecutor> executor, Interrupted interrupted);

  Artifact opened;
  std::optional<Tokenizer> loadedTokenizer;
  std::unique_ptr<PlanExecutor> planExecutor;
  Session theSession;
};

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_SESSION_LOADEDMODEL_H
