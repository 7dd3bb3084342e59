#include "runtime/text/Normalizer.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>

#include "runtime/base/Status.h"

#ifdef EPIGRAPH_HAVE_UTF8PROC
#include <utf8proc.h>
#endif

namespace epigraph {

#ifdef EPIGRAPH_HAVE_UTF8PROC

namespace {

/// Nothing below U+0300, whose first byte is 0xCC, composes or is composed.
bool isComposed(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<uint8_t>(c) < 0xCC; });
}

} // namespace

bool canNormalize() { return true; }

absl::StatusOr<std::string> toNfc(std::string_view text) {
  if (isComposed(text))
    return std::string(text);
  utf8proc_uint8_t *bytes = nullptr;
  utf8proc_ssize_t size =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t *>(text.data()),
                   static_cast<utf8proc_ssize_t>(text.size()), &bytes,
                   static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(bytes, &std::free);
  if (size == UTF8PROC_ERROR_NOMEM || size == UTF8PROC_ERROR_OVERFLOW)
    return absl::ResourceExhaustedError("no memory to normalize the text");
  if (size < 0)
    return absl::InvalidArgumentError(
        absl::StrCat("normalizing the text: ", utf8proc_errmsg(size)));
  return std::string(reinterpret_cast<const char *>(bytes), static_cast<size_t>(size));
}

#else

bool canNormalize() { return false; }

absl::StatusOr<std::string> toNfc(std::string_view) {
  return absl::UnimplementedError("this build of Epigraph has no libutf8proc");
}

#endif

} // namespace epigraph
