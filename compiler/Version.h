// The version of the compiler that is loaded, as against the one that a plugin was built with.
#ifndef EPIGRAPH_COMPILER_VERSION_H
#define EPIGRAPH_COMPILER_VERSION_H

namespace epigraph {

/// "0.1.0".
const char *compilerVersion();

} // namespace epigraph

#endif // EPIGRAPH_COMPILER_VERSION_H
