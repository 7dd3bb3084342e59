// The device code of one exec.kernel: its variants, and the launches of each. Kernel builders add
// to it; what it collects goes into the module of device functions and into the plan.
#ifndef EPIGRAPH_CODEGEN_CUDA_KERNELASSEMBLY_H
#define EPIGRAPH_CODEGEN_CUDA_KERNELASSEMBLY_H

#include "codegen/cuda/Emitter.h"
#include "codegen/target/CudaTarget.h"
#include "codegen/target/TensorView.h"
#include "dialects/exec/Exec.h"
#include "mlir/IR/BuiltinOps.h"
#include "runtime/artifact/DeviceKernel.h"

namespace epigraph::cuda {

/// The plan's workspace begins with so many bytes of counters; scratch follows.
inline constexpr int64_t kCounterBytes = 16384;

/// The width of a number of type `type` in bytes.
inline int64_t bytesOf(mlir::Type type) {
  return llvm::divideCeil(type.getIntOrFloatBitWidth(), 8);
}

/// Where the pointers of a kernel, its arguments' and then its results', are among those that its
/// functions are launched with. A part of another kernel (KernelParts.h) is launched with that
/// one's.
class KernelPointers {
public:
  explicit KernelPointers(exec::KernelOp kernel);
  /// Of `part`; `places`: of its pointers among those of `whole`.
  KernelPointers(exec::KernelOp part, const KernelPointers &whole, llvm::ArrayRef<uint32_t> places);

  size_t count() const { return launched; } ///< of a launch
  uint32_t ofArgument(unsigned index) const;
  uint32_t ofResult(unsigned index) const;

private:
  exec::KernelOp kernel;
  size_t launched;
  llvm::SmallVector<uint32_t> places;
};

/// One device function under construction: its parameters. The builder stands in its body.
class KernelFrame {
public:
  KernelFrame(exec::KernelOp kernel, const KernelPointers &pointers,
              mlir::ImplicitLocOpBuilder &builder, mlir::ValueRange parameters, size_t maps);

  Emitter e;
  exec::KernelOp kernel;

  /// The `index`-th tensor map.
  Val map(size_t index);
  /// Address of a tensor or cache argument, in global memory.
  Val address(mlir::BlockArgument argument);
  /// Address of the tensor that the kernel yields as value `index`.
  Val result(unsigned index);
  /// Address of the first element of `view`'s row `row` (ignored without rows).
  Val rowAddress(const TensorView &view, Val row);
  /// Address of row `row` of result `index`, whose rows are contiguous.
  Val resultRow(unsigned index, Val row);

  Val rows();      ///< i32: the launch's rows, read from the step. Only after waitForPrevious
  Val capacity();  ///< i32: the most rows that it can have
  Val counters();  ///< kCounterBytes of the rank, zero when a function starts and when it ends
  Val workspace(); ///< scratch of the rank, which may hold anything when a function starts

  // Fields of DeviceStep (runtime/artifact/KernelAbi.h).
  Val stepPointer(int64_t offset);
  Val stepInt(int64_t offset);

private:
  Val parameter(size_t index); ///< of those after the maps
  Val trailing(size_t index);  ///< of those after the pointers

  const KernelPointers &pointers;
  const llvm::SmallVector<mlir::Value> parameters;
  const size_t maps;
};

/// How one device function is launched and what it needs. See plan.fbs, DeviceLaunch.
struct FunctionSpec {
  std::string suffix; ///< of the symbol, after the kernel's name; empty for an only function
  int64_t threads = 128;
  int64_t blocksOfCore = 1; ///< that must fit a multiprocessor at once: bounds registers
  int64_t sharedBytes = 0;
  int64_t cluster = 1;
  bool early = true; ///< the body calls waitForPrevious before it reads what others wrote
  DeviceGrid grid = DeviceGrid::Rows;
  int64_t rowTile = 1;
  int64_t columnTiles = 1;
  int64_t persistent = 0; ///< at most so many blocks for each multiprocessor; 0: as many as tiles
  std::vector<TensorMapSpec> maps;
};

class KernelAssembly {
public:
  /// Device functions are added to `module`.
  KernelAssembly(exec::KernelOp kernel, mlir::ModuleOp module, const CudaTarget &target);
  /// Of a part of `whole`'s kernel (KernelParts.h), whose pointers are at `places` among that
  /// one's.
  KernelAssembly(exec::KernelOp part, const KernelAssembly &whole, llvm::ArrayRef<uint32_t> places);

  exec::KernelOp kernel;
  const CudaTarget &target;

  /// The variant for launches with up to `mostRows` rows (0: any number), and only for batches with
  /// one token of each sequence if `oneTokenEach`. Variants are tried in the order they are added.
  void beginVariant(int64_t mostRows = 0, bool oneTokenEach = false);

  /// Adds a launch to the variant. `body` emits the function.
  void addFunction(const FunctionSpec &spec, llvm::function_ref<void(KernelFrame &)> body);

  /// Adds launches of functions that are there.
  void addLaunches(llvm::ArrayRef<DeviceLaunch> launches);

  /// Scratch that the launches of a variant share, in bytes; the largest asked for counts. Counters
  /// need none: ask for 0 bytes.
  void needWorkspace(int64_t bytes);

  /// The token items among which contexts should be cut, so that they fill the GPU
  /// (Plan.token_items); the largest asked for counts.
  void needTokenItems(int64_t items);

  // As codegen/cpu's: where an operand's elements lie, or which value is yielded; a diagnostic
  // where that cannot be.
  mlir::FailureOr<TensorView> view(mlir::Operation *op, mlir::Value operand, llvm::StringRef name);
  mlir::FailureOr<unsigned> yieldedAs(mlir::Operation *op, mlir::Value value);
  /// The position among the pointers of a launch of an argument, or of result `index`: what
  /// TensorMapSpec::operand counts.
  uint32_t operandIndex(mlir::BlockArgument argument) const;
  uint32_t resultIndex(unsigned index) const;

  DeviceKernel take() { return std::move(built); }
  int64_t workspaceBytes() const { return workspace; }
  uint32_t tokenItems() const { return items; }

private:
  mlir::ModuleOp module;
  const KernelPointers pointers;
  DeviceKernel built;
  int64_t workspace = 0;
  uint32_t items = 0;
};

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_KERNELASSEMBLY_H
