#include "codegen/reference/Structure.h"

#include <algorithm>

#include "runtime/base/Status.h"

namespace epigraph::reference {
namespace {

Tensor like(const Tensor &x, Shape shape) {
  return x.isInt() ? Tensor::ints(std::move(shape)) : Tensor::floats(std::move(shape));
}

/// to[toIndex, +count) = from[fromIndex, +count), in elements.
void copyElements(const Tensor &from, int64_t fromIndex, Tensor &to, int64_t toIndex,
                  int64_t count) {
  if (from.isInt())
    std::copy_n(from.intData() + fromIndex, count, to.intData() + toIndex);
  else
    std::copy_n(from.data() + fromIndex, count, to.data() + toIndex);
}

int64_t product(const Shape &shape, int64_t begin, int64_t end) {
  int64_t result = 1;
  for (int64_t i = begin; i < end; ++i)
    result *= shape[static_cast<size_t>(i)];
  return result;
}

/// Copies a part that starts at `offset` along `dim` of `whole` out of it, or into it.
template <bool Into, typename Whole, typename Part>
void copyPart(Whole &whole, Part &part, int64_t dim, int64_t offset) {
  int64_t outer = product(whole.shape(), 0, dim);
  int64_t inner = product(whole.shape(), dim + 1, whole.rank());
  int64_t wholeRun = whole.dim(dim) * inner, partRun = part.dim(dim) * inner;
  for (int64_t i = 0; i < outer; ++i)
    if constexpr (Into)
      copyElements(part, i * partRun, whole, i * wholeRun + offset * inner, partRun);
    else
      copyElements(whole, i * wholeRun + offset * inner, part, i * partRun, partRun);
}

} // namespace

Tensor transpose(const Tensor &x, absl::Span<const int64_t> permutation) {
  size_t rank = permutation.size();
  Shape shape(rank), strides(rank), index(rank, 0);
  for (size_t i = 0; i < rank; ++i) {
    shape[i] = x.dim(permutation[i]);
    strides[i] = product(x.shape(), permutation[i] + 1, x.rank());
  }
  Tensor result = like(x, shape);
  int64_t from = 0;
  for (int64_t to = 0, end = x.elements(); to < end; ++to) {
    copyElements(x, from, result, to, 1);
    for (size_t i = rank; i-- > 0;) { // the next index, and where it lies in x
      from += strides[i];
      if (++index[i] < shape[i])
        break;
      from -= strides[i] * shape[i];
      index[i] = 0;
    }
  }
  return result;
}

std::vector<Tensor> split(const Tensor &x, int64_t dim, absl::Span<const int64_t> sizes) {
  std::vector<Tensor> parts;
  int64_t offset = 0;
  for (int64_t size : sizes) {
    Shape shape = x.shape();
    shape[static_cast<size_t>(dim)] = size;
    copyPart<false>(x, parts.emplace_back(like(x, std::move(shape))), dim, offset);
    offset += size;
  }
  return parts;
}

absl::StatusOr<Tensor> concat(absl::Span<const Tensor *const> parts, int64_t dim) {
  Shape shape = parts.front()->shape();
  shape[static_cast<size_t>(dim)] = 0;
  for (const Tensor *part : parts) {
    for (int64_t i = 0; i < part->rank(); ++i)
      if (i != dim && part->dim(i) != parts.front()->dim(i))
        return absl::InvalidArgumentError(absl::StrCat("a part has size ", part->dim(i),
                                                       " in dimension ", i, ", the first has ",
                                                       parts.front()->dim(i)));
    shape[static_cast<size_t>(dim)] += part->dim(dim);
  }
  Tensor result = like(*parts.front(), std::move(shape));
  int64_t offset = 0;
  for (const Tensor *part : parts) {
    copyPart<true>(result, *part, dim, offset);
    offset += part->dim(dim);
  }
  return result;
}

Tensor sliceRows(const Tensor &x, int64_t begin, int64_t end) {
  Shape shape = x.shape();
  shape.front() = end - begin;
  Tensor result = like(x, std::move(shape));
  copyElements(x, begin * x.rowElements(), result, 0, result.elements());
  return result;
}

Tensor sliceDim(const Tensor &x, int64_t dim, int64_t begin, int64_t end) {
  Shape shape = x.shape();
  shape[static_cast<size_t>(dim)] = end - begin;
  Tensor result = like(x, std::move(shape));
  copyPart<false>(x, result, dim, begin);
  return result;
}

absl::StatusOr<Tensor> selectRows(const Tensor &x, absl::Span<const int32_t> rows) {
  Shape shape = x.shape();
  shape.front() = static_cast<int64_t>(rows.size());
  Tensor result = like(x, std::move(shape));
  int64_t size = x.rowElements();
  for (size_t i = 0; i < rows.size(); ++i) {
    if (rows[i] < 0 || rows[i] >= x.rows())
      return absl::InvalidArgumentError(
          absl::StrCat("row ", rows[i], " was asked for, but there are ", x.rows()));
    copyElements(x, rows[i] * size, result, static_cast<int64_t>(i) * size, size);
  }
  return result;
}

} // namespace epigraph::reference
