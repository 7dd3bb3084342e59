// A Hugging Face checkpoint folder as one set of tensors, whether it lies in one file or in many
// shards.
#ifndef EPIGRAPH_RUNTIME_ARTIFACT_CHECKPOINT_H
#define EPIGRAPH_RUNTIME_ARTIFACT_CHECKPOINT_H

#include <cstdint>
#include <filesystem>
#include <map>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

#include "runtime/artifact/Safetensors.h"

namespace epigraph {

/// The tensors of `model.safetensors`, or of the shards that `model.safetensors.index.json` names.
class Checkpoint {
public:
  /// Maps and verifies every file of `directory`. A folder with both a single file and an index is
  /// read as the single file, as `transformers` does. Errors name the file and tensor: a shard that
  /// is missing or lies outside the folder, a tensor that the index and the shards place
  /// differently or that two shards hold.
  static absl::StatusOr<Checkpoint> open(const std::filesystem::path &directory);

  /// A model of which there is only a description: `model` is a config.json under any name, or the
  /// folder that holds it. It has no tensors, whatever else lies there.
  /// Errors: NotFound.
  static absl::StatusOr<Checkpoint> describedBy(const std::filesystem::path &model);

  /// Whether there are tensors, rather than a description of a model alone.
  bool hasTensors() const { return !shards_.empty(); }

  /// The tensor called `name`, or null. Valid as long as this object, also after a move.
  const StoredTensor *find(std::string_view name) const;

  /// All tensors, in the order of their names.
  absl::Span<const StoredTensor *const> tensors() const { return ordered_; }

  /// Bytes of all tensors.
  uint64_t totalBytes() const { return totalBytes_; }
  const std::filesystem::path &directory() const { return directory_; }
  /// What describes the model: config.json, if it has the usual name.
  const std::filesystem::path &configFile() const { return configFile_; }

private:
  absl::Status addShard(const std::filesystem::path &path);
  absl::Status openShards(const std::filesystem::path &indexPath);
  void index();

  std::filesystem::path directory_;
  std::filesystem::path configFile_;
  std::vector<SafetensorsFile> shards_;
  std::vector<std::string> shardNames_;
  std::vector<const StoredTensor *> ordered_; ///< by name
  uint64_t totalBytes_ = 0;
};

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_ARTIFACT_CHECKPOINT_H
