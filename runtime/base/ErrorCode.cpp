#include "runtime/base/ErrorCode.h"

#include <algorithm>
#include <charconv>

#include "absl/strings/str_cat.h"

#include "runtime/base/StringView.h"

namespace epigraph {
namespace {

/// The payload of a Status that holds its code, as text.
constexpr absl::string_view kPayload = "epigraph/error-code";

} // namespace

const ErrorInfo &errorInfo(ErrorCode code) {
  absl::Span<const ErrorInfo> catalog = errorCatalog();
  return *std::find_if(catalog.begin(), catalog.end(),
                       [&](const ErrorInfo &info) { return info.code == code; });
}

std::string errorCodeText(ErrorCode code) {
  return absl::StrCat("E", absl::Dec(static_cast<int>(code), absl::kZeroPad4));
}

std::optional<ErrorCode> errorCodeFromText(std::string_view text) {
  if (!text.empty() && (text.front() == 'E' || text.front() == 'e'))
    text.remove_prefix(1);
  int number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size())
    return std::nullopt;
  for (const ErrorInfo &info : errorCatalog())
    if (static_cast<int>(info.code) == number)
      return info.code;
  return std::nullopt;
}

absl::Status withCode(ErrorCode code, absl::Status status) {
  if (!status.ok() && !errorCodeOf(status))
    status.SetPayload(kPayload, absl::Cord(absl::string_view(errorCodeText(code))));
  return status;
}

std::optional<ErrorCode> errorCodeOf(const absl::Status &status) {
  absl::optional<absl::Cord> payload = status.GetPayload(kPayload);
  return payload ? errorCodeFromText(std::string(*payload)) : std::nullopt;
}

std::string errorText(const absl::Status &status) {
  std::optional<ErrorCode> code = errorCodeOf(status);
  return code ? absl::StrCat("[", errorCodeText(*code), "] ", status.message())
              : std::string(status.message());
}

absl::Status withCodeOf(const absl::Status &from, absl::Status to) {
  std::optional<ErrorCode> code = errorCodeOf(from);
  return code ? withCode(*code, std::move(to)) : to;
}

} // namespace epigraph
