// Runs compiled kernels on this machine inside a run of the reference target: each launch on the
// values that the reference has there, compared with what the kernel's body gives.
#ifndef EPIGRAPH_COMPILER_BISECT_KERNELCHECK_H
#define EPIGRAPH_COMPILER_BISECT_KERNELCHECK_H

#include <memory>
#include <set>

#include "compiler/bisect/ModelRun.h"
#include "compiler/bisect/SavedCase.h"
#include "runtime/artifact/KernelAbi.h"

namespace epigraph::bisection {

/// A shared object of kernels, loaded into this process.
class LoadedKernels {
public:
  /// Loads the file `path`. Errors: InvalidArgument with what the system says.
  static absl::StatusOr<LoadedKernels> open(const std::filesystem::path &path);
  /// The same of the bytes of such a file.
  static absl::StatusOr<LoadedKernels> load(const std::string &sharedObject);

  /// The function of the kernel `name`, or null.
  KernelFunction find(llvm::StringRef name) const;

private:
  struct Close {
    void operator()(void *handle) const;
  };
  explicit LoadedKernels(void *handle) : handle_(handle) {}

  std::unique_ptr<void, Close> handle_;
};

/// A kernel that is wrong.
struct WrongKernel {
  mlir::Operation *launch;
  std::string function; ///< that the launch is in
  size_t step;
  bool random;        ///< on random activations, not on those of the run
  std::string result; ///< "result 0", "cache of operand 1"
  Distance distance;
  double tolerance;                ///< of the largest element: see KernelCheck
  std::vector<NamedTensor> values; ///< operands, "expected.N", "actual.N"
};

/// Checks the launches of rank 0. Every launch runs on the values of the reference, and the first
/// one of each kernel also on random activations in place of them (indices, weights and caches
/// stay).
///
/// An element may differ by a share of itself and one of the largest element. Where everything is
/// float32, both are 2^-15: kernels sum in another order. Where the body has bf16 values, which the
/// reference rounds and the kernel keeps in float32, both are 2^-6, four units of bf16.
class KernelCheck : public StepTracer {
public:
  explicit KernelCheck(const LoadedKernels &kernels) : kernels_(kernels) {}

  void beginStep(llvm::StringRef function, size_t step) override;
  void before(const reference::RankContext &rank, mlir::Operation *op,
              const reference::RuntimeValues &operands) override;
  void after(const reference::RankContext &rank, mlir::Operation *op,
             const reference::RuntimeValues &results) override;

  /// The first one, or nothing.
  const std::optional<WrongKernel> &wrong() const { return wrong_; }
  /// Kernels that ran.
  size_t kernels() const { return seen_.size(); }
  /// What kept a kernel from running: one that the shared object lacks, or values that do not fit.
  const absl::Status &status() const { return status_; }

private:
  void check(const reference::RankContext &rank, exec::LaunchOp launch, exec::KernelOp kernel,
             const reference::RuntimeValues &operands, const reference::RuntimeValues &results,
             bool random);
  void checkRandom(const reference::RankContext &rank, exec::LaunchOp launch,
                   exec::KernelOp kernel);

  const LoadedKernels &kernels_;
  std::string function_;
  size_t step_ = 0;
  reference::RuntimeValues operands_; ///< of the launch that runs
  /// Caches as they were before it, by operand: what a kernel that appends starts from.
  std::vector<std::shared_ptr<reference::PagedCache>> caches_;
  std::set<std::string> seen_;
  std::optional<WrongKernel> wrong_;
  absl::Status status_;
};

} // namespace epigraph::bisection

#endif // EPIGRAPH_COMPILER_BISECT_KERNELCHECK_H
