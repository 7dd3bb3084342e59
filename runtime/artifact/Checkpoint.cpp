#include "runtime/artifact/Checkpoint.h"

#include <algorithm>
#include <set>
#include <system_error>

#include "runtime/base/FileSystem.h"
#include "runtime/base/Json.h"
#include "runtime/base/Status.h"

namespace epigraph {
namespace {

constexpr std::string_view kSingleFile = "model.safetensors";
constexpr std::string_view kConfigFile = "config.json";
constexpr std::string_view kIndexFile = "model.safetensors.index.json";
/// The index of a checkpoint of 100,000 tensors has about 10 MB.
constexpr uint64_t kMaxIndexBytes = 256ull << 20;

/// "weight_map": tensor name to file name. Files must lie in the folder of the index.
absl::StatusOr<std::map<std::string, std::string>>
readIndex(const std::filesystem::path &indexPath) {
  EPIGRAPH_ASSIGN_OR_RETURN(std::string text, readFile(indexPath, kMaxIndexBytes));
  EPIGRAPH_ASSIGN_OR_RETURN(nlohmann::json json, parseJson(text, indexPath.string()));
  absl::Status status;
  JsonObject root(json, indexPath.string(), &status);
  JsonObject weightMap = root.object("weight_map");
  std::map<std::string, std::string> placement;
  for (const auto &[tensor, unused] : weightMap.value().items()) {
    std::string file;
    weightMap.read(tensor, file);
    if (status.ok() && (!isContainedPath(file) || file.find('/') != file.npos))
      weightMap.fail(tensor,
                     absl::StrCat("\"", file, "\" is not the name of a file beside the index"));
    placement.emplace(tensor, std::move(file));
  }
  EPIGRAPH_RETURN_IF_ERROR(status);
  if (placement.empty())
    return withCode(ErrorCode::WrongIndex, absl::InvalidArgumentError(absl::StrCat(
                                               indexPath.string(), ": weight_map is empty")));
  return placement;
}

} // namespace

absl::StatusOr<Checkpoint> Checkpoint::open(const std::filesystem::path &directory) {
  Checkpoint result;
  result.directory_ = directory;
  result.configFile_ = directory / kConfigFile;
  std::error_code error;
  if (!std::filesystem::is_directory(directory, error))
    return withCode(
        ErrorCode::NoCheckpoint,
        absl::NotFoundError(absl::StrCat("checkpoint '", directory.string(),
                                         "' is not a folder; expected one that holds ",
                                         abslView(kSingleFile), " or ", abslView(kIndexFile))));
  if (std::filesystem::exists(directory / kSingleFile, error)) {
    EPIGRAPH_RETURN_IF_ERROR(result.addShard(directory / kSingleFile));
  } else if (std::filesystem::exists(directory / kIndexFile, error)) {
    EPIGRAPH_RETURN_IF_ERROR(result.openShards(directory / kIndexFile));
  } else {
    return withCode(
        ErrorCode::NoSafetensors,
        absl::NotFoundError(absl::StrCat("checkpoint '", directory.string(), "' holds neither ",
                                         abslView(kSingleFile), " nor ", abslView(kIndexFile),
                                         "; other formats must be converted to safetensors")));
  }
  result.index();
  return result;
}

absl::StatusOr<Checkpoint> Checkpoint::describedBy(const std::filesystem::path &model) {
  Checkpoint result;
  std::error_code error;
  const bool isFolder = std::filesystem::is_directory(model, error);
  result.configFile_ = isFolder ? model / kConfigFile : model;
  result.directory_ = result.configFile_.parent_path();
  if (!std::filesystem::is_regular_file(result.configFile_, error))
    return withCode(
        ErrorCode::NoCheckpoint,
        absl::NotFoundError(absl::StrCat(
            "model '", model.string(), "' is neither a config.json nor a folder that holds one")));
  return result;
}

absl::Status Checkpoint::addShard(const std::filesystem::path &path) {
  EPIGRAPH_ASSIGN_OR_RETURN(SafetensorsFile file, SafetensorsFile::open(path));
  shards_.push_back(std::move(file));
  return absl::OkStatus();
}

absl::Status Checkpoint::openShards(const std::filesystem::path &indexPath) {
  EPIGRAPH_ASSIGN_OR_RETURN(auto placement, readIndex(indexPath));
  std::set<std::string> files;
  for (const auto &[tensor, file] : placement)
    files.insert(file);

  std::map<std::string_view, std::string_view>
      found; // Tensor to file; views of `files` and shards_.
  shards_.reserve(files.size());
  for (const std::string &file : files) {
    EPIGRAPH_RETURN_IF_ERROR(withContext(addShard(directory_ / file), indexPath.string()));
    for (const StoredTensor &tensor : shards_.back().tensors()) {
      auto [it, inserted] = found.emplace(tensor.name, file);
      if (!inserted)
        return withCode(ErrorCode::WrongIndex,
                        absl::InvalidArgumentError(
                            absl::StrCat(indexPath.string(), ": tensor \"", tensor.name,
                                         "\" is in both ", abslView(it->second), " and ", file)));
      auto placed = placement.find(tensor.name);
      if (placed == placement.end() || placed->second != file)
        return withCode(
            ErrorCode::WrongIndex,
            absl::InvalidArgumentError(absl::StrCat(
                indexPath.string(), ": tensor \"", tensor.name, "\" is in ", file,
                placed == placement.end() ? " but not in the index"
                                          : absl::StrCat("; the index says ", placed->second))));
    }
  }
  for (const auto &[tensor, file] : placement)
    if (found.find(tensor) == found.end())
      return withCode(ErrorCode::WrongIndex, absl::InvalidArgumentError(absl::StrCat(
                                                 indexPath.string(), ": tensor \"", tensor,
                                                 "\" should be in ", file, " but is not")));
  return absl::OkStatus();
}

void Checkpoint::index() {
  for (const SafetensorsFile &shard : shards_)
    for (const StoredTensor &tensor : shard.tensors()) {
      ordered_.push_back(&tensor);
      totalBytes_ += tensor.bytes.size();
    }
  std::sort(ordered_.begin(), ordered_.end(),
            [](const StoredTensor *a, const StoredTensor *b) { return a->name < b->name; });
}

const StoredTensor *Checkpoint::find(std::string_view name) const {
  auto it = std::lower_bound(
      ordered_.begin(), ordered_.end(), name,
      [](const StoredTensor *tensor, std::string_view value) { return tensor->name < value; });
  return it != ordered_.end() && (*it)->name == name ? *it : nullptr;
}

} // namespace epigraph
