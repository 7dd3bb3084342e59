// The arguments of a kernel as they lie in memory, made of the reference target's values.
#ifndef EPIGRAPH_COMPILER_BISECT_KERNELMEMORY_H
#define EPIGRAPH_COMPILER_BISECT_KERNELMEMORY_H

#include <deque>
#include <map>
#include <memory>

#include "codegen/reference/Evaluator.h"
#include "runtime/artifact/DType.h"

namespace epigraph::bisection {

class KernelMemory {
public:
  /// For a launch in `step`, which must outlive this.
  explicit KernelMemory(const StepBatch &step) : step_(step) {}

  /// Operand `index` of the launch, in order; steps are none. A tensor, encoded as its type says,
  /// or a cache with the entries of `cache`. What no entry fills is NaN.
  void addOperand(size_t index, mlir::Type type, const reference::RuntimeValue &value,
                  const reference::PagedCache *cache);
  /// The next result, filled with NaN or negative numbers.
  void addResult(mlir::RankedTensorType type, const reference::Shape &shape);

  void *const *args() const { return args_.data(); }

  /// What the kernel wrote of the `index`-th result.
  reference::TensorRef result(size_t index) const;
  /// The entries that `expected` has, in the cache of the operand `operand` and in `expected`.
  std::pair<reference::TensorRef, reference::TensorRef>
  cacheEntries(size_t operand, const reference::PagedCache &expected) const;

private:
  struct Free {
    void operator()(uint8_t *bytes) const;
  };
  struct Array {
    DType dtype;
    reference::Shape shape;
    size_t bytes;
    std::unique_ptr<uint8_t, Free> memory;
  };

  Array &allocate(DType dtype, reference::Shape shape, size_t bytes);
  static reference::Tensor read(const Array &array);

  const StepBatch &step_;
  std::deque<Array> arrays_;
  std::vector<void *> args_;
  std::vector<const Array *> results_;
  std::map<size_t, const Array *> caches_; ///< by operand
};

} // namespace epigraph::bisection

#endif // EPIGRAPH_COMPILER_BISECT_KERNELMEMORY_H
