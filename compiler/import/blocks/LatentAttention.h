// Multi-head latent attention (DeepSeek-V2, 2024, section 2.1): keys and values of all heads come
// from one short vector a token, which is what the cache holds.
#ifndef EPIGRAPH_COMPILER_IMPORT_BLOCKS_LATENTATTENTION_H
#define EPIGRAPH_COMPILER_IMPORT_BLOCKS_LATENTATTENTION_H

#include "compiler/import/blocks/Decoder.h"

namespace epigraph {

struct LatentAttention {
  int64_t heads;
  int64_t queryRank; ///< 0: the query is projected directly
  int64_t latent;
  int64_t nopeDims; ///< of a head's query and key, without position
  int64_t ropeDims; ///< of a head's query, and of the key that heads share
  int64_t valueDims;
  double scale; ///< of scores
  bool interleavedRope;
};

/// Reads the settings, and sets `decoder`'s rotated dims.
LatentAttention readLatentAttention(const ConfigObject &config, DecoderSettings &decoder);

/// Attention of layer `layer` to its tokens' predecessors, under scope "self_attn".
mlir::Value latentAttention(GraphBuilder &graph, const LatentAttention &attention, mlir::Value x,
                            const StepValues &step, int64_t layer);

} // namespace epigraph

#endif // EPIGRAPH_COMPILER_IMPORT_BLOCKS_LATENTATTENTION_H
