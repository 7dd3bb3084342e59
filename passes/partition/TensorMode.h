// How --ep-partition-tensor cuts projections. No LLVM here: command lines have it too.
#ifndef EPIGRAPH_PASSES_PARTITION_TENSORMODE_H
#define EPIGRAPH_PASSES_PARTITION_TENSORMODE_H

namespace epigraph {

enum class TensorMode {
  Auto,          ///< chains by columns then rows, and over both axes where that saves time
  Column,        ///< each projection by its outputs
  Row,           ///< each projection by its inputs
  TwoDimensional ///< each by its outputs over members and its inputs over groups
};

} // namespace epigraph

#endif // EPIGRAPH_PASSES_PARTITION_TENSORMODE_H
