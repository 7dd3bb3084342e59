#include "compiler/import/Config.h"

#include <optional>

#include "runtime/base/FileSystem.h"
#include "runtime/base/Json.h"
#include "runtime/base/Status.h"

namespace epigraph {

using nlohmann::json;

/// The integer `value` is, if it is one in `range`.
static std::optional<int64_t> integerIn(const json &value, IntRange range) {
  // Unsigned values above INT64_MAX would wrap on conversion.
  if (!value.is_number_integer() ||
      (value.is_number_unsigned() && value.get<uint64_t>() > uint64_t(INT64_MAX)))
    return std::nullopt;
  int64_t number = value.get<int64_t>();
  if (number < range.min || number > range.max)
    return std::nullopt;
  return number;
}

void ConfigProblems::invalid(std::string message) {
  anyInvalid_ = true;
  messages_.push_back(std::move(message));
}

void ConfigProblems::unsupported(std::string message) { messages_.push_back(std::move(message)); }

absl::Status ConfigProblems::status() const {
  if (messages_.empty())
    return absl::OkStatus();
  std::string all;
  for (const std::string &message : messages_)
    absl::StrAppend(&all, all.empty() ? "" : "\n  ", message);
  return anyInvalid_ ? withCode(ErrorCode::BadConfig, absl::InvalidArgumentError(all))
                     : withCode(ErrorCode::UnsupportedModel, absl::UnimplementedError(all));
}

/// The value as the file has it, cut to a length that fits a message.
static std::string textOf(const json &value) {
  constexpr size_t kMaxShown = 60;
  std::string text = value.dump(-1, ' ', /*ensure_ascii=*/true, json::error_handler_t::replace);
  if (text.size() > kMaxShown)
    text = text.substr(0, kMaxShown) + "...";
  return text;
}

void ConfigProblems::noteRead(const std::string &key, const json *value) {
  if (!read_.insert(key).second)
    return;
  if (!value)
    defaults_.push_back(key);
  else if (!value->is_object()) // Its members are read one by one.
    settings_.emplace_back(key, textOf(*value));
}

ConfigObject::ConfigObject(const json &value, std::string where, ConfigProblems &problems)
    : ConfigObject(value, std::move(where), "", problems) {}

ConfigObject::ConfigObject(const json &value, std::string where, std::string path,
                           ConfigProblems &problems)
    : value_(&value), where_(std::move(where)), path_(std::move(path)), problems_(&problems) {}

const json *ConfigObject::find(std::string_view key) const {
  const json *value = nullptr;
  if (value_->is_object())
    if (auto member = value_->find(std::string(key)); member != value_->end() && !member->is_null())
      value = &*member;
  problems_->noteRead(absl::StrCat(path_, abslView(key)), value);
  return value;
}

std::string ConfigObject::found(std::string_view key) const {
  const json *value = find(key);
  return value ? textOf(*value) : "missing";
}

std::vector<std::string> ConfigObject::unread() const {
  std::vector<std::string> result;
  for (const auto &[key, value] : value_->items()) {
    std::string path = path_ + key;
    if (value.is_null())
      continue;
    if (!problems_->wasRead(path))
      result.push_back(path);
    else if (value.is_object())
      for (std::string &inner : ConfigObject(value, where_, path + ".", *problems_).unread())
        result.push_back(std::move(inner));
  }
  return result;
}

void ConfigObject::invalid(std::string_view key, std::string_view expected) const {
  problems_->invalid(absl::StrCat(where_, ": ", abslView(key), " is ", found(key), "; expected ",
                                  abslView(expected)));
}

void ConfigObject::unsupported(std::string_view key, std::string_view remedy) const {
  problems_->unsupported(absl::StrCat(where_, ": ", abslView(key), " is ", found(key),
                                      ", which is not supported; ", abslView(remedy)));
}

int64_t ConfigObject::integer(std::string_view key, IntRange range) const {
  if (const json *value = find(key))
    if (std::optional<int64_t> number = integerIn(*value, range))
      return *number;
  invalid(key, absl::StrCat("an integer from ", range.min, " to ", range.max));
  return range.min;
}

int64_t ConfigObject::integer(std::string_view key, IntRange range, int64_t fallback) const {
  return has(key) ? integer(key, range) : fallback;
}

double ConfigObject::number(std::string_view key, NumberRange range) const {
  const json *value = find(key);
  if (value && value->is_number())
    if (double number = value->get<double>(); number >= range.min && number <= range.max)
      return number;
  invalid(key, absl::StrCat("a number from ", range.min, " to ", range.max));
  return range.min;
}

double ConfigObject::number(std::string_view key, NumberRange range, double fallback) const {
  return has(key) ? number(key, range) : fallback;
}

bool ConfigObject::flag(std::string_view key, bool fallback) const {
  const json *value = find(key);
  if (!value)
    return fallback;
  if (value->is_boolean())
    return value->get<bool>();
  invalid(key, "true or false");
  return fallback;
}

std::string ConfigObject::text(std::string_view key, std::string_view fallback) const {
  const json *value = find(key);
  if (!value)
    return std::string(fallback);
  if (value->is_string())
    return value->get<std::string>();
  invalid(key, "a string");
  return std::string(fallback);
}

std::vector<std::string> ConfigObject::texts(std::string_view key) const {
  std::vector<std::string> result;
  const json *value = find(key);
  if (!value)
    return result;
  bool valid = value->is_array();
  if (valid)
    for (const json &element : *value) {
      valid &= element.is_string();
      if (element.is_string())
        result.push_back(element.get<std::string>());
    }
  if (!valid)
    invalid(key, "a list of strings");
  return result;
}

std::vector<int64_t> ConfigObject::integers(std::string_view key, IntRange range) const {
  const json *value = find(key);
  if (!value)
    return {};
  if (!value->is_array())
    return {integer(key, range)};
  std::vector<int64_t> result;
  for (const json &element : *value) {
    std::optional<int64_t> number = integerIn(element, range);
    if (!number) {
      invalid(key, absl::StrCat("integers from ", range.min, " to ", range.max));
      return {};
    }
    result.push_back(*number);
  }
  return result;
}

ConfigObject ConfigObject::object(std::string_view key) const {
  static const json kEmpty = json::object();
  const json *value = find(key);
  if (value && !value->is_object()) {
    invalid(key, "an object");
    value = nullptr;
  }
  return ConfigObject(value ? *value : kEmpty, absl::StrCat(where_, ": ", abslView(key)),
                      absl::StrCat(path_, abslView(key), "."), *problems_);
}

absl::StatusOr<json> readConfigFile(const std::filesystem::path &path) {
  EPIGRAPH_ASSIGN_OR_RETURN(std::string text, readFile(path, kMaxConfigBytes));
  EPIGRAPH_ASSIGN_OR_RETURN(json value, parseJson(text, path.string()));
  if (!value.is_object())
    return withCode(ErrorCode::BadConfig,
                    absl::InvalidArgumentError(absl::StrCat(
                        path.string(), ": expected a JSON object, found ", value.type_name())));
  return value;
}

} // namespace epigraph
