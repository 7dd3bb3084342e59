// Parts of weights, taken where packing can read them alone.
#ifndef EPIGRAPH_PASSES_PARTITION_WEIGHTSHARDS_H
#define EPIGRAPH_PASSES_PARTITION_WEIGHTSHARDS_H

#include "dialects/ep/Ep.h"
#include "mlir/IR/Builders.h"

namespace epigraph {

/// This rank's part of `weight`, an expression over weights, cut along `dim` into `parts` parts
/// among the ranks along `axis`. Taken below casts; `weight` itself for one part.
mlir::Value shardWeight(mlir::OpBuilder &builder, mlir::Value weight, ep::Axis axis, int64_t dim,
                        int64_t parts);

/// `type` with `size` in dimension `dim`.
mlir::RankedTensorType resize(mlir::Type type, int64_t dim, int64_t size);

} // namespace epigraph

#endif // EPIGRAPH_PASSES_PARTITION_WEIGHTSHARDS_H
