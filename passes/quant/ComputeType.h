// Apart from the passes so that headers without MLIR (compiler/driver/Compile.h) can name it.
#ifndef EPIGRAPH_PASSES_QUANT_COMPUTETYPE_H
#define EPIGRAPH_PASSES_QUANT_COMPUTETYPE_H

namespace epigraph {

/// The type in which a model computes: of its activations and caches, and of the weights that its
/// kernels read. Sums are in float32 in any case.
enum class ComputeType { Float32, BFloat16 };

} // namespace epigraph

#endif // EPIGRAPH_PASSES_QUANT_COMPUTETYPE_H
