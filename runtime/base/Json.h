// Strict JSON for files that are not trusted: no duplicate keys, bounded depth, and a reader for
// objects that names the key in every error.
#ifndef EPIGRAPH_RUNTIME_BASE_JSON_H
#define EPIGRAPH_RUNTIME_BASE_JSON_H

#include <cstdint>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace epigraph {

/// Parses one JSON value. Refuses syntax errors, invalid UTF-8, text after the value, duplicate
/// keys, and more than 64 levels of nesting; errors (InvalidArgument) start with `source`.
absl::StatusOr<nlohmann::json> parseJson(std::string_view text, std::string_view source);

/// Reads the members of one object. The first error is kept, later reads do nothing, so that a
/// reader is a list of reads and one check at its end: finish(). Objects from object() share the
/// error of their parent.
class JsonObject {
public:
  /// Reads `value`, which must outlive this; `where` and `*status` (where the first error goes)
  /// too. `where` is a path such as "manifest.json: model".
  JsonObject(const nlohmann::json &value, std::string where, absl::Status *status);

  /// Whether the key is there and not null. Marks it as known.
  bool has(std::string_view key);

  /// The member `key`; null and an error when it is missing.
  const nlohmann::json *member(std::string_view key);

  /// Reads a required member of the type of the last argument. Integers must be at most `max`.
  void read(std::string_view key, std::string &out);
  void read(std::string_view key, bool &out);
  void read(std::string_view key, uint64_t &out,
            uint64_t max = std::numeric_limits<uint64_t>::max());
  void read(std::string_view key, uint32_t &out,
            uint32_t max = std::numeric_limits<uint32_t>::max());
  /// Any number, with or without a fraction.
  void read(std::string_view key, double &out);
  void read(std::string_view key, std::vector<std::string> &out);
  void read(std::string_view key, std::vector<uint64_t> &out);
  void read(std::string_view key, std::vector<uint32_t> &out);

  /// A required member that is an object. After an error, an empty one.
  JsonObject object(std::string_view key);

  /// Calls `visit` for each element of a required member that is an array of objects.
  template <typename Visit> void forEachObject(std::string_view key, Visit visit) {
    const nlohmann::json *array = arrayMember(key);
    for (size_t i = 0; array && i < array->size() && ok(); ++i)
      visit(JsonObject((*array)[i], elementName(key, i), status_));
  }

  /// Reads a member when it is there and not null, else leaves `out`.
  template <typename T> void readOptional(std::string_view key, T &out) {
    if (has(key))
      read(key, out);
  }

  /// Marks `key` as known without reading it.
  void ignore(std::string_view key) { known_.emplace(key); }

  /// Records an error about `key`: "WHERE.KEY: problem".
  void fail(std::string_view key, std::string_view problem,
            absl::StatusCode code = absl::StatusCode::kInvalidArgument);

  /// An error (if none came before) when the object has a key that was never asked for.
  void refuseUnknownKeys();

  bool ok() const { return status_->ok(); }
  const std::string &where() const { return where_; }
  /// All members, for objects whose keys are data. Empty after an error.
  const nlohmann::json &value() const { return *value_; }

private:
  /// The member `key` when it is an array, else null and an error.
  const nlohmann::json *arrayMember(std::string_view key);
  /// "WHERE.KEY[INDEX]".
  std::string elementName(std::string_view key, size_t index) const;

  const nlohmann::json *value_;
  std::string where_;
  absl::Status *status_;
  std::set<std::string, std::less<>> known_;
};

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_BASE_JSON_H
