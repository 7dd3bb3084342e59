#include "compiler/Version.h"

namespace epigraph {

const char *compilerVersion() { return EPIGRAPH_VERSION; }

} // namespace epigraph
