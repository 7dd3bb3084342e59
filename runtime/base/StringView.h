// Debian builds Abseil with a string_view of its own; this is the one place that bridges the two.
#ifndef EPIGRAPH_RUNTIME_BASE_STRINGVIEW_H
#define EPIGRAPH_RUNTIME_BASE_STRINGVIEW_H

#include <string_view>

#include "absl/strings/string_view.h"

namespace epigraph {

/// `text` as Abseil's functions take it (StrCat, StrSplit, Status). Views the same bytes.
inline absl::string_view abslView(std::string_view text) { return {text.data(), text.size()}; }

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_BASE_STRINGVIEW_H
