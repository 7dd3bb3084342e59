// A mixture of experts: a router that chooses some of many feed-forward networks for each token,
// the experts themselves, and DeepSeek's layout of layers and shared experts around them.
#ifndef EPIGRAPH_COMPILER_IMPORT_BLOCKS_EXPERTS_H
#define EPIGRAPH_COMPILER_IMPORT_BLOCKS_EXPERTS_H

#include "compiler/import/blocks/Decoder.h"

namespace epigraph {

/// How a token's experts are chosen: see `epi.route`.
struct Router {
  int64_t experts;
  int64_t topK;
  epi::ScoreFunction score = epi::ScoreFunction::Softmax;
  int64_t groups = 1;
  int64_t topGroups = 1;
  epi::GroupScore groupScore = epi::GroupScore::Max;
  bool normalize = true; ///< the weights of a token's experts to a sum of 1
  double scale = 1;
  bool bias = false;           ///< of the logits: `bias`
  bool correctionBias = false; ///< of the choice alone: `e_score_correction_bias`
};

struct RoutedTokens {
  mlir::Value ids;
  mlir::Value weights;
};

inline constexpr IntRange kExpertCounts{1, 1 << 14};
inline constexpr IntRange kExpertsPerToken{1, 256};

/// Checks that `topK` experts can be chosen; `key` holds their number.
void checkRouter(const ConfigObject &config, const Router &router, std::string_view key);

/// Chooses among experts by linear `name`, in float32.
RoutedTokens route(GraphBuilder &graph, const Router &router, mlir::Value x, llvm::StringRef name);

/// What a checkpoint calls an expert's three projections.
struct ExpertNames {
  llvm::StringRef gate = "gate_proj";
  llvm::StringRef up = "up_proj";
  llvm::StringRef down = "down_proj";
};

/// The chosen experts' swiglu networks, `experts.N.gate_proj` and so on, each of `inner` columns.
mlir::Value swigluExperts(GraphBuilder &graph, const Router &router, mlir::Value x,
                          const RoutedTokens &routed, int64_t inner, const ExpertNames &names = {});

/// DeepSeek's layout: dense first layers, then experts beside shared experts that see every token.
struct DeepseekExperts {
  Router router{}; ///< no experts: all layers are dense
  int64_t inner = 0;
  int64_t shared = 0; ///< experts' worth of columns
  int64_t firstLayer = 0;
  int64_t layerStride = 1;

  bool inLayer(int64_t layer) const {
    return router.experts > 0 && layer >= firstLayer && layer % layerStride == 0;
  }
};

/// Reads all but the router's score, group score, choice of normalisation and biases, which differ
/// between families.
DeepseekExperts readDeepseekExperts(const ConfigObject &config);

/// Scores and choices as of DeepSeek-V3, for whoever follows it: sigmoid scores, a correction bias
/// and groups scored by their two best. Records other settings as unsupported.
void readCorrectedRouter(const ConfigObject &config, DeepseekExperts &experts);

/// The feed-forward part of layer `layer`, dense with `denseInner` columns or of experts.
mlir::Value deepseekFeedForward(GraphBuilder &graph, const DeepseekExperts &experts,
                                int64_t denseInner, mlir::Value x, int64_t layer);

} // namespace epigraph

#endif // EPIGRAPH_COMPILER_IMPORT_BLOCKS_EXPERTS_H
