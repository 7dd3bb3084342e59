// The tokenizer.json of an artifact. Some checkpoints (public DeepSeek-V3 among them) say only in
// tokenizer_config.json that texts start with a BOS token; the artifact's tokenizer.json says all
// of it, so that the runtime reads one file.
#ifndef EPIGRAPH_COMPILER_DRIVER_PACKAGEDTOKENIZER_H
#define EPIGRAPH_COMPILER_DRIVER_PACKAGEDTOKENIZER_H

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace epigraph {

/// `tokenizerJson` as it is, unless `configJson` (tokenizer_config.json; may be empty) asks for a
/// BOS token by `add_bos_token` and no template of the tokenizer puts a special token first: then
/// with such a template behind its post-processor. Errors: InvalidArgument for text that is not
/// JSON of the right shape, or a BOS token that the tokenizer does not have.
absl::StatusOr<std::string> packagedTokenizer(std::string_view tokenizerJson,
                                              std::string_view configJson);

} // namespace epigraph

#endif // EPIGRAPH_COMPILER_DRIVER_PACKAGEDTOKENIZER_H
