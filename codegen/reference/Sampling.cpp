#include "codegen/reference/Sampling.h"

#include <algorithm>
#include <cmath>

namespace epigraph::reference {

Tensor argmax(const Tensor &x) {
  Tensor result = Tensor::ints({x.rows()});
  for (int64_t row = 0; row < x.rows(); ++row) {
    const float *begin = x.row(row), *end = begin + x.rowElements();
    const bool isKnown = std::none_of(begin, end, [](float value) { return std::isnan(value); });
    result.intData()[row] =
        isKnown ? static_cast<int32_t>(std::max_element(begin, end) - begin) : -1;
  }
  return result;
}

} // namespace epigraph::reference
