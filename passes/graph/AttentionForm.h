// Apart from the passes, so that headers without MLIR can name it.
#ifndef EPIGRAPH_PASSES_GRAPH_ATTENTIONFORM_H
#define EPIGRAPH_PASSES_GRAPH_ATTENTIONFORM_H

namespace epigraph {

/// How latent attention is computed: the cheaper way for the phase of its function, with the halves
/// of kv_b_proj absorbed into query and result, or with keys and values expanded.
enum class AttentionForm { Auto, Absorbed, Expanded };

} // namespace epigraph

#endif // EPIGRAPH_PASSES_GRAPH_ATTENTIONFORM_H
