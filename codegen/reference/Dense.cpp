#include "codegen/reference/Dense.h"

#include <algorithm>
#include <cmath>

#include "codegen/reference/RowProduct.h"
#include "runtime/base/BFloat16.h"
#include "runtime/base/Status.h"

namespace epigraph::reference {

absl::Status requireRows(const char *what, int64_t rows, int64_t expected) {
  if (rows == expected)
    return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(what, " has ", rows, " rows, expected ", expected));
}

Tensor linear(const Tensor &x, const Tensor &w, const Workers &workers) {
  int64_t depth = x.dim(1), outputs = w.dim(0);
  Tensor result = Tensor::floats({x.rows(), outputs});
  multiply({.x = x.data(),
            .xStride = depth,
            .rows = x.rows(),
            .w = w.data(),
            .outputs = outputs,
            .depth = depth,
            .y = result.data(),
            .yStride = outputs},
           workers);
  return result;
}

Tensor headLinear(const Tensor &x, const Tensor &w, const Workers &workers) {
  int64_t heads = w.dim(0), outputs = w.dim(1), depth = w.dim(2);
  Tensor result = Tensor::floats({x.rows(), heads, outputs});
  for (int64_t head = 0; head < heads; ++head)
    multiply({.x = x.data() + head * depth,
              .xStride = heads * depth,
              .rows = x.rows(),
              .w = w.row(head),
              .outputs = outputs,
              .depth = depth,
              .y = result.data() + head * outputs,
              .yStride = heads * outputs},
             workers);
  return result;
}

absl::StatusOr<Tensor> embedding(const Tensor &ids, const Tensor &table) {
  Tensor result = Tensor::floats({ids.rows(), table.dim(1)});
  for (int64_t t = 0; t < ids.rows(); ++t) {
    int32_t id = ids.intData()[t];
    if (id < 0 || id >= table.rows())
      return absl::InvalidArgumentError(
          absl::StrCat("id ", id, " of token ", t, " is outside the vocabulary of ", table.rows()));
    std::copy_n(table.row(id), table.dim(1), result.row(t));
  }
  return result;
}

Tensor rmsNorm(const Tensor &x, const Tensor &w, double eps) {
  int64_t size = x.dim(1);
  Tensor result = Tensor::floats(x.shape());
  for (int64_t t = 0; t < x.rows(); ++t) {
    const float *row = x.row(t);
    float squares = 0;
    for (int64_t i = 0; i < size; ++i)
      squares += row[i] * row[i];
    float mean = squares / static_cast<float>(size);
    float scale = 1.0f / std::sqrt(mean + static_cast<float>(eps));
    for (int64_t i = 0; i < size; ++i)
      result.row(t)[i] = row[i] * scale * w.data()[i];
  }
  return result;
}

absl::StatusOr<Tensor> rope(const Tensor &x, const Tensor &table,
                            absl::Span<const int32_t> positions, bool interleaved) {
  EPIGRAPH_RETURN_IF_ERROR(requireRows("x", x.rows(), static_cast<int64_t>(positions.size())));
  int64_t dims = table.dim(1), half = dims / 2, heads = x.rowElements() / dims;
  int64_t next = interleaved ? 1 : half; // from the first to the second of a pair
  Tensor result = Tensor::floats(x.shape());
  for (int64_t t = 0; t < x.rows(); ++t) {
    int32_t position = positions[static_cast<size_t>(t)];
    if (position < 0 || position >= table.rows())
      return absl::InvalidArgumentError(absl::StrCat("position ", position, " of token ", t,
                                                     " is outside the table of ", table.rows()));
    const float *cosines = table.row(position), *sines = cosines + half;
    for (int64_t head = 0; head < heads; ++head) {
      const float *from = x.row(t) + head * dims;
      float *to = result.row(t) + head * dims;
      for (int64_t i = 0; i < half; ++i) {
        int64_t a = interleaved ? 2 * i : i, b = a + next;
        to[a] = from[a] * cosines[i] - from[b] * sines[i];
        to[b] = from[b] * cosines[i] + from[a] * sines[i];
      }
    }
  }
  return result;
}

/// result[i] = combine(lhs[i], rhs[i]).
template <typename Combine>
static absl::StatusOr<Tensor> elementwise(const Tensor &lhs, const Tensor &rhs, Combine combine) {
  EPIGRAPH_RETURN_IF_ERROR(requireRows("rhs", rhs.rows(), lhs.rows()));
  Tensor result = Tensor::floats(lhs.shape());
  for (int64_t i = 0, end = lhs.elements(); i < end; ++i)
    result.data()[i] = combine(lhs.data()[i], rhs.data()[i]);
  return result;
}

absl::StatusOr<Tensor> add(const Tensor &lhs, const Tensor &rhs) {
  return elementwise(lhs, rhs, [](float a, float b) { return a + b; });
}

absl::StatusOr<Tensor> mul(const Tensor &lhs, const Tensor &rhs) {
  return elementwise(lhs, rhs, [](float a, float b) { return a * b; });
}

Tensor silu(const Tensor &x) {
  Tensor result = Tensor::floats(x.shape());
  for (int64_t i = 0, end = x.elements(); i < end; ++i)
    result.data()[i] = x.data()[i] / (1.0f + std::exp(-x.data()[i]));
  return result;
}

Tensor roundToBFloat16(const Tensor &x) {
  Tensor result = Tensor::floats(x.shape());
  for (int64_t i = 0, end = x.elements(); i < end; ++i)
    result.data()[i] = floatOfBFloat16(bfloat16OfFloat(x.data()[i]));
  return result;
}

} // namespace epigraph::reference
