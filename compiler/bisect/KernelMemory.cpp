#include "compiler/bisect/KernelMemory.h"

#include <cstdlib>
#include <cstring>

#include "compiler/driver/WeightEncoding.h"
#include "compiler/driver/WeightLayout.h"
#include "runtime/artifact/KernelAbi.h"
#include "runtime/base/BFloat16.h"
#include "runtime/base/Float8.h"

using namespace mlir;

namespace epigraph::bisection {

using reference::Shape;
using reference::Tensor;
using reference::TensorRef;

namespace {

/// As the arena aligns its buffers.
constexpr size_t kAlignment = 64;

int64_t elementsOf(const Shape &shape) {
  int64_t elements = 1;
  for (int64_t size : shape)
    elements *= size;
  return elements;
}

Type elementTypeOf(Type cache) {
  if (auto mla = dyn_cast<epi::MlaCacheType>(cache))
    return mla.getElementType();
  return cast<epi::KvCacheType>(cache).getElementType();
}

/// `values` as the bytes that a kernel reads.
std::vector<uint8_t> encode(const Tensor &values, RankedTensorType type) {
  std::vector<uint8_t> bytes;
  const ByteSink sink = [&](absl::Span<const uint8_t> more) {
    bytes.insert(bytes.end(), more.begin(), more.end());
    return absl::OkStatus();
  };
  const DType dtype = dtypeOf(type.getElementType());
  auto panel = dyn_cast_or_null<exec::PanelAttr>(type.getEncoding());
  // The sink does not fail, and so neither do these.
  absl::Status status = panel ? encodePanels(values, dtype, {panel.getColumns(), panel.getDepth()},
                                             reference::Workers{1}, sink)
                              : encodeRowMajor(values, dtype, reference::Workers{1}, sink);
  return status.ok() ? bytes : std::vector<uint8_t>();
}

} // namespace

void KernelMemory::Free::operator()(uint8_t *bytes) const { std::free(bytes); }

KernelMemory::Array &KernelMemory::allocate(DType dtype, Shape shape, size_t bytes) {
  const size_t rounded = (bytes + kAlignment) / kAlignment * kAlignment;
  auto *memory = static_cast<uint8_t *>(std::aligned_alloc(kAlignment, rounded));
  std::memset(memory, 0xff, rounded); // NaN as floats of any type, -1 as i32
  return arrays_.emplace_back(
      Array{dtype, std::move(shape), bytes, std::unique_ptr<uint8_t, Free>(memory)});
}

void KernelMemory::addOperand(size_t index, Type type, const reference::RuntimeValue &value,
                              const reference::PagedCache *cache) {
  if (auto tensor = dyn_cast<RankedTensorType>(type)) {
    const Tensor &values = *std::get<TensorRef>(value);
    const std::vector<uint8_t> bytes = encode(values, tensor);
    Array &array = allocate(dtypeOf(tensor.getElementType()), values.shape(), bytes.size());
    std::memcpy(array.memory.get(), bytes.data(), bytes.size());
    args_.push_back(array.memory.get());
    return;
  }
  int32_t lastPage = -1;
  for (int32_t page : step_.pageTable)
    lastPage = std::max(lastPage, page);
  const DType dtype = dtypeOf(elementTypeOf(type));
  const int64_t slots = (lastPage + 1) * kPageTokens, entry = cache->entryElements();
  const size_t entryBytes = static_cast<size_t>(entry) * dtypeBytes(dtype);
  Array &array = allocate(dtype, {slots, entry}, static_cast<size_t>(slots) * entryBytes);
  auto entryType = RankedTensorType::get({entry}, elementTypeOf(type));
  for (int64_t slot = 0; slot < slots; ++slot)
    if (const float *values = cache->read(slot)) {
      const std::vector<uint8_t> bytes =
          encode(Tensor({entry}, std::vector<float>(values, values + entry)), entryType);
      std::memcpy(array.memory.get() + static_cast<size_t>(slot) * entryBytes, bytes.data(),
                  bytes.size());
    }
  caches_[index] = &array;
  args_.push_back(array.memory.get());
}

void KernelMemory::addResult(RankedTensorType type, const Shape &shape) {
  const DType dtype = dtypeOf(type.getElementType());
  Array &array = allocate(dtype, shape, static_cast<size_t>(elementsOf(shape)) * dtypeBytes(dtype));
  results_.push_back(&array);
  args_.push_back(array.memory.get());
}

Tensor KernelMemory::read(const Array &array) {
  const auto count = static_cast<size_t>(elementsOf(array.shape));
  if (array.dtype == DType::I32) {
    std::vector<int32_t> values(count);
    std::memcpy(values.data(), array.memory.get(), count * sizeof(int32_t));
    return Tensor(array.shape, std::move(values));
  }
  std::vector<float> values(count);
  if (array.dtype == DType::F32)
    std::memcpy(values.data(), array.memory.get(), count * sizeof(float));
  for (size_t i = 0; array.dtype == DType::F8_E4M3 && i < count; ++i)
    values[i] = floatOfFloat8(array.memory.get()[i]);
  for (size_t i = 0; array.dtype == DType::BF16 && i < count; ++i) {
    uint16_t bits;
    std::memcpy(&bits, array.memory.get() + i * sizeof(bits), sizeof(bits));
    values[i] = floatOfBFloat16(bits);
  }
  return Tensor(array.shape, std::move(values));
}

TensorRef KernelMemory::result(size_t index) const {
  return reference::shared(read(*results_[index]));
}

std::pair<TensorRef, TensorRef>
KernelMemory::cacheEntries(size_t operand, const reference::PagedCache &expected) const {
  const Tensor written = read(*caches_.at(operand));
  const int64_t entry = expected.entryElements();
  std::vector<float> actualValues, expectedValues;
  for (int64_t slot = 0; slot < written.rows(); ++slot)
    if (const float *values = expected.read(slot)) {
      expectedValues.insert(expectedValues.end(), values, values + entry);
      actualValues.insert(actualValues.end(), written.row(slot), written.row(slot) + entry);
    }
  const Shape shape = {static_cast<int64_t>(expectedValues.size()) / entry, entry};
  return {reference::shared(Tensor(shape, std::move(actualValues))),
          reference::shared(Tensor(shape, std::move(expectedValues)))};
}

} // namespace epigraph::bisection
