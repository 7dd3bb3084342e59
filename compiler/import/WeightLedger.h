// Which tensors of a checkpoint a model needs, and whether they are what it needs. The importer
// books every weight that it names; at the end one error tells all that is missing, left over, or
// of another shape or type. Of a model that is only described, every weight is what it should be.
#ifndef EPIGRAPH_COMPILER_IMPORT_WEIGHTLEDGER_H
#define EPIGRAPH_COMPILER_IMPORT_WEIGHTLEDGER_H

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "compiler/import/ImportSummary.h"
#include "runtime/artifact/Checkpoint.h"

namespace epigraph {

class WeightLedger {
public:
  /// `checkpoint` must outlive this.
  explicit WeightLedger(const Checkpoint &checkpoint) : checkpoint_(checkpoint) {}

  /// Whether the checkpoint holds tensors, so that they say what is there and of which type.
  bool knowsTensors() const { return checkpoint_.hasTensors(); }
  /// Whether the checkpoint has a tensor called `name`, which is not booked by asking.
  bool has(std::string_view name) const { return checkpoint_.find(name) != nullptr; }
  /// The type of the checkpoint's tensor `name`, which is not booked by asking; nothing without it.
  std::optional<DType> dtypeOf(std::string_view name) const;
  /// Whether any tensor's name starts with `prefix`; of a model that is only described, always.
  bool hasPrefix(std::string_view prefix) const;

  /// Books tensor `name`, which must have `shape` and one of `dtypes`. Returns its type, or the
  /// first of `dtypes` when something is wrong with it.
  DType book(const std::string &name, absl::Span<const int64_t> shape,
             absl::Span<const DType> dtypes);

  /// Books a tensor that may be there and is not used.
  void ignore(std::string_view name);

  /// Whether so much is missing that the configuration must be of another model, or of none.
  /// Naming more tensors is then of no use to anybody, and a configuration can ask for a great
  /// many.
  bool isHopeless() const {
    return missing_.size() >= kMaxMissing || described_.size() >= kMaxDescribed;
  }

  /// Says in `summary` what became of the tensors.
  void summarize(ImportSummary &summary) const;

  /// OK, or one InvalidArgument naming every problem; long lists are cut, with a count.
  absl::Status finish() const;

private:
  static constexpr size_t kMaxMissing = 4096;
  /// The largest models of today have 200,000.
  static constexpr size_t kMaxDescribed = size_t{1} << 22;

  /// A tensor of a model that is only described.
  struct Described {
    uint64_t bytes = 0;
    int64_t uses = 0;
  };

  std::vector<std::string> extra() const;

  const Checkpoint &checkpoint_;
  std::unordered_map<const StoredTensor *, int64_t> booked_; ///< how often; 0: ignored
  std::map<std::string, Described> described_;
  std::vector<std::string> missing_;
  std::vector<std::string> wrongShape_; ///< "NAME (found [2, 3], expected [4])"
  std::vector<std::string> wrongType_;
};

} // namespace epigraph

#endif // EPIGRAPH_COMPILER_IMPORT_WEIGHTLEDGER_H
