#include "runtime/artifact/DeviceRows.h"

#include <algorithm>

namespace epigraph {
namespace {

uint64_t roundUp(uint64_t rows) {
  return (rows + kDeviceRowMultiple - 1) / kDeviceRowMultiple * kDeviceRowMultiple;
}

} // namespace

bool isDevicePlan(const plan::Plan &plan) {
  return plan.kernels()->size() != 0 && plan.kernels()->Get(0)->variants() != nullptr;
}

DeviceRows::DeviceRows(const plan::Plan &plan, const plan::Function &function)
    : plan(plan), function(function) {
  for (const plan::Buffer *buffer : *function.buffers()) {
    const plan::Rows &rows = *buffer->rows();
    if (rows.kind() != plan::RowKind::Received)
      continue;
    // Divided one after the other: the product of the three may have more than 64 bits.
    const uint64_t most =
        buffer->bytes() / elementBytes(buffer->dtype()) / buffer->row_elements() / rows.factor();
    const auto [entry, isNew] = received.try_emplace(rows.id(), most);
    entry->second = std::min(entry->second, most);
  }
}

uint64_t DeviceRows::most(const plan::Rows &rows) const {
  if (rows.kind() == plan::RowKind::Static)
    return rows.factor();
  if (const std::optional<uint64_t> most = maxRows(rows, plan))
    return roundUp(*most / rows.factor()) * rows.factor();
  const auto found = received.find(rows.id());
  if (found == received.end())
    return 0;
  return found->second / kDeviceRowMultiple * kDeviceRowMultiple * rows.factor();
}

std::optional<uint64_t> DeviceRows::room(const plan::Ref &ref) const {
  if (ref.kind() == plan::RefKind::Buffer)
    return most(*function.buffers()->Get(ref.index())->rows());
  if (ref.kind() == plan::RefKind::Input)
    return roundUp(plan.limits()->batch_tokens());
  return std::nullopt;
}

std::optional<uint64_t> bytesOfMap(const plan::TensorMap &map, uint64_t rows) {
  const auto orRows = [rows](uint64_t value) { return value ? value : rows; };
  const uint64_t element = elementBytes(map.element());
  uint64_t bytes = 0;
  bool overflow = __builtin_mul_overflow(orRows(map.sizes()->Get(0)), element, &bytes);
  for (uint32_t i = 1; i < map.sizes()->size(); ++i) {
    uint64_t stride = map.strides()->Get(i - 1), reach = 0;
    if (stride == 0)
      overflow |= __builtin_mul_overflow(rows, element, &stride);
    const uint64_t size = orRows(map.sizes()->Get(i));
    if (size == 0)
      return 0;
    overflow |= __builtin_mul_overflow(size - 1, stride, &reach) ||
                __builtin_add_overflow(bytes, reach, &bytes);
  }
  if (overflow || bytes > INT64_MAX)
    return std::nullopt;
  return bytes;
}

} // namespace epigraph
