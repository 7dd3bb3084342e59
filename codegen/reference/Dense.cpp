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
  int64_t size = w.elements();
  Tensor result = Tensor::floats(x.shape());
  for (int64_t first = 0; first < x.elements(); first += size) {
    const float *from = x.data() + first;
    float squares = 0;
    for (int64_t i = 0; i < size; ++i)
      squares += from[i] * from[i];
    float mean = squares / static_cast<float>(size);
    float scale = 1.0f / std::sqrt(mean + static_cast<float>(eps));
    for (int64_t i = 0; i < size; ++i)
      result.data()[first + i] = from[i] * scale * w.data()[i];
  }
  return result;
}

absl::StatusOr<Tensor> rope(const Tensor &x, const Tensor &table,
                            absl::Span<const int32_t> positions, bool interleaved) {
  EPIGRAPH_RETURN_IF_ERROR(requireRows("x", x.rows(), static_cast<int64_t>(positions.size())));
  int64_t dims = table.dim(1), half = dims / 2, columns = x.dim(x.rank() - 1);
  int64_t heads = x.rowElements() / columns;
  int64_t next = interleaved ? 1 : half; // from the first to the second of a pair
  Tensor result = x;
  for (int64_t t = 0; t < x.rows(); ++t) {
    int32_t position = positions[static_cast<size_t>(t)];
    if (position < 0 || position >= table.rows())
      return absl::InvalidArgumentError(absl::StrCat("position ", position, " of token ", t,
                                                     " is outside the table of ", table.rows()));
    const float *cosines = table.row(position), *sines = cosines + half;
    for (int64_t head = 0; head < heads; ++head) {
      const float *from = x.row(t) + head * columns;
      float *to = result.row(t) + head * columns;
      for (int64_t i = 0; i < half; ++i) {
        int64_t a = interleaved ? 2 * i : i, b = a + next;
        to[a] = from[a] * cosines[i] - from[b] * sines[i];
        to[b] = from[b] * cosines[i] + from[a] * sines[i];
      }
    }
  }
  return result;
}

/// result[i] = combine(lhs[i], rhs[j]), with j the element that meets i.
template <typename Combine>
static absl::StatusOr<Tensor> elementwise(const Tensor &lhs, const Tensor &rhs, Combine combine) {
  int64_t columns = lhs.rank() == 0 ? 1 : lhs.dim(lhs.rank() - 1);
  bool isVector = rhs.rank() == 1 && lhs.rank() > 1;
  bool isOfRows = rhs.rank() == 2 && rhs.dim(1) == 1;
  if (!isVector)
    EPIGRAPH_RETURN_IF_ERROR(requireRows("rhs", rhs.rows(), lhs.rows()));
  if (rhs.elements() != (isVector ? columns : isOfRows ? lhs.rows() : lhs.elements()))
    return absl::InvalidArgumentError(absl::StrCat("rhs has ", rhs.elements(),
                                                   " elements, which do not meet the ",
                                                   lhs.elements(), " of lhs"));
  Tensor result = Tensor::floats(lhs.shape());
  for (int64_t i = 0, end = lhs.elements(); i < end; ++i) {
    int64_t j = isVector ? i % columns : isOfRows ? i / columns : i;
    result.data()[i] = combine(lhs.data()[i], rhs.data()[j]);
  }
  return result;
}

/// result[i] = map(x[i]).
template <typename Map> static Tensor mapped(const Tensor &x, Map map) {
  Tensor result = Tensor::floats(x.shape());
  for (int64_t i = 0, end = x.elements(); i < end; ++i)
    result.data()[i] = map(x.data()[i]);
  return result;
}

absl::StatusOr<Tensor> add(const Tensor &lhs, const Tensor &rhs) {
  return elementwise(lhs, rhs, [](float a, float b) { return a + b; });
}

absl::StatusOr<Tensor> mul(const Tensor &lhs, const Tensor &rhs) {
  return elementwise(lhs, rhs, [](float a, float b) { return a * b; });
}

Tensor silu(const Tensor &x) {
  return mapped(x, [](float value) { return value / (1.0f + std::exp(-value)); });
}

Tensor sigmoid(const Tensor &x) {
  return mapped(x, [](float value) { return 1.0f / (1.0f + std::exp(-value)); });
}

Tensor softmax(const Tensor &x) {
  int64_t size = x.dim(x.rank() - 1);
  Tensor result = Tensor::floats(x.shape());
  for (int64_t first = 0; first < x.elements(); first += size) {
    const float *from = x.data() + first;
    float *to = result.data() + first;
    float highest = *std::max_element(from, from + size), sum = 0;
    for (int64_t i = 0; i < size; ++i)
      sum += to[i] = std::exp(from[i] - highest);
    for (int64_t i = 0; i < size; ++i)
      to[i] /= sum;
  }
  return result;
}

absl::StatusOr<Tensor> clampedSwiglu(const Tensor &gate, const Tensor &up,
                                     const SwigluClamp &clamp) {
  auto alpha = static_cast<float>(clamp.alpha), limit = static_cast<float>(clamp.limit);
  return elementwise(gate, up, [alpha, limit](float gated, float upward) {
    float g = std::min(gated, limit), u = std::clamp(upward, -limit, limit);
    return (u + 1.0f) * (g / (1.0f + std::exp(-alpha * g)));
  });
}

Tensor roundToBFloat16(const Tensor &x) {
  return mapped(x, [](float value) { return floatOfBFloat16(bfloat16OfFloat(value)); });
}

} // namespace epigraph::reference
