// manifest.json: what an artifact is, what it needs, and what every file of it must be.
#ifndef EPIGRAPH_RUNTIME_ARTIFACT_MANIFEST_H
#define EPIGRAPH_RUNTIME_ARTIFACT_MANIFEST_H

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace epigraph {

/// The manifest, field by field as in the file. Two manifests with the same fields give the same
/// bytes.
struct Manifest {
  /// The version of the artifact format that this build reads and writes.
  static constexpr uint32_t kFormatVersion = 1;

  struct Model {
    std::string architecture; ///< as in config.json: "DeepseekV3ForCausalLM"
    uint32_t vocab = 0;
    uint32_t hidden = 0;
    uint32_t layers = 0;  ///< without the MTP layer
    uint32_t context = 0; ///< positions the model was made for
    bool hasMtp = false;
  };
  struct Target {
    std::string name;                  ///< "cpu:x86-64-v4"
    std::vector<std::string> features; ///< instruction set features that the kernels use, sorted
  };
  struct Limits {
    uint32_t batchTokens = 0; ///< tokens of one rank's batch
    uint32_t sequences = 0;   ///< sequences, and output rows, of one rank's batch
    uint32_t context = 0;     ///< positions of one sequence
    uint32_t pageTokens = 0;  ///< tokens of one page of the caches
  };
  struct Memory {
    uint64_t arenaBytes = 0;           ///< one rank's activations, as planned
    uint64_t arenaNaiveBytes = 0;      ///< the same without reuse
    std::vector<uint64_t> weightBytes; ///< of each rank alone; `ranks` entries
    uint64_t sharedWeightBytes = 0;    ///< mapped by all ranks
    uint64_t cacheBytesPerToken = 0;   ///< all caches, one token of one sequence
  };
  /// Ids that the model's own generation config names.
  struct Tokens {
    std::optional<uint32_t> bos;
    std::vector<uint32_t> eos;
  };
  struct File {
    uint64_t bytes = 0;
    std::string sha256; ///< 64 lower-case hexadecimal digits
  };
  struct Summary {
    uint64_t ops = 0;      ///< of the graph before fusion
    uint64_t fusedOps = 0; ///< of those, inside fused kernels
    uint64_t kernels = 0;
  };

  std::string generator; ///< program and version that wrote it: "epigraph 0.1.0"
  Model model;
  Target target;
  std::string compute; ///< "bf16" or "float32"
  uint32_t ranks = 1;
  std::string attention; ///< "replicated" or "data"
  Limits limits;
  Memory memory;
  Tokens tokens;
  std::map<std::string, File> files; ///< by path relative to the artifact, '/'-separated
  Summary summary;
};

/// Reads and checks a manifest. `source` names it in errors, which name the key. Every key but
/// "tokens" and its members is required; an unknown one, or another format version, is refused
/// (FailedPrecondition for the version, else InvalidArgument).
absl::StatusOr<Manifest> parseManifest(std::string_view json, std::string_view source);

/// The text of manifest.json: sorted keys, two spaces of indentation, a final newline.
/// Strings must be valid UTF-8 (InvalidArgument).
absl::StatusOr<std::string> printManifest(const Manifest &manifest);

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_ARTIFACT_MANIFEST_H
