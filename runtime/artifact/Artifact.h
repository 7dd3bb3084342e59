// Opening NAME.epi: nothing of an artifact is used before its manifest, sizes, digests and plan are
// checked.
#ifndef EPIGRAPH_RUNTIME_ARTIFACT_ARTIFACT_H
#define EPIGRAPH_RUNTIME_ARTIFACT_ARTIFACT_H

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

#include "runtime/artifact/Manifest.h"
#include "runtime/artifact/Plan.h"

namespace epigraph {

/// The names of the files of an artifact, relative to it.
inline constexpr std::string_view kManifestFile = "manifest.json";
inline constexpr std::string_view kPlanFile = "plan.fb";
/// Kernels of a CPU.
inline constexpr std::string_view kKernelsFile = "kernels.so";
/// Kernels of a GPU; and, to read, what they were assembled from.
inline constexpr std::string_view kDeviceKernelsFile = "kernels.cubin";
inline constexpr std::string_view kDeviceAssemblyFile = "kernels.ptx";
inline constexpr std::string_view kTokenizerFile = "tokenizer.json";
/// The IR after codegen, as text, if it was asked for. Nothing that runs reads it.
inline constexpr std::string_view kIrFile = "ir/codegen.mlir";
inline constexpr std::string_view kSharedWeightsFile = "weights/shared.safetensors";
/// "weights/rank-N.safetensors".
std::string rankWeightsFile(uint32_t rank);

/// How much of an artifact open() hashes. Sizes are always checked.
enum class VerifyMode {
  Quick, ///< files under Artifact::kQuickHashBytes: milliseconds
  Full,  ///< all files: as long as reading them takes
};

/// A checked artifact.
class Artifact {
public:
  /// Files smaller than this are hashed in either mode.
  static constexpr uint64_t kQuickHashBytes = 16ull << 20;

  /// Reads the manifest of `directory`, checks every file that it names (there, a regular file,
  /// size, digest), then loads and verifies the plan and checks that it agrees with the manifest.
  /// Errors: NotFound, InvalidArgument, DataLoss (a size or digest differs: file, expected, found),
  /// FailedPrecondition (another format version).
  static absl::StatusOr<Artifact> open(const std::filesystem::path &directory, VerifyMode mode);

  const std::filesystem::path &directory() const { return directory_; }
  const Manifest &manifest() const { return manifest_; }
  const Plan &plan() const { return plan_; }

  /// The full path of `relative`, which must be listed in the manifest (NotFound otherwise).
  absl::StatusOr<std::filesystem::path> file(std::string_view relative) const;

private:
  Artifact(std::filesystem::path directory, Manifest manifest, Plan plan);

  std::filesystem::path directory_;
  Manifest manifest_;
  Plan plan_;
};

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_ARTIFACT_ARTIFACT_H
