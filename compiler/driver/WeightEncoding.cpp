#include "compiler/driver/WeightEncoding.h"

#include <algorithm>
#include <vector>

#include "runtime/base/BFloat16.h"
#include "runtime/base/Float8.h"
#include "runtime/base/Status.h"

namespace epigraph {
namespace {

/// Values that one thread converts at a time: enough to amortise asking for more.
constexpr int64_t kPiece = 1 << 16;
/// Elements converted at once, by all threads: what is held of a weight beside its values.
constexpr int64_t kAtOnce = 1 << 23;

void store(float value, uint8_t &to) { to = float8OfFloat(value); }
void store(float value, uint16_t &to) { to = bfloat16OfFloat(value); }
void store(float value, float &to) { to = value; }

template <typename T> absl::Span<const uint8_t> bytesOf(const std::vector<T> &values) {
  return {reinterpret_cast<const uint8_t *>(values.data()), values.size() * sizeof(T)};
}

template <typename T>
absl::Status encodeRows(const reference::Tensor &values, const reference::Workers &workers,
                        const ByteSink &sink) {
  std::vector<T> buffer;
  for (int64_t begin = 0; begin < values.elements(); begin += kAtOnce) {
    const int64_t count = std::min(kAtOnce, values.elements() - begin);
    buffer.resize(static_cast<size_t>(count));
    workers.forEach((count + kPiece - 1) / kPiece, count, [&](int64_t piece) {
      const int64_t last = std::min((piece + 1) * kPiece, count);
      for (int64_t i = piece * kPiece; i < last; ++i)
        store(values.data()[begin + i], buffer[static_cast<size_t>(i)]);
    });
    EPIGRAPH_RETURN_IF_ERROR(sink(bytesOf(buffer)));
  }
  return absl::OkStatus();
}

/// One panel: `columns` rows of a matrix with `k` columns, from `rows` on; `to` holds zeros.
template <typename T>
void encodePanel(const float *rows, int64_t columns, int64_t k, PanelShape panel, T *to) {
  for (int64_t group = 0; group * panel.depth < k; ++group)
    for (int64_t c = 0; c < columns; ++c) {
      int64_t first = group * panel.depth, last = std::min(first + panel.depth, k);
      for (int64_t i = first; i < last; ++i)
        store(rows[c * k + i], to[(group * panel.columns + c) * panel.depth + i - first]);
    }
}

/// The panels of all matrices of a stack, in their order.
template <typename T>
absl::Status encodeAllPanels(const reference::Tensor &values, PanelShape panel,
                             const reference::Workers &workers, const ByteSink &sink) {
  const int64_t n = values.dim(values.rank() - 2), k = values.dim(values.rank() - 1);
  const int64_t panelsOfMatrix = (n + panel.columns - 1) / panel.columns;
  const int64_t panels = values.elements() / (n * k) * panelsOfMatrix;
  const int64_t panelElements = (k + panel.depth - 1) / panel.depth * panel.columns * panel.depth;
  const int64_t atOnce = std::max<int64_t>(1, kAtOnce / panelElements);
  std::vector<T> buffer;
  for (int64_t begin = 0; begin < panels; begin += atOnce) {
    int64_t count = std::min(atOnce, panels - begin);
    buffer.assign(static_cast<size_t>(count * panelElements), T{});
    workers.forEach(count, count * panelElements, [&](int64_t i) {
      int64_t matrix = (begin + i) / panelsOfMatrix;
      int64_t first = (begin + i) % panelsOfMatrix * panel.columns;
      encodePanel(values.data() + (matrix * n + first) * k, std::min(panel.columns, n - first), k,
                  panel, buffer.data() + i * panelElements);
    });
    EPIGRAPH_RETURN_IF_ERROR(sink(bytesOf(buffer)));
  }
  return absl::OkStatus();
}

} // namespace

absl::Status encodeRowMajor(const reference::Tensor &values, DType dtype,
                            const reference::Workers &workers, const ByteSink &sink) {
  if (values.isInt())
    return sink(bytesOf(values.intVector()));
  switch (dtype) {
  case DType::F8_E4M3:
    return encodeRows<uint8_t>(values, workers, sink);
  case DType::BF16:
    return encodeRows<uint16_t>(values, workers, sink);
  default:
    return encodeRows<float>(values, workers, sink);
  }
}

absl::Status encodePanels(const reference::Tensor &values, DType dtype, PanelShape panel,
                          const reference::Workers &workers, const ByteSink &sink) {
  switch (dtype) {
  case DType::F8_E4M3:
    return encodeAllPanels<uint8_t>(values, panel, workers, sink);
  case DType::BF16:
    return encodeAllPanels<uint16_t>(values, panel, workers, sink);
  default:
    return encodeAllPanels<float>(values, panel, workers, sink);
  }
}

} // namespace epigraph
