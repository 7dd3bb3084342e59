// Cosines and sines of the rotary embedding, as transformers computes them.
#ifndef EPIGRAPH_CODEGEN_REFERENCE_ROPETABLE_H
#define EPIGRAPH_CODEGEN_REFERENCE_ROPETABLE_H

#include <optional>
#include <vector>

#include "codegen/reference/Tensor.h"

namespace epigraph::reference {

/// YaRN (Peng et al., 2023): see `#epi.yarn`.
struct Yarn {
  double factor;
  int64_t original; ///< positions that the model was first trained on
  double betaFast;
  double betaSlow;
  bool truncate = true; ///< the ramp's ends are widened to whole pairs
};

/// Llama 3.1's way: see `#epi.llama3_rope`.
struct Llama3Rope {
  double factor;
  int64_t original; ///< positions that the model was first trained on
  double lowFreqFactor;
  double highFreqFactor;
};

struct RopeTableOptions {
  int64_t positions;
  int64_t dims; ///< even
  double theta;
  double magnitude; ///< multiplies every cosine and sine
  std::optional<Yarn> yarn;
  std::optional<Llama3Rope> llama3 = std::nullopt; ///< not beside yarn
};

/// [dims / 2] angle of one position, pair by pair, in the float32 arithmetic of transformers.
std::vector<float> ropeFrequencies(const RopeTableOptions &options);

/// [positions, dims]: dims / 2 cosines, then dims / 2 sines, of each position.
Tensor ropeTable(const RopeTableOptions &options);

} // namespace epigraph::reference

#endif // EPIGRAPH_CODEGEN_REFERENCE_ROPETABLE_H
