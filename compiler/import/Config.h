// Typed reading of a checkpoint's config.json. The file is untrusted and written by many hands, so
// every read says what it accepts, and all problems are gathered: one error names everything that
// has to change.
#ifndef EPIGRAPH_COMPILER_IMPORT_CONFIG_H
#define EPIGRAPH_COMPILER_IMPORT_CONFIG_H

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace epigraph {

/// Inclusive bounds of an integer.
struct IntRange {
  int64_t min;
  int64_t max;
};

/// Inclusive bounds of a number.
struct NumberRange {
  double min;
  double max;
};

/// What reading a configuration found out: everything that is wrong with it, and what was read.
class ConfigProblems {
public:
  /// A value that no model could have.
  void invalid(std::string message);
  /// A value that means something which Epigraph cannot do.
  void unsupported(std::string message);

  bool empty() const { return messages_.empty(); }
  /// OK, or one error with all messages: InvalidArgument if any value is invalid, else
  /// Unimplemented.
  absl::Status status() const;

  /// Says that `key` ("rope_scaling.type") was looked at; `value` is its JSON, or null without it.
  void noteRead(const std::string &key, const nlohmann::json *value);
  /// Keys that were read and there, with their values, in order of the first read.
  const std::vector<std::pair<std::string, std::string>> &settings() const { return settings_; }
  /// Keys that were read and not there, in order of the first read.
  const std::vector<std::string> &defaults() const { return defaults_; }
  bool wasRead(const std::string &key) const { return read_.count(key) != 0; }

private:
  std::vector<std::string> messages_;
  bool anyInvalid_ = false;
  std::unordered_set<std::string> read_;
  std::vector<std::pair<std::string, std::string>> settings_;
  std::vector<std::string> defaults_;
};

/// Reads members of one JSON object. A value that is missing, of another type or out of range is
/// recorded in the problems, and a value in range is returned in its place, so that a reader is a
/// plain list of reads with one check at the end. A null member counts as missing.
class ConfigObject {
public:
  /// Reads `value`; it and `problems` must outlive this. `where` starts every message
  /// ("DIR/config.json").
  ConfigObject(const nlohmann::json &value, std::string where, ConfigProblems &problems);

  /// Whether `key` is there and not null.
  bool has(std::string_view key) const { return find(key) != nullptr; }

  /// A required integer in `range`.
  int64_t integer(std::string_view key, IntRange range) const;
  /// The same, or `fallback` when it is missing.
  int64_t integer(std::string_view key, IntRange range, int64_t fallback) const;
  /// A required number in `range`.
  double number(std::string_view key, NumberRange range) const;
  double number(std::string_view key, NumberRange range, double fallback) const;
  bool flag(std::string_view key, bool fallback) const;
  std::string text(std::string_view key, std::string_view fallback) const;
  /// A list of strings; empty when it is missing.
  std::vector<std::string> texts(std::string_view key) const;
  /// An integer or a list of integers (as eos_token_id may be); empty when it is missing.
  std::vector<int64_t> integers(std::string_view key, IntRange range) const;
  /// A member that is an object; an empty one when it is missing.
  ConfigObject object(std::string_view key) const;

  /// Records that `key`'s value is invalid: "WHERE: KEY is VALUE; expected EXPECTED".
  void invalid(std::string_view key, std::string_view expected) const;
  /// Records that `key`'s value is not supported; `remedy` says what is or what to do.
  void unsupported(std::string_view key, std::string_view remedy) const;

  /// Keys, of this object and those within it, that are not null and that nobody read.
  std::vector<std::string> unread() const;

  ConfigProblems &problems() const { return *problems_; }

private:
  ConfigObject(const nlohmann::json &value, std::string where, std::string path,
               ConfigProblems &problems);

  const nlohmann::json *find(std::string_view key) const;
  std::string found(std::string_view key) const;

  const nlohmann::json *value_;
  std::string where_;
  std::string path_; ///< what keys of this object are preceded by: "rope_scaling."
  ConfigProblems *problems_;
};

/// Larger configuration files are refused.
inline constexpr uint64_t kMaxConfigBytes = 16ull << 20;

/// Reads and parses the JSON file `path`, whose value must be an object.
absl::StatusOr<nlohmann::json> readConfigFile(const std::filesystem::path &path);

} // namespace epigraph

#endif // EPIGRAPH_COMPILER_IMPORT_CONFIG_H
