// The reference target's only data type: a dense row-major tensor of float32 or int32, owned.
// Element types of the IR are ignored here; values live in float32 whatever the IR calls them.
#ifndef EPIGRAPH_CODEGEN_REFERENCE_TENSOR_H
#define EPIGRAPH_CODEGEN_REFERENCE_TENSOR_H

#include <cassert>
#include <cstdint>
#include <functional>
#include <numeric>
#include <utility>
#include <vector>

namespace epigraph::reference {

using Shape = std::vector<int64_t>;

class Tensor {
public:
  /// Shape [0]: no elements.
  Tensor() = default;

  /// Zeros.
  static Tensor floats(Shape shape) {
    std::vector<float> values(elementsOf(shape));
    return Tensor(std::move(shape), std::move(values));
  }
  static Tensor ints(Shape shape) {
    std::vector<int32_t> values(elementsOf(shape));
    return Tensor(std::move(shape), std::move(values));
  }

  Tensor(Shape shape, std::vector<float> values)
      : dims(std::move(shape)), floatValues(std::move(values)) {
    assert(elementsOf(dims) == floatValues.size() && "values must fill the shape");
  }
  Tensor(Shape shape, std::vector<int32_t> values)
      : dims(std::move(shape)), intValues(std::move(values)), holdsInts(true) {
    assert(elementsOf(dims) == intValues.size() && "values must fill the shape");
  }

  const Shape &shape() const { return dims; }
  int64_t rank() const { return static_cast<int64_t>(dims.size()); }
  int64_t dim(int64_t index) const { return dims[static_cast<size_t>(index)]; }
  int64_t elements() const { return static_cast<int64_t>(elementsOf(dims)); }
  bool isInt() const { return holdsInts; }

  /// The first dimension; 1 for a scalar.
  int64_t rows() const { return dims.empty() ? 1 : dims.front(); }
  /// Elements of one row: the product of all dimensions but the first.
  int64_t rowElements() const {
    return std::accumulate(dims.begin() + (dims.empty() ? 0 : 1), dims.end(), int64_t{1},
                           std::multiplies<>());
  }

  float *data() { return floatValues.data(); }
  const float *data() const { return floatValues.data(); }
  int32_t *intData() { return intValues.data(); }
  const int32_t *intData() const { return intValues.data(); }
  const float *row(int64_t index) const { return data() + index * rowElements(); }
  float *row(int64_t index) { return data() + index * rowElements(); }
  const int32_t *intRow(int64_t index) const { return intData() + index * rowElements(); }
  int32_t *intRow(int64_t index) { return intData() + index * rowElements(); }

  const std::vector<float> &floatVector() const { return floatValues; }
  const std::vector<int32_t> &intVector() const { return intValues; }

  /// The same elements under another shape.
  Tensor reshaped(Shape shape) && {
    assert(elementsOf(shape) == elementsOf(dims) && "a reshape keeps the number of elements");
    dims = std::move(shape);
    return std::move(*this);
  }

private:
  static size_t elementsOf(const Shape &shape) {
    return static_cast<size_t>(
        std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>()));
  }

  Shape dims = {0};
  std::vector<float> floatValues;
  std::vector<int32_t> intValues;
  bool holdsInts = false;
};

} // namespace epigraph::reference

#endif // EPIGRAPH_CODEGEN_REFERENCE_TENSOR_H
