// Whether --ep-split-batches splits the routed part of layers. No LLVM here: command lines have it
// too.
#ifndef EPIGRAPH_PASSES_SCHEDULE_BATCHSPLIT_H
#define EPIGRAPH_PASSES_SCHEDULE_BATCHSPLIT_H

namespace epigraph {

enum class BatchSplit {
  Auto, ///< where estimates say that it is faster
  One,  ///< nowhere
  Two   ///< wherever possible
};

} // namespace epigraph

#endif // EPIGRAPH_PASSES_SCHEDULE_BATCHSPLIT_H
