// Names for the artifact's weights, made from the checkpoint's.
#ifndef EPIGRAPH_PASSES_SCHEDULE_WEIGHTNAMES_H
#define EPIGRAPH_PASSES_SCHEDULE_WEIGHTNAMES_H

#include "mlir/IR/Value.h"
#include <string>

namespace epigraph {

/// A readable name for the weight expression `value`: the checkpoint's name of its leaf, or of its
/// leaves joined where they differ, followed by the parts that splits took (".part1"). Not unique.
std::string nameWeight(mlir::Value value);

/// Dotted `names` as one, their common first and last components written once:
/// a.q.weight, a.kv.weight -> a.q+kv.weight.
std::string joinWeightNames(llvm::ArrayRef<std::string> names);

} // namespace epigraph

#endif // EPIGRAPH_PASSES_SCHEDULE_WEIGHTNAMES_H
