#include "runtime/artifact/Artifact.h"

#include <system_error>

#include "runtime/artifact/KernelAbi.h"
#include "runtime/artifact/Sha256.h"
#include "runtime/base/FileSystem.h"
#include "runtime/base/Status.h"

namespace epigraph {
namespace {

/// An artifact of 1,000 ranks lists some 1,000 files.
constexpr uint64_t kMaxManifestBytes = 16ull << 20;

/// Checks one file of the artifact against what the manifest says of it.
absl::Status checkFile(const std::filesystem::path &path, const Manifest::File &expected,
                       VerifyMode mode) {
  EPIGRAPH_ASSIGN_OR_RETURN(uint64_t size, fileSize(path));
  if (size != expected.bytes)
    return withCode(ErrorCode::WrongFileSize,
                    absl::DataLossError(absl::StrCat("'", path.string(), "' has ", size,
                                                     " bytes; the manifest says ", expected.bytes,
                                                     "; copy or compile the artifact again")));
  if (mode == VerifyMode::Quick && size >= Artifact::kQuickHashBytes)
    return absl::OkStatus();
  EPIGRAPH_ASSIGN_OR_RETURN(std::string found, sha256HexOfFile(path));
  if (found != expected.sha256)
    return withCode(ErrorCode::WrongDigest,
                    absl::DataLossError(absl::StrCat("'", path.string(), "' has sha256 ", found,
                                                     "; the manifest says ", expected.sha256,
                                                     "; copy or compile the artifact again")));
  return absl::OkStatus();
}

/// The files without which nothing can run. The kernels' name depends on the target.
absl::Status checkRequiredFiles(const Manifest &manifest) {
  std::vector<std::string> required = {std::string(kPlanFile), std::string(kSharedWeightsFile)};
  for (uint32_t rank = 0; rank < manifest.ranks; ++rank)
    required.push_back(rankWeightsFile(rank));
  for (const std::string &file : required)
    if (manifest.files.find(file) == manifest.files.end())
      return withCode(ErrorCode::BadManifest,
                      absl::InvalidArgumentError(absl::StrCat("files.", file, ": missing")));
  return absl::OkStatus();
}

absl::Status differ(std::string_view key, uint64_t manifest, uint64_t plan) {
  return withCode(ErrorCode::MixedArtifact,
                  absl::InvalidArgumentError(absl::StrCat("the manifest says ", abslView(key), " ",
                                                          manifest, ", the plan ", plan,
                                                          "; compile the artifact again")));
}

absl::Status checkAgreement(const Manifest &manifest, const Plan &plan) {
  const plan::Limits &limits = *plan->limits();
  const std::tuple<std::string_view, uint64_t, uint64_t> pairs[] = {
      {"ranks", manifest.ranks, plan->ranks()},
      {"limits.batch_tokens", manifest.limits.batchTokens, limits.batch_tokens()},
      {"limits.sequences", manifest.limits.sequences, limits.sequences()},
      {"limits.context", manifest.limits.context, limits.context()},
      {"limits.page_tokens", manifest.limits.pageTokens, limits.page_tokens()},
      {"memory.arena_bytes", manifest.memory.arenaBytes, plan->arena_bytes()},
  };
  for (const auto &[key, fromManifest, fromPlan] : pairs)
    if (fromManifest != fromPlan)
      return differ(key, fromManifest, fromPlan);
  bool data = plan->attention() == plan::Attention::Data;
  if ((manifest.attention == "data") != data)
    return withCode(ErrorCode::MixedArtifact, absl::InvalidArgumentError(absl::StrCat(
                                                  "the manifest says attention ",
                                                  manifest.attention, ", the plan the other")));
  if (manifest.model.hasMtp != (plan.function("mtp") != nullptr))
    return withCode(ErrorCode::MixedArtifact,
                    absl::InvalidArgumentError("model.has_mtp and the plan's functions disagree"));
  return absl::OkStatus();
}

absl::StatusOr<Manifest> readManifest(const std::filesystem::path &directory) {
  std::filesystem::path path = directory / kManifestFile;
  std::error_code error;
  if (!std::filesystem::is_directory(directory, error))
    return withCode(ErrorCode::NotAnArtifact,
                    absl::NotFoundError(
                        absl::StrCat("artifact '", directory.string(),
                                     "' is not a folder; expected what epigraph compile wrote")));
  absl::StatusOr<std::string> text = readFile(path, kMaxManifestBytes);
  if (!text.ok())
    return withContext(text.status(), absl::StrCat("artifact '", directory.string(), "'"));
  EPIGRAPH_ASSIGN_OR_RETURN(Manifest manifest,
                            withCode(ErrorCode::BadManifest, parseManifest(*text, path.string())));
  EPIGRAPH_RETURN_IF_ERROR(withContext(checkRequiredFiles(manifest), path.string()));
  return manifest;
}

} // namespace

std::string rankWeightsFile(uint32_t rank) {
  return absl::StrCat("weights/rank-", rank, ".safetensors");
}

Artifact::Artifact(std::filesystem::path directory, Manifest manifest, Plan plan)
    : directory_(std::move(directory)), manifest_(std::move(manifest)), plan_(std::move(plan)) {}

absl::StatusOr<Artifact> Artifact::open(const std::filesystem::path &directory, VerifyMode mode) {
  EPIGRAPH_ASSIGN_OR_RETURN(Manifest manifest, readManifest(directory));
  for (const auto &[relative, expected] : manifest.files)
    EPIGRAPH_RETURN_IF_ERROR(withContext(checkFile(directory / relative, expected, mode),
                                         absl::StrCat("artifact '", directory.string(), "'")));
  EPIGRAPH_ASSIGN_OR_RETURN(Plan plan,
                            withCode(ErrorCode::BadPlan, Plan::open(directory / kPlanFile)));
  EPIGRAPH_RETURN_IF_ERROR(withContext(checkAgreement(manifest, plan), directory.string()));
  return Artifact(directory, std::move(manifest), std::move(plan));
}

absl::StatusOr<std::filesystem::path> Artifact::file(std::string_view relative) const {
  if (manifest_.files.find(std::string(relative)) == manifest_.files.end())
    return absl::NotFoundError(absl::StrCat("artifact '", directory_.string(), "' has no file ",
                                            abslView(relative), "; its manifest does not list it"));
  return directory_ / relative;
}

} // namespace epigraph
