// Compiles kernels from IR text for a target, runs them on guarded memory, and compares with the
// reference target's functions.
#ifndef EPIGRAPH_TEST_CODEGEN_CPU_KERNELHARNESS_H
#define EPIGRAPH_TEST_CODEGEN_CPU_KERNELHARNESS_H

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "codegen/reference/Tensor.h"
#include "codegen/target/CpuTarget.h"
#include "runtime/artifact/KernelAbi.h"
#include "runtime/exec/BatchStep.h"

namespace epigraph::cpu::test {

using reference::Shape;
using reference::Tensor;

enum class ElementType { F32, BF16, F8, I32 };

/// An array that ends at a page that must not be touched: reading or writing past it is a crash.
/// What has not been set is poison: NaN, or a negative number.
class Buffer {
public:
  Buffer(ElementType type, int64_t elements);
  /// The elements of `tensor`, rounded to `type`.
  Buffer(ElementType type, const Tensor &tensor);
  ~Buffer();
  Buffer(Buffer &&other) noexcept;
  Buffer(const Buffer &) = delete;
  Buffer &operator=(const Buffer &) = delete;

  void *data() const { return bytes; }
  /// All elements, as a tensor of `shape`.
  Tensor read(Shape shape) const;
  std::vector<uint8_t> raw() const;

private:
  void allocate();

  ElementType type;
  int64_t elements;
  uint8_t *mapping = nullptr;
  size_t mappedBytes = 0;
  uint8_t *bytes = nullptr;
};

/// A kernel loaded into this process.
class Kernel {
public:
  /// Compiles the only exec.kernel of `ir`, in which `$T` stands for the element type and `$D` for
  /// the depth of a panel. The test must have checked that the target runs here.
  Kernel(std::string ir, const CpuTarget &target, ElementType type) {
    build(std::move(ir), target, type);
  }
  ~Kernel();
  Kernel(const Kernel &) = delete;
  Kernel &operator=(const Kernel &) = delete;

  /// Runs all tiles of a launch of `rows` rows: one call for each, the last one first, since their
  /// order must not matter.
  void run(std::vector<void *> args, const KernelStep &step, int64_t rows) const;

private:
  void build(std::string ir, const CpuTarget &target, ElementType type);
  void load(const std::string &sharedObject, const std::string &symbol);

  void *handle = nullptr;
  KernelFunction function = nullptr;
  int64_t tileRows = 0, tileColumns = 0;
};

/// Compiles `ir` for `target`; gives what was diagnosed, one message a line, or "" if it compiled.
std::string diagnose(const std::string &ir, const CpuTarget &target);

/// `w` [..., N, K] in panels of 32 columns (dialects/exec: #exec.panel), written as loops.
Tensor pack(const Tensor &w, ElementType type);

/// The same values from one seed, in (-1, 1), rounded to `type`.
Tensor randomTensor(Shape shape, ElementType type, unsigned seed);

/// Rows [first, last) of a tensor.
Tensor rowsOf(const Tensor &tensor, int64_t first, int64_t last);

/// Fails unless `actual` is `expected` within the rounding of `type`: float32 results of sums in
/// another order differ by some units in the last place of the largest element; bf16 ones by half a
/// unit of their own (2^-9) on top, and by one (2^-8) where that tips a rounding.
void expectClose(const Tensor &actual, const Tensor &expected, ElementType type);

/// Kernels for each target, in float32 and bf16. "wide" is 512-bit code of baseline AVX2
/// instructions, so that its structure is tested on machines without AVX-512.
class KernelTest : public ::testing::TestWithParam<std::tuple<const char *, ElementType>> {
protected:
  void SetUp() override;

  Kernel compile(std::string ir) const { return Kernel(std::move(ir), target, type); }
  Buffer buffer(const Tensor &tensor) const { return Buffer(type, tensor); }
  Buffer poison(Shape shape) const;
  Tensor random(Shape shape, unsigned seed) const { return randomTensor(shape, type, seed); }

  CpuTarget target;
  ElementType type = ElementType::F32;
};

std::string nameOf(const ::testing::TestParamInfo<KernelTest::ParamType> &info);

#define EPIGRAPH_INSTANTIATE_KERNEL_TEST(SUITE)                                                    \
  INSTANTIATE_TEST_SUITE_P(                                                                        \
      Targets, SUITE,                                                                              \
      ::testing::Combine(::testing::Values("cpu", "cpu:x86-64-v3", "cpu:x86-64-v4", "wide"),       \
                         ::testing::Values(ElementType::F32, ElementType::BF16)),                  \
      nameOf)

} // namespace epigraph::cpu::test

#endif // EPIGRAPH_TEST_CODEGEN_CPU_KERNELHARNESS_H
