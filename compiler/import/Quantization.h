// How a checkpoint's weights are quantized, as config.json says it.
#ifndef EPIGRAPH_COMPILER_IMPORT_QUANTIZATION_H
#define EPIGRAPH_COMPILER_IMPORT_QUANTIZATION_H

#include "compiler/import/Config.h"

namespace epigraph {

/// What a quantized weight's scales are called: NAME.weight has NAME.weight_scale_inv.
inline constexpr char kScaleSuffix[] = "_scale_inv";

/// Whether `config` says that weights may be quantized as DeepSeek-V3's are: FP8 (e4m3) with one
/// float32 scale for each 128x128 block. Records any other quantization in its problems.
bool readFp8Blocks(const ConfigObject &config);

} // namespace epigraph

#endif // EPIGRAPH_COMPILER_IMPORT_QUANTIZATION_H
