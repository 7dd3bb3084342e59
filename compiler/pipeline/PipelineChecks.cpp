// Whether the passes that a user leaves out or inserts can be: asked before any work is done.
#include "mlir/Pass/PassRegistry.h"

#include "absl/strings/str_join.h"

#include "compiler/pipeline/Pipeline.h"
#include "runtime/base/Status.h"

using namespace mlir;

namespace epigraph {
namespace {

/// Passes of all phases, whatever the target.
std::vector<ListedPass> allPasses() {
  PipelineOptions all;
  all.fusionLevel = kMaxFusionLevel;
  all.fp8Activations = true;
  all.gatedEpilogues = true;
  all.appendsInRows = true;
  all.rotatesQueries = true;
  all.fusedPermutation = true;
  all.peerExchanges = true;
  all.sampleOnTarget = true;
  std::vector<ListedPass> result;
  for (Phase phase : kPhases)
    llvm::move(passesOf(phase, all), std::back_inserter(result));
  return result;
}

absl::Status checkDisabled(const std::string &flag, llvm::ArrayRef<ListedPass> passes) {
  bool exists = false;
  for (const ListedPass &listed : passes) {
    if (listed.pass->getArgument() != flag)
      continue;
    if (!listed.isOptional())
      return withCode(ErrorCode::NeededPass,
                      absl::InvalidArgumentError(absl::StrCat(
                          "--disable-pass=", flag,
                          ": this pass cannot be left out: ", listed.neededBecause.str(),
                          "; those that may be are ", absl::StrJoin(optionalPasses(), ", "))));
    exists = true;
  }
  if (exists)
    return absl::OkStatus();
  return withCode(ErrorCode::UnknownPass,
                  absl::InvalidArgumentError(absl::StrCat(
                      "--disable-pass=", flag, ": no pass of the pipeline is called that; those ",
                      "that may be left out are ", absl::StrJoin(optionalPasses(), ", "))));
}

absl::Status badInsertion(llvm::StringRef text, const std::string &problem) {
  return withCode(ErrorCode::BadInsertedPass, absl::InvalidArgumentError(absl::StrCat(
                                                  "--insert-pass=", text.str(), ": ", problem)));
}

absl::Status checkInserted(const InsertedPass &inserted) {
  if (inserted.phase == Phase::Pack)
    return badInsertion(inserted.pipeline, "the phase pack writes files and runs no passes; insert "
                                           "it at codegen or earlier");
  std::string errors;
  llvm::raw_string_ostream stream(errors);
  OpPassManager passes("builtin.module", OpPassManager::Nesting::Implicit);
  if (succeeded(parsePassPipeline(inserted.pipeline, passes, stream)))
    return absl::OkStatus();
  // The first line; those after it only point into the text.
  auto [first, unused] = llvm::StringRef(errors).split('\n');
  auto [prefix, problem] = first.split("error: ");
  return badInsertion(inserted.pipeline,
                      absl::StrCat((problem.empty() ? first : problem).str(),
                                   "; `epigraph-opt --help` lists passes, and those of a plugin "
                                   "need --load-pass-plugin"));
}

} // namespace

absl::StatusOr<InsertedPass> parseInsertedPass(llvm::StringRef text) {
  auto [pipeline, name] = text.rsplit('@');
  if (pipeline.empty() || name.empty())
    return badInsertion(
        text, "expected NAME@PHASE or NAME{options}@PHASE, with one of the phases " + phaseNames());
  std::optional<Phase> phase = phaseFromName({name.data(), name.size()});
  if (!phase)
    return withCode(ErrorCode::UnknownPhase, absl::InvalidArgumentError(absl::StrCat(
                                                 "--insert-pass=", text.str(), ": '", name.str(),
                                                 "' is not one of ", phaseNames())));
  return InsertedPass{pipeline.str(), *phase};
}

std::vector<std::string> optionalPasses() {
  std::vector<std::string> flags;
  for (const ListedPass &listed : allPasses()) {
    std::string flag = listed.pass->getArgument().str();
    if (listed.isOptional() && !llvm::is_contained(flags, flag))
      flags.push_back(std::move(flag));
  }
  return flags;
}

absl::Status checkPipeline(const PipelineOptions &options) {
  if (options.fusionLevel < 0 || options.fusionLevel > kMaxFusionLevel)
    return withCode(ErrorCode::BadLimit, absl::InvalidArgumentError(
                                             absl::StrCat("--fusion-level is ", options.fusionLevel,
                                                          "; expected 0 to ", kMaxFusionLevel)));
  std::vector<ListedPass> passes = allPasses();
  for (const std::string &flag : options.disabled)
    EPIGRAPH_RETURN_IF_ERROR(checkDisabled(flag, passes));
  for (const InsertedPass &inserted : options.inserted)
    EPIGRAPH_RETURN_IF_ERROR(checkInserted(inserted));
  return absl::OkStatus();
}

} // namespace epigraph
