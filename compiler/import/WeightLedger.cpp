#include "compiler/import/WeightLedger.h"

#include <algorithm>

#include "absl/strings/str_join.h"

#include "runtime/base/Status.h"

namespace epigraph {
namespace {

/// Names of one list that a message shows.
constexpr size_t kMaxShown = 8;

/// Buffers that old versions of transformers saved and that follow from the configuration.
bool isDerivedBuffer(std::string_view name) { return name.ends_with("rotary_emb.inv_freq"); }

template <typename Shape> std::string shapeText(const Shape &shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ", "), "]");
}

void appendList(std::string &message, std::string_view title,
                const std::vector<std::string> &names) {
  if (names.empty())
    return;
  absl::StrAppend(&message, "\n  ", abslView(title), " (", names.size(), "): ");
  size_t shown = std::min(names.size(), kMaxShown);
  message += absl::StrJoin(names.begin(), names.begin() + shown, ", ");
  if (shown < names.size())
    absl::StrAppend(&message, ", and ", names.size() - shown, " more");
}

} // namespace

bool WeightLedger::hasPrefix(std::string_view prefix) const {
  if (!knowsTensors())
    return true;
  absl::Span<const StoredTensor *const> tensors = checkpoint_.tensors();
  auto first = std::lower_bound(
      tensors.begin(), tensors.end(), prefix,
      [](const StoredTensor *tensor, std::string_view name) { return tensor->name < name; });
  return first != tensors.end() && (*first)->name.starts_with(prefix);
}

std::optional<DType> WeightLedger::dtypeOf(std::string_view name) const {
  const StoredTensor *tensor = checkpoint_.find(name);
  return tensor ? std::optional(tensor->dtype) : std::nullopt;
}

DType WeightLedger::book(const std::string &name, absl::Span<const int64_t> shape,
                         absl::Span<const DType> dtypes) {
  if (!knowsTensors()) {
    Described &tensor = described_[name];
    tensor.bytes = dtypeBytes(dtypes.front());
    for (int64_t size : shape)
      tensor.bytes *= static_cast<uint64_t>(size);
    ++tensor.uses;
    return dtypes.front();
  }
  const StoredTensor *tensor = checkpoint_.find(name);
  if (!tensor) {
    missing_.push_back(name);
    return dtypes.front();
  }
  ++booked_[tensor];
  if (!std::equal(shape.begin(), shape.end(), tensor->shape.begin(), tensor->shape.end(),
                  [](int64_t a, uint64_t b) { return static_cast<uint64_t>(a) == b; }))
    wrongShape_.push_back(absl::StrCat(name, " (found ", shapeText(tensor->shape), ", expected ",
                                       shapeText(shape), ")"));
  if (std::find(dtypes.begin(), dtypes.end(), tensor->dtype) != dtypes.end())
    return tensor->dtype;
  auto format = [](std::string *out, DType dtype) { out->append(dtypeName(dtype)); };
  wrongType_.push_back(absl::StrCat(name, " (found ", abslView(dtypeName(tensor->dtype)),
                                    ", expected ", absl::StrJoin(dtypes, " or ", format), ")"));
  return dtypes.front();
}

void WeightLedger::ignore(std::string_view name) {
  if (const StoredTensor *tensor = checkpoint_.find(name))
    booked_.try_emplace(tensor, 0);
}

void WeightLedger::summarize(ImportSummary &summary) const {
  for (const auto &[name, tensor] : described_) {
    ++summary.tensors;
    summary.tensorBytes += tensor.bytes;
    if (tensor.uses > 1)
      summary.shared.push_back(name);
  }
  for (const StoredTensor *tensor : checkpoint_.tensors()) {
    auto entry = booked_.find(tensor);
    int64_t uses = entry == booked_.end() ? 0 : entry->second;
    if (uses == 0) {
      summary.ignored.push_back(tensor->name);
      continue;
    }
    ++summary.tensors;
    summary.tensorBytes += tensor->bytes.size();
    if (uses > 1)
      summary.shared.push_back(tensor->name);
  }
}

std::vector<std::string> WeightLedger::extra() const {
  std::vector<std::string> result;
  for (const StoredTensor *tensor : checkpoint_.tensors())
    if (!booked_.count(tensor) && !isDerivedBuffer(tensor->name))
      result.push_back(tensor->name);
  return result;
}

absl::Status WeightLedger::finish() const {
  if (described_.size() >= kMaxDescribed)
    return withCode(ErrorCode::WrongTensors,
                    absl::InvalidArgumentError(absl::StrCat(
                        checkpoint_.configFile().string(), ": describes a model of more than ",
                        kMaxDescribed, " tensors; correct its numbers of layers and experts")));
  std::string problems;
  appendList(problems, "missing", missing_);
  appendList(problems, "of another shape", wrongShape_);
  appendList(problems, "of another type", wrongType_);
  appendList(problems, "not part of the model", extra());
  if (problems.empty())
    return absl::OkStatus();
  return withCode(ErrorCode::WrongTensors,
                  absl::InvalidArgumentError(absl::StrCat(
                      "checkpoint '", checkpoint_.directory().string(),
                      "': its tensors are not those that its config.json describes; fetch the "
                      "checkpoint again or correct config.json",
                      problems)));
}

} // namespace epigraph
