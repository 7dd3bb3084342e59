// A block of rows is turned so that its rows lie side by side for each k. The inner loop then does
// the same addition for all rows of the block at once (vectors across rows), while each row still
// adds up its own products one by one in the order of k.
#include "codegen/reference/RowProduct.h"

#include <algorithm>
#include <vector>

namespace epigraph::reference {
namespace {

constexpr int64_t kOutputsPerTask = 64;

/// Rows [firstRow, firstRow + count) and outputs [begin, end); count <= Block, missing rows count
/// as zeros.
template <int Block>
void multiplyBlock(const RowProduct &p, int64_t firstRow, int64_t count, int64_t begin,
                   int64_t end) {
  std::vector<float> turned(static_cast<size_t>(p.depth * Block));
  for (int64_t r = 0; r < count; ++r)
    for (int64_t k = 0; k < p.depth; ++k)
      turned[static_cast<size_t>(k * Block + r)] = p.x[(firstRow + r) * p.xStride + k];
  for (int64_t n = begin; n < end; ++n) {
    float sums[Block] = {};
    const float *weight = p.w + n * p.depth;
    const float *column = turned.data();
    for (int64_t k = 0; k < p.depth; ++k, column += Block)
      for (int r = 0; r < Block; ++r)
        sums[r] += column[r] * weight[k];
    for (int64_t r = 0; r < count; ++r)
      p.y[(firstRow + r) * p.yStride + n] = sums[r];
  }
}

template <int Block> void multiplyAll(const RowProduct &p, const Workers &workers) {
  int64_t rowTasks = (p.rows + Block - 1) / Block;
  int64_t outputTasks = (p.outputs + kOutputsPerTask - 1) / kOutputsPerTask;
  workers.forEach(rowTasks * outputTasks, 2 * p.rows * p.outputs * p.depth, [&](int64_t task) {
    int64_t firstRow = task / outputTasks * Block, begin = task % outputTasks * kOutputsPerTask;
    multiplyBlock<Block>(p, firstRow, std::min<int64_t>(Block, p.rows - firstRow), begin,
                         std::min(begin + kOutputsPerTask, p.outputs));
  });
}

} // namespace

void multiply(const RowProduct &product, const Workers &workers) {
  if (product.rows <= 4)
    multiplyAll<4>(product, workers);
  else
    multiplyAll<16>(product, workers);
}

} // namespace epigraph::reference
