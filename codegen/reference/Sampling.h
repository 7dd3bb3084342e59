// Choosing tokens. Meaning: dialects/epi/EpiSamplingOps.td.
#ifndef EPIGRAPH_CODEGEN_REFERENCE_SAMPLING_H
#define EPIGRAPH_CODEGEN_REFERENCE_SAMPLING_H

#include "codegen/reference/Tensor.h"

namespace epigraph::reference {

/// x [rows, columns]; i32 [rows]: the column of the largest element of each row, the first of equal
/// ones, or -1 where an element is not a number.
Tensor argmax(const Tensor &x);

} // namespace epigraph::reference

#endif // EPIGRAPH_CODEGEN_REFERENCE_SAMPLING_H
