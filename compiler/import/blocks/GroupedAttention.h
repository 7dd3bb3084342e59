// Attention over cached keys and values, whose heads may be shared by groups of query heads
// (Ainslie et al., 2023): what Llama and most models after it have, with the additions of each.
#ifndef EPIGRAPH_COMPILER_IMPORT_BLOCKS_GROUPEDATTENTION_H
#define EPIGRAPH_COMPILER_IMPORT_BLOCKS_GROUPEDATTENTION_H

#include <vector>

#include "compiler/import/blocks/Decoder.h"

namespace epigraph {

/// Norms of queries and keys, before rotation: `q_norm` and `k_norm`.
enum class QueryKeyNorm {
  None,
  EachHead, ///< over the dims of each head, with one weight for all of them
  AllHeads, ///< over all heads at once
};

struct GroupedAttention {
  int64_t heads;
  int64_t keyHeads; ///< of keys and values
  int64_t headDims;
  double eps; ///< of the norms
  // What a family sets after reading.
  bool inputBias = false;  ///< of the projections of queries, keys and values
  bool outputBias = false; ///< of the projection of the result
  QueryKeyNorm norm = QueryKeyNorm::None;
  bool sinks = false;           ///< a score for each head that takes part in its softmax
  std::vector<int64_t> windows; ///< by layer: positions that a token sees, or 0 for all; or empty
};

/// Reads the heads' numbers and sizes, and sets `decoder`'s rotated dims.
GroupedAttention readGroupedAttention(const ConfigObject &config, DecoderSettings &decoder);

/// The window of `sliding_window` positions in every layer; none if it is null.
std::vector<int64_t> readWindow(const ConfigObject &config, int64_t layers);
/// The same in those layers that `layer_types`, which must be there, calls "sliding_attention".
std::vector<int64_t> readLayerWindows(const ConfigObject &config, int64_t layers);

/// Attention of layer `layer` to its tokens' predecessors, under scope "self_attn".
mlir::Value groupedAttention(GraphBuilder &graph, const GroupedAttention &attention, mlir::Value x,
                             const StepValues &step, int64_t layer);

} // namespace epigraph

#endif // EPIGRAPH_COMPILER_IMPORT_BLOCKS_GROUPEDATTENTION_H
