// Prefix sums over a block.
#ifndef EPIGRAPH_CODEGEN_CUDA_BLOCKSCAN_H
#define EPIGRAPH_CODEGEN_CUDA_BLOCKSCAN_H

#include "codegen/cuda/Emitter.h"

namespace epigraph::cuda {

/// Bytes of shared memory that a scan of one value needs.
inline constexpr int64_t kScanScratchBytes = 32 * 4;

/// Emits, for each index below `size`, use(index, value, sum of the values before it), where
/// value(index) gives the values, of i32. One thread sees to each index; all `threads` of the block
/// must take part. Returns the sum of all values. `scratch` may be used again after the next
/// barrier.
Val scanOverBlock(Emitter &e, int64_t size, int64_t threads, Val scratch,
                  llvm::function_ref<Val(Val index)> value,
                  llvm::function_ref<void(Val index, Val value, Val before)> use);

/// The same of `count` values for each index, in one pass. `scratch` has room for so many scans.
Vals scanOverBlock(
    Emitter &e, int64_t size, int64_t threads, Val scratch, int64_t count,
    llvm::function_ref<Vals(Val index)> values,
    llvm::function_ref<void(Val index, llvm::ArrayRef<Val> values, llvm::ArrayRef<Val> before)>
        use);

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_BLOCKSCAN_H
