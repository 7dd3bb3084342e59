// The header is {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ...,
// "__metadata__":
// {"key": "value"}}: four levels, so a state machine over parser events suffices. It knows where it
// is by the level (open objects and arrays) and the field whose value comes next; any event that
// does not fit there is refused with what was expected.
#include "runtime/artifact/SafetensorsHeader.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <tuple>

#include "absl/strings/escaping.h"
#include "absl/strings/str_join.h"
#include "nlohmann/json.hpp"

#include "runtime/base/Status.h"

namespace epigraph {
namespace {

using Json = nlohmann::json;

/// More dimensions than any framework has; bounds what a hostile header can make of one entry.
constexpr size_t kMaxRank = 32;

/// A name for messages; escaped, for it may hold control characters.
std::string tensorName(const std::string &name) {
  return absl::StrCat("tensor \"", absl::Utf8SafeCEscape(name), "\"");
}

class HeaderHandler : public Json::json_sax_t {
public:
  bool start_object(std::size_t) override {
    if (level_ == Level::Outside) {
      level_ = Level::Header;
      return true;
    }
    if (level_ == Level::Header) {
      level_ = inMetadata_ ? Level::Metadata : Level::Entry;
      return true;
    }
    return unexpected("an object");
  }

  bool end_object() override {
    if (level_ == Level::Header) {
      level_ = Level::Outside;
      return true;
    }
    bool finished = level_ == Level::Metadata || finishEntry();
    level_ = Level::Header;
    return finished;
  }

  bool key(string_t &name) override {
    switch (level_) {
    case Level::Header:
      return startMember(name);
    case Level::Metadata:
      key_ = name;
      if (!header.metadata.try_emplace(name).second)
        return fail(absl::StrCat("duplicate key \"", name, "\" in __metadata__"));
      return true;
    default:
      return startField(name);
    }
  }

  bool string(string_t &value) override {
    if (level_ == Level::Metadata) {
      header.metadata[key_] = std::move(value);
      return true;
    }
    if (level_ != Level::Entry || field_ != Field::DType)
      return unexpected("a string");
    std::optional<DType> dtype = dtypeFromName(value);
    if (!dtype)
      return fail(absl::StrCat(entryName(), ": unknown dtype \"", value, "\""));
    entry_.dtype = *dtype;
    return true;
  }

  bool start_array(std::size_t) override {
    if (level_ != Level::Entry || field_ == Field::DType)
      return unexpected("an array");
    level_ = Level::Array;
    return true;
  }

  bool end_array() override {
    level_ = Level::Entry;
    if (field_ == Field::Offsets && offsets_.size() != 2)
      return fail(absl::StrCat(entryName(), ": data_offsets has ", offsets_.size(),
                               " elements; expected [begin, end]"));
    return true;
  }

  bool number_unsigned(number_unsigned_t value) override {
    if (level_ != Level::Array)
      return unexpected("a number");
    std::vector<uint64_t> &list = field_ == Field::Shape ? entry_.shape : offsets_;
    if (list.size() == kMaxRank)
      return fail(absl::StrCat(entryName(), ": more than ", kMaxRank, " dimensions or offsets"));
    list.push_back(value);
    return true;
  }

  bool null() override { return unexpected("null"); }
  bool boolean(bool) override { return unexpected("a boolean"); }
  bool number_integer(number_integer_t) override { return unexpected("a negative number"); }
  bool number_float(number_float_t, const string_t &text) override {
    return unexpected(absl::StrCat("the number ", text));
  }
  bool binary(binary_t &) override { return unexpected("binary data"); }

  bool parse_error(std::size_t position, const std::string &, const Json::exception &) override {
    return fail(absl::StrCat("not valid JSON in UTF-8 at byte ", position));
  }

  SafetensorsHeader header;
  std::string problem; ///< what was refused; empty while all is well

private:
  enum class Level { Outside, Header, Metadata, Entry, Array };
  enum class Field { DType, Shape, Offsets };

  bool fail(std::string message) {
    if (problem.empty())
      problem = std::move(message);
    return false;
  }

  bool unexpected(std::string found) {
    switch (level_) {
    case Level::Outside:
      return fail(absl::StrCat("expected a JSON object, found ", found));
    case Level::Header:
      return fail(absl::StrCat(inMetadata_ ? "__metadata__" : entryName(),
                               ": expected an object, found ", found));
    case Level::Metadata:
      return fail(absl::StrCat("__metadata__ \"", key_, "\": expected a string, found ", found));
    default:
      break;
    }
    constexpr const char *kExpected[] = {"dtype: expected a string",
                                         "shape: expected an array of integers from 0 to 2^64-1",
                                         "data_offsets: expected [begin, end]"};
    return fail(
        absl::StrCat(entryName(), ": ", kExpected[static_cast<int>(field_)], ", found ", found));
  }

  bool startMember(const std::string &name) {
    inMetadata_ = name == "__metadata__";
    if (!inMetadata_) {
      entry_ = {};
      entry_.name = name;
      offsets_.clear();
      std::fill(std::begin(seen_), std::end(seen_), false);
    }
    return names_.insert(name).second || fail(absl::StrCat("duplicate key \"", name, "\""));
  }

  bool startField(const std::string &name) {
    constexpr const char *kNames[] = {"dtype", "shape", "data_offsets"};
    for (int i = 0; i < 3; ++i) {
      if (name != kNames[i])
        continue;
      field_ = static_cast<Field>(i);
      if (seen_[i])
        return fail(absl::StrCat(entryName(), ": duplicate key \"", name, "\""));
      seen_[i] = true;
      return true;
    }
    return fail(absl::StrCat(entryName(), ": unknown key \"", name, "\""));
  }

  bool finishEntry() {
    constexpr const char *kNames[] = {"dtype", "shape", "data_offsets"};
    for (int i = 0; i < 3; ++i)
      if (!seen_[i])
        return fail(absl::StrCat(entryName(), ": ", kNames[i], " is missing"));
    entry_.begin = offsets_[0];
    entry_.end = offsets_[1];
    if (entry_.begin > entry_.end)
      return fail(absl::StrCat(entryName(), ": data_offsets [", entry_.begin, ", ", entry_.end,
                               "] end before they begin"));
    uint64_t bytes = 0;
    if (!tensorBytes(entry_.shape, entry_.dtype, bytes))
      return fail(absl::StrCat(entryName(), ": shape [", absl::StrJoin(entry_.shape, ", "),
                               "] overflows 64 bits"));
    if (entry_.end - entry_.begin != bytes)
      return fail(absl::StrCat(entryName(), ": data_offsets span ", entry_.end - entry_.begin,
                               " bytes; shape [", absl::StrJoin(entry_.shape, ", "), "] of ",
                               abslView(dtypeName(entry_.dtype)), " needs ", bytes));
    header.entries.push_back(std::move(entry_));
    return true;
  }

  std::string entryName() const { return tensorName(entry_.name); }

  Level level_ = Level::Outside;
  Field field_ = Field::DType;
  bool inMetadata_ = false;
  bool seen_[3] = {};
  std::string key_; ///< of the metadata
  SafetensorsEntry entry_;
  std::vector<uint64_t> offsets_;
  std::set<std::string> names_;
};

/// Tensors must lie one after the other from 0 to `dataBytes`.
absl::Status checkCoverage(const std::vector<SafetensorsEntry> &entries, uint64_t dataBytes) {
  uint64_t position = 0;
  for (const SafetensorsEntry &entry : entries) {
    if (entry.end > dataBytes)
      return absl::InvalidArgumentError(absl::StrCat(tensorName(entry.name), " ends at byte ",
                                                     entry.end, " of the data, which has ",
                                                     dataBytes, "; the file may be truncated"));
    if (entry.begin != position)
      return absl::InvalidArgumentError(absl::StrCat(
          tensorName(entry.name), " begins at byte ", entry.begin, " of the data; expected ",
          position,
          entry.begin < position ? " (it overlaps another tensor)" : " (there is a hole)"));
    position = entry.end;
  }
  if (position != dataBytes)
    return absl::InvalidArgumentError(
        absl::StrCat(dataBytes - position, " bytes follow the last tensor; expected none"));
  return absl::OkStatus();
}

} // namespace

bool tensorBytes(const std::vector<uint64_t> &shape, DType dtype, uint64_t &bytes) {
  // A zero anywhere makes the tensor empty, but the other dimensions must still be sane.
  bytes = dtypeBytes(dtype);
  bool empty = false;
  for (uint64_t size : shape) {
    empty |= size == 0;
    if (__builtin_mul_overflow(bytes, std::max<uint64_t>(size, 1), &bytes))
      return false;
  }
  if (empty)
    bytes = 0;
  return true;
}

absl::StatusOr<SafetensorsHeader> parseSafetensorsHeader(std::string_view json,
                                                         uint64_t dataBytes) {
  HeaderHandler handler;
  if (!Json::sax_parse(json.begin(), json.end(), &handler))
    return absl::InvalidArgumentError(absl::StrCat("header: ", handler.problem));
  auto byPosition = [](const SafetensorsEntry &a, const SafetensorsEntry &b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  };
  std::sort(handler.header.entries.begin(), handler.header.entries.end(), byPosition);
  EPIGRAPH_RETURN_IF_ERROR(checkCoverage(handler.header.entries, dataBytes));
  return std::move(handler.header);
}

} // namespace epigraph
