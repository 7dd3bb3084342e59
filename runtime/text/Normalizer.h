// Unicode normalization before tokens are formed: composition (NFC), which is what the tokenizers
// of Qwen ask for. The tables are libutf8proc's; a build without that library says so when a
// tokenizer needs it.
#ifndef EPIGRAPH_RUNTIME_TEXT_NORMALIZER_H
#define EPIGRAPH_RUNTIME_TEXT_NORMALIZER_H

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace epigraph {

/// Whether this build can normalize.
bool canNormalize();

/// `text`, valid UTF-8, in normalization form C. Unimplemented in a build that cannot.
absl::StatusOr<std::string> toNfc(std::string_view text);

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_TEXT_NORMALIZER_H
