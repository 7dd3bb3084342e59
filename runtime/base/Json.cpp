#include "runtime/base/Json.h"

#include <unordered_set>

#include "runtime/base/Status.h"

namespace epigraph {

using nlohmann::json;

namespace {

constexpr int kMaxDepth = 64;

/// What the parser's callback watches for: nlohmann keeps the last of two equal keys without a
/// word.
class StrictnessCheck {
public:
  bool operator()(int depth, json::parse_event_t event, json &parsed) {
    switch (event) {
    case json::parse_event_t::object_start:
    case json::parse_event_t::array_start:
      if (depth >= kMaxDepth) {
        fail(absl::StrCat("more than ", kMaxDepth, " levels of nesting"));
        return false; // Drops the value, so that nothing deep is ever built.
      }
      keys_.resize(depth + 1);
      keys_.back().clear();
      return true;
    case json::parse_event_t::key: {
      const std::string &key = *parsed.get_ptr<const std::string *>();
      // Keys of an object at depth d are reported at depth d + 1.
      if (static_cast<size_t>(depth) <= keys_.size() && !keys_[depth - 1].insert(key).second)
        fail(absl::StrCat("duplicate key \"", key, "\""));
      return true;
    }
    default:
      return true;
    }
  }

  const std::string &problem() const { return problem_; }

private:
  void fail(std::string problem) {
    if (problem_.empty())
      problem_ = std::move(problem);
  }

  std::vector<std::unordered_set<std::string>> keys_; ///< of the objects that are open
  std::string problem_;
};

/// Keeps the message of a syntax error, which the DOM parser tells through exceptions only.
class SyntaxErrorFinder : public json::json_sax_t {
public:
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t &) override { return true; }
  bool string(string_t &) override { return true; }
  bool binary(binary_t &) override { return true; }
  bool start_object(std::size_t) override { return true; }
  bool key(string_t &) override { return true; }
  bool end_object() override { return true; }
  bool start_array(std::size_t) override { return true; }
  bool end_array() override { return true; }
  bool parse_error(std::size_t, const std::string &, const json::exception &error) override {
    message = error.what();
    return false;
  }

  std::string message = "not valid JSON";
};

/// What is wrong with `text`, which does not parse.
std::string syntaxError(std::string_view text) {
  SyntaxErrorFinder finder;
  json::sax_parse(text.begin(), text.end(), &finder);
  // "[json.exception.parse_error.101] parse error at line 1, column 2: ..." without its tag.
  size_t tagEnd = finder.message.find("] ");
  return tagEnd == std::string::npos ? finder.message : finder.message.substr(tagEnd + 2);
}

const char *typeName(const json &value) {
  switch (value.type()) {
  case json::value_t::number_float:
    return "a number with a fraction or exponent, or out of range";
  case json::value_t::number_integer:
    return "a negative number";
  case json::value_t::number_unsigned:
    return "a number";
  case json::value_t::string:
    return "a string";
  case json::value_t::boolean:
    return "a boolean";
  case json::value_t::object:
    return "an object";
  case json::value_t::array:
    return "an array";
  default:
    return "null";
  }
}

const json &emptyObject() {
  static const json value = json::object();
  return value;
}

} // namespace

absl::StatusOr<json> parseJson(std::string_view text, std::string_view source) {
  StrictnessCheck check;
  json value = json::parse(
      text.begin(), text.end(),
      [&check](int depth, json::parse_event_t event, json &parsed) {
        return check(depth, event, parsed);
      },
      /*allow_exceptions=*/false);
  if (!check.problem().empty())
    return absl::InvalidArgumentError(absl::StrCat(abslView(source), ": ", check.problem()));
  if (value.is_discarded())
    return absl::InvalidArgumentError(absl::StrCat(abslView(source), ": ", syntaxError(text)));
  return value;
}

JsonObject::JsonObject(const json &value, std::string where, absl::Status *status)
    : value_(&value), where_(std::move(where)), status_(status) {
  if (value.is_object())
    return;
  if (status_->ok())
    *status_ = absl::InvalidArgumentError(
        absl::StrCat(where_, ": expected an object, found ", typeName(value)));
  value_ = &emptyObject();
}

bool JsonObject::has(std::string_view key) {
  known_.emplace(key);
  auto it = value_->find(key);
  return it != value_->end() && !it->is_null();
}

const json *JsonObject::member(std::string_view key) {
  known_.emplace(key);
  auto it = value_->find(key);
  if (it != value_->end())
    return &*it;
  fail(key, "missing");
  return nullptr;
}

void JsonObject::fail(std::string_view key, std::string_view problem, absl::StatusCode code) {
  if (status_->ok())
    *status_ =
        absl::Status(code, absl::StrCat(where_, ".", abslView(key), ": ", abslView(problem)));
}

namespace {

std::string expectedFound(std::string_view expected, const json &found) {
  return absl::StrCat("expected ", abslView(expected), ", found ", typeName(found));
}

} // namespace

void JsonObject::read(std::string_view key, std::string &out) {
  const json *value = member(key);
  if (!value)
    return;
  if (const auto *string = value->get_ptr<const std::string *>())
    out = *string;
  else
    fail(key, expectedFound("a string", *value));
}

void JsonObject::read(std::string_view key, bool &out) {
  const json *value = member(key);
  if (!value)
    return;
  if (const auto *boolean = value->get_ptr<const bool *>())
    out = *boolean;
  else
    fail(key, expectedFound("a boolean", *value));
}

void JsonObject::read(std::string_view key, uint64_t &out, uint64_t max) {
  const json *value = member(key);
  if (!value)
    return;
  const auto *number = value->get_ptr<const json::number_unsigned_t *>();
  if (!number)
    fail(key, expectedFound("an integer that is not negative", *value));
  else if (*number > max)
    fail(key, absl::StrCat("expected at most ", max, ", found ", *number));
  else
    out = *number;
}

void JsonObject::read(std::string_view key, uint32_t &out, uint32_t max) {
  uint64_t wide = out;
  read(key, wide, uint64_t{max});
  out = static_cast<uint32_t>(wide);
}

void JsonObject::read(std::string_view key, double &out) {
  const json *value = member(key);
  if (!value)
    return;
  if (value->is_number())
    out = value->get<double>();
  else
    fail(key, expectedFound("a number", *value));
}

namespace {

/// Reads an array whose elements `convert` accepts; returns what is wrong, or nothing.
template <typename T, typename Convert>
std::optional<std::string> readArray(const json &value, std::string_view expected,
                                     std::vector<T> &out, Convert convert) {
  if (!value.is_array())
    return expectedFound(absl::StrCat("an array of ", abslView(expected)), value);
  std::vector<T> elements;
  for (const json &element : value) {
    std::optional<T> converted = convert(element);
    if (!converted)
      return absl::StrCat("element ", elements.size(), " is not one of ", abslView(expected));
    elements.push_back(std::move(*converted));
  }
  out = std::move(elements);
  return std::nullopt;
}

template <typename T> std::optional<T> convertUnsigned(const json &element) {
  const auto *number = element.get_ptr<const json::number_unsigned_t *>();
  if (!number || *number > std::numeric_limits<T>::max())
    return std::nullopt;
  return static_cast<T>(*number);
}

} // namespace

void JsonObject::read(std::string_view key, std::vector<std::string> &out) {
  const json *value = member(key);
  if (!value)
    return;
  auto convert = [](const json &element) -> std::optional<std::string> {
    const auto *string = element.get_ptr<const std::string *>();
    return string ? std::optional(*string) : std::nullopt;
  };
  if (auto problem = readArray(*value, "strings", out, convert))
    fail(key, *problem);
}

void JsonObject::read(std::string_view key, std::vector<uint64_t> &out) {
  const json *value = member(key);
  if (!value)
    return;
  if (auto problem = readArray(*value, "integers of up to 64 bits", out, convertUnsigned<uint64_t>))
    fail(key, *problem);
}

void JsonObject::read(std::string_view key, std::vector<uint32_t> &out) {
  const json *value = member(key);
  if (!value)
    return;
  if (auto problem = readArray(*value, "integers of up to 32 bits", out, convertUnsigned<uint32_t>))
    fail(key, *problem);
}

const json *JsonObject::arrayMember(std::string_view key) {
  const json *value = member(key);
  if (!value || value->is_array())
    return value;
  fail(key, expectedFound("an array", *value));
  return nullptr;
}

std::string JsonObject::elementName(std::string_view key, size_t index) const {
  return absl::StrCat(where_, ".", abslView(key), "[", index, "]");
}

JsonObject JsonObject::object(std::string_view key) {
  const json *value = member(key);
  return JsonObject(value ? *value : emptyObject(), absl::StrCat(where_, ".", abslView(key)),
                    status_);
}

void JsonObject::refuseUnknownKeys() {
  for (const auto &[key, value] : value_->items())
    if (known_.find(key) == known_.end())
      fail(key, "unknown key");
}

} // namespace epigraph
