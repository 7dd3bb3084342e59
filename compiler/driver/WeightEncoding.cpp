#include "compiler/driver/WeightEncoding.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "runtime/base/BFloat16.h"
#include "runtime/base/Status.h"

namespace epigraph {
namespace {

/// Values converted at once: enough to amortise a write, small enough for the cache.
constexpr int64_t kChunk = 1 << 16;

void store(float value, DType dtype, uint8_t *to) {
  if (dtype == DType::BF16) {
    uint16_t bits = bfloat16OfFloat(value);
    std::memcpy(to, &bits, sizeof(bits));
  } else {
    std::memcpy(to, &value, sizeof(value));
  }
}

absl::Span<const uint8_t> bytesOf(const int32_t *values, int64_t count) {
  return {reinterpret_cast<const uint8_t *>(values), static_cast<size_t>(count) * sizeof(int32_t)};
}

/// One panel: rows [first, first + columns) of the matrix [n, k]; `panelBytes` is zeroed before.
void encodePanel(const float *matrix, int64_t n, int64_t k, int64_t first, PanelShape panel,
                 DType dtype, std::vector<uint8_t> &panelBytes) {
  const int64_t elementBytes = static_cast<int64_t>(dtypeBytes(dtype));
  std::fill(panelBytes.begin(), panelBytes.end(), 0);
  const int64_t columns = std::min(panel.columns, n - first);
  for (int64_t c = 0; c < columns; ++c) {
    const float *row = matrix + (first + c) * k;
    for (int64_t i = 0; i < k; ++i) {
      int64_t group = i / panel.depth, lane = i % panel.depth;
      int64_t index = (group * panel.columns + c) * panel.depth + lane;
      store(row[i], dtype, panelBytes.data() + index * elementBytes);
    }
  }
}

} // namespace

absl::Status encodeRowMajor(const reference::Tensor &values, DType dtype, const ByteSink &sink) {
  if (values.isInt())
    return sink(bytesOf(values.intData(), values.elements()));
  const size_t elementBytes = dtypeBytes(dtype);
  std::vector<uint8_t> buffer;
  for (int64_t begin = 0; begin < values.elements(); begin += kChunk) {
    int64_t count = std::min(kChunk, values.elements() - begin);
    buffer.resize(static_cast<size_t>(count) * elementBytes);
    for (int64_t i = 0; i < count; ++i)
      store(values.data()[begin + i], dtype, buffer.data() + static_cast<size_t>(i) * elementBytes);
    EPIGRAPH_RETURN_IF_ERROR(sink(buffer));
  }
  return absl::OkStatus();
}

absl::Status encodePanels(const reference::Tensor &values, DType dtype, PanelShape panel,
                          const ByteSink &sink) {
  const int64_t n = values.dim(values.rank() - 2), k = values.dim(values.rank() - 1);
  const int64_t groups = (k + panel.depth - 1) / panel.depth;
  std::vector<uint8_t> buffer(static_cast<size_t>(groups * panel.columns * panel.depth) *
                              dtypeBytes(dtype));
  for (int64_t begin = 0; begin < values.elements(); begin += n * k)
    for (int64_t first = 0; first < n; first += panel.columns) {
      encodePanel(values.data() + begin, n, k, first, panel, dtype, buffer);
      EPIGRAPH_RETURN_IF_ERROR(sink(buffer));
    }
  return absl::OkStatus();
}

} // namespace epigraph
