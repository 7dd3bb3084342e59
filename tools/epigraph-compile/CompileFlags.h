// The flags that say what to compile and how, for every program that compiles.
#ifndef EPIGRAPH_TOOLS_EPIGRAPH_COMPILE_COMPILEFLAGS_H
#define EPIGRAPH_TOOLS_EPIGRAPH_COMPILE_COMPILEFLAGS_H

#include <vector>

#include "compiler/driver/Compile.h"

namespace CLI {
class App;
class Option;
} // namespace CLI

namespace epigraph {

/// The group of the flags on IR and passes in the help.
inline constexpr const char *kPassGroup = "IR and passes";

/// MODEL_DIR, --target, --ep and what else shapes the model's partition and types.
void declareModelFlags(CLI::App &app, CompileOptions &options);

/// --max-batch-tokens, --max-seqs, --max-context.
std::vector<CLI::Option *> declareLimitFlags(CLI::App &app, ImportLimits &limits);

/// Which passes run: --fusion-level, --optimize, --disable-pass, --load-pass-plugin, --insert-pass.
void declarePassFlags(CLI::App &app, CompileOptions &options);

} // namespace epigraph

#endif // EPIGRAPH_TOOLS_EPIGRAPH_COMPILE_COMPILEFLAGS_H
