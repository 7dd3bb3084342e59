// Which items of attention the kernels of a device plan want, so that only those are made.
#ifndef EPIGRAPH_RUNTIME_EXEC_ITEMNEEDS_H
#define EPIGRAPH_RUNTIME_EXEC_ITEMNEEDS_H

#include <cstdint>

#include "runtime/artifact/Plan.h"

namespace epigraph {

struct ItemNeeds {
  struct Lists {
    bool tokenItems = false;
    bool tileItems = false;
  };

  /// Of steps with one token of each sequence, or of others.
  const Lists &of(bool oneTokenEach) const { return oneTokenEach ? oneEach : any; }

  Lists oneEach, any;
  uint32_t wantedTokenItems = 0; ///< Plan.token_items
};

/// The lists that launches of some variant read that can be chosen.
ItemNeeds itemNeeds(const plan::Plan &plan);

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_EXEC_ITEMNEEDS_H
