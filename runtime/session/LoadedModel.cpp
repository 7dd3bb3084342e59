#include "runtime/session/LoadedModel.h"

#include <string>
#include <utility>

#include "runtime/base/Status.h"

namespace epigraph {

LoadedModel::LoadedModel(Artifact artifact, std::optional<Tokenizer> tokenizer,
                         std::unique_ptr<PlanExecutor> executor, Interrupted interrupted)
    : opened(std::move(artifact)), loadedTokenizer(std::move(tokenizer)),
      planExecutor(std::move(executor)), theSession(*planExecutor, std::move(interrupted)) {}

absl::StatusOr<std::unique_ptr<LoadedModel>>
LoadedModel::load(const std::filesystem::path &directory, const LoadOptions &options,
                  Interrupted interrupted) {
  EPIGRAPH_ASSIGN_OR_RETURN(Artifact artifact, Artifact::open(directory, options.verify));
  std::optional<Tokenizer> tokenizer;
  if (artifact.manifest().files.count(std::string(kTokenizerFile))) {
    EPIGRAPH_ASSIGN_OR_RETURN(const std::filesystem::path path, artifact.file(kTokenizerFile));
    EPIGRAPH_ASSIGN_OR_RETURN(tokenizer, Tokenizer::load(path));
  }
  EPIGRAPH_ASSIGN_OR_RETURN(std::unique_ptr<PlanExecutor> executor,
                            PlanExecutor::create(artifact, options.executor));
  return std::unique_ptr<LoadedModel>(new LoadedModel(std::move(artifact), std::move(tokenizer),
                                                      std::move(executor), std::move(interrupted)));
}

absl::StatusOr<std::vector<int32_t>> LoadedModel::encode(std::string_view text,
                                                         bool addSpecial) const {
  if (!loadedTokenizer)
    return withCode(ErrorCode::NoTokenizer,
                    absl::FailedPreconditionError(absl::StrCat(
                        opened.directory().string(), " has no ", abslView(kTokenizerFile),
                        ": its checkpoint had none; give token ids instead of text")));
  return loadedTokenizer->encode(text, addSpecial);
}

std::vector<int32_t> LoadedModel::endTokens() const {
  const std::vector<uint32_t> &eos = opened.manifest().tokens.eos;
  return {eos.begin(), eos.end()};
}

} // namespace epigraph
