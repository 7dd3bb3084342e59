// The weight program, one expert at a time: the stack of a layer's experts is tens of gigabytes in
// float32, one of its rows a hundred megabytes.
#ifndef EPIGRAPH_COMPILER_DRIVER_WEIGHTSLICES_H
#define EPIGRAPH_COMPILER_DRIVER_WEIGHTSLICES_H

#include "codegen/reference/MeshShape.h"
#include "dialects/exec/Exec.h"
#include "mlir/IR/OwningOpRef.h"

namespace epigraph {

/// The program of row `index` alone of what `weight`'s program makes on rank `rank` of `mesh`: a
/// weight of the same type but for a first dimension of 1 and no packing, which is no part of a
/// module. Null if rows are not made independently of each other, each from that row of stacks.
mlir::OwningOpRef<exec::WeightOp>
sliceWeight(exec::WeightOp weight, const reference::MeshShape &mesh, int rank, int64_t index);

} // namespace epigraph

#endif // EPIGRAPH_COMPILER_DRIVER_WEIGHTSLICES_H
