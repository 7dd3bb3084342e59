#include "compiler/import/Quantization.h"

#include "dialects/epi/Scales.h"

namespace epigraph {

bool readFp8Blocks(const ConfigObject &config) {
  if (!config.has("quantization_config"))
    return false;
  ConfigObject quantization = config.object("quantization_config");
  if (quantization.text("quant_method", "") != "fp8") {
    quantization.unsupported("quant_method", "\"fp8\" is; or give a checkpoint in bfloat16 or "
                                             "float32");
    return false;
  }
  if (quantization.text("fmt", "e4m3") != "e4m3")
    quantization.unsupported("fmt", "\"e4m3\" is");
  // Without blocks a weight would have one scale, or one for each row.
  if (quantization.integers("weight_block_size", {1, 1 << 20}) !=
      std::vector<int64_t>{epi::kScaleBlock, epi::kScaleBlock})
    quantization.unsupported("weight_block_size", "[128, 128] is");
  if (quantization.text("activation_scheme", "dynamic") != "dynamic")
    quantization.unsupported("activation_scheme", "\"dynamic\" is");
  return true;
}

} // namespace epigraph
