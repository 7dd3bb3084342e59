// Writing the logits of every position of a sequence to a safetensors file.
#ifndef EPIGRAPH_TOOLS_EPIGRAPH_LOGITSFILE_H
#define EPIGRAPH_TOOLS_EPIGRAPH_LOGITSFILE_H

#include <string>

#include "absl/status/status.h"
#include "runtime/session/Session.h"

namespace epigraph::tool {

/// Runs `passage` and writes its logits as float32 tensor `name`, [ids][vocab], row by row; the
/// file appears under its name only when it is complete. Only runs it if `path` is empty.
absl::Status writeLogits(Session &session, const Passage &passage, const std::string &path,
                         const std::string &name);

} // namespace epigraph::tool

#endif // EPIGRAPH_TOOLS_EPIGRAPH_LOGITSFILE_H
