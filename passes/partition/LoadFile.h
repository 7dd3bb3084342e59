// Reading measured loads of experts. The file is untrusted.
#ifndef EPIGRAPH_PASSES_PARTITION_LOADFILE_H
#define EPIGRAPH_PASSES_PARTITION_LOADFILE_H

#include <string>

#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/Error.h"

namespace epigraph {

/// Rows that each expert of each layer was sent, by the layer's name.
using ExpertLoads = llvm::StringMap<llvm::SmallVector<double>>;

/// The loads in `text`, one JSON object and nothing unknown in it:
///
///   {"format": "epigraph-expert-load", "version": 1,
///    "layers": {"model.layers.3.mlp": [1041, 12, 0, 377]}}
///
/// Errors name the key and say what was expected.
llvm::Expected<ExpertLoads> parseExpertLoads(llvm::StringRef text);

/// The same of a file; errors name it.
llvm::Expected<ExpertLoads> readExpertLoads(llvm::StringRef path);

} // namespace epigraph

#endif // EPIGRAPH_PASSES_PARTITION_LOADFILE_H
