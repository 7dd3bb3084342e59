// The one matrix product of the reference target: rows times the rows of a weight.
#ifndef EPIGRAPH_CODEGEN_REFERENCE_ROWPRODUCT_H
#define EPIGRAPH_CODEGEN_REFERENCE_ROWPRODUCT_H

#include <cstdint>

#include "codegen/reference/Workers.h"

namespace epigraph::reference {

/// y[r][n] = sum over k of x[r][k] * w[n][k], k ascending in one float32 accumulator: the result of
/// a row depends on nothing but that row.
struct RowProduct {
  const float *x;
  int64_t xStride; ///< elements from one row of x to the next
  int64_t rows;
  const float *w; ///< [outputs][depth]
  int64_t outputs;
  int64_t depth;
  float *y;
  int64_t yStride;
};

void multiply(const RowProduct &product, const Workers &workers);

} // namespace epigraph::reference

#endif // EPIGRAPH_CODEGEN_REFERENCE_ROWPRODUCT_H
