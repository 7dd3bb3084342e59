// The skeleton that all families share: an embedding, layers that each add attention and then a
// feed-forward network to what they were given, a last norm, and the head. A family says what the
// two parts of a layer are.
#ifndef EPIGRAPH_COMPILER_IMPORT_BLOCKS_DECODER_H
#define EPIGRAPH_COMPILER_IMPORT_BLOCKS_DECODER_H

#include <functional>

#include "compiler/import/Config.h"
#include "compiler/import/GraphBuilder.h"
#include "compiler/import/RopeConfig.h"

namespace epigraph {

struct DecoderSettings {
  ModelShape shape;
  int64_t inner; ///< of dense feed-forward networks
  double eps;    ///< of norms
  bool tiedEmbeddings;
  RopeConfig rope;
  int64_t ropeDims = 0; ///< of a head, rotated; the attention block's reader knows
};

/// Reads what the skeleton needs, with `ropeDefaults` for what the configuration leaves out.
DecoderSettings readDecoderSettings(const ConfigObject &config,
                                    const RopeDefaults &ropeDefaults = {});

/// Records `key` as unsupported unless its value is `only` or it is missing.
void requireText(const ConfigObject &config, std::string_view key, std::string_view only);
/// The same for a flag that must be false.
void requireFalse(const ConfigObject &config, std::string_view key);

/// What the layers of one function share.
struct StepValues {
  mlir::Value step;
  mlir::Value ropeTable;
};

/// The two parts of a layer, each from its normed input to what is added. Both are called in the
/// scope "model.layers.LAYER".
struct LayerParts {
  std::function<mlir::Value(mlir::Value x, const StepValues &step, int64_t layer)> attention;
  std::function<mlir::Value(mlir::Value x, int64_t layer)> feedForward;
};

/// Declares the model and builds main(ids, step) -> (logits of the output rows, hidden states of
/// all tokens). To be called once all settings are read; returns first what is wrong with them.
absl::Status buildDecoder(const ConfigObject &config, GraphBuilder &graph,
                          const DecoderSettings &settings, const LayerParts &parts);

/// Builds mtp(hidden states of main, ids of the next tokens, step) -> logits of the tokens after
/// those, DeepSeek-V3's multi-token prediction, if the checkpoint has such a layer after the
/// others; num_nextn_predict_layers says so, and some checkpoints leave it out. To be called after
/// buildDecoder.
void buildPrediction(const ConfigObject &config, GraphBuilder &graph,
                     const DecoderSettings &settings, const LayerParts &parts);

} // namespace epigraph

#endif // EPIGRAPH_COMPILER_IMPORT_BLOCKS_DECODER_H
