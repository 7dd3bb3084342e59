// What collectives cost, from the target's links. Passes that weigh communication against work
// count with this.
#ifndef EPIGRAPH_PASSES_PARTITION_LINKCOST_H
#define EPIGRAPH_PASSES_PARTITION_LINKCOST_H

#include "dialects/exec/Exec.h"

namespace epigraph {

/// Nanoseconds of one collective among `ranks` ranks, as our communicators run it: each rank reads
/// what it needs from every other. L is the link's latency, B its bytes a nanosecond.
class LinkCost {
public:
  LinkCost(exec::TargetAttr target, int64_t ranks)
      : latency(target.getLinkLatencyNs()), bandwidth(target.getLinkGbps().getValueAsDouble()),
        ranks(static_cast<double>(ranks)) {}

  /// Every rank reads all rows of all others: L + (R - 1) bytes / B.
  double allReduce(double bytes) const { return latency + (ranks - 1) * bytes / bandwidth; }
  /// Every rank reads its share from each other: L + (R - 1) / R bytes / B.
  double reduceScatter(double bytes) const { return latency + share(bytes); }
  /// `bytes` are those of the whole: L + (R - 1) / R bytes / B.
  double allGather(double bytes) const { return latency + share(bytes); }

private:
  double share(double bytes) const { return (ranks - 1) / ranks * bytes / bandwidth; }

  double latency;
  double bandwidth;
  double ranks;
};

/// Bytes of `rows` rows of `type`.
inline double bytesOfRows(mlir::RankedTensorType type, int64_t rows) {
  double bytes = static_cast<double>(rows) * (type.getElementTypeBitWidth() / 8);
  for (int64_t size : type.getShape().drop_front())
    bytes *= static_cast<double>(size);
  return bytes;
}

} // namespace epigraph

#endif // EPIGRAPH_PASSES_PARTITION_LINKCOST_H
