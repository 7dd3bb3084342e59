#include "compiler/bisect/KernelCheck.h"

#include <dlfcn.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <random>

#include "codegen/cpu/KernelLibrary.h"
#include "compiler/bisect/KernelMemory.h"
#include "runtime/base/FileSystem.h"
#include "runtime/base/Status.h"
#include "runtime/exec/BatchStep.h"

using namespace mlir;

namespace epigraph::bisection {

using reference::RuntimeValues;
using reference::Tensor;
using reference::TensorRef;

//===----------------------------------------------------------------------===//
// LoadedKernels
//===----------------------------------------------------------------------===//

void LoadedKernels::Close::operator()(void *handle) const { dlclose(handle); }

absl::StatusOr<LoadedKernels> LoadedKernels::open(const std::filesystem::path &path) {
  // An absolute path: dlopen searches the system's folders for a plain name.
  void *handle = dlopen(std::filesystem::absolute(path).c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle)
    return absl::InvalidArgumentError(
        absl::StrCat("kernel library ", path.string(), " cannot be loaded: ", dlerror()));
  return LoadedKernels(handle);
}

absl::StatusOr<LoadedKernels> LoadedKernels::load(const std::string &sharedObject) {
  std::string folder = (std::filesystem::temp_directory_path() / "epigraph-XXXXXX").string();
  if (!mkdtemp(folder.data()))
    return errnoStatus(errno, "creating", folder);
  const std::filesystem::path file = std::filesystem::path(folder) / "kernels.so";
  absl::Status written = writeFileAtomically(file, sharedObject);
  absl::StatusOr<LoadedKernels> loaded =
      written.ok() ? open(file) : absl::StatusOr<LoadedKernels>(written);
  std::error_code ignored; // What is loaded stays mapped.
  std::filesystem::remove_all(folder, ignored);
  return loaded;
}

KernelFunction LoadedKernels::find(StringRef name) const {
  return reinterpret_cast<KernelFunction>(dlsym(handle_.get(), cpu::kernelSymbol(name).c_str()));
}

//===----------------------------------------------------------------------===//
// KernelCheck
//===----------------------------------------------------------------------===//

namespace {

/// Whether any value of the kernel is bf16.
bool hasBf16(exec::KernelOp kernel) {
  bool found = false;
  const auto look = [&](Type type) {
    if (auto tensor = dyn_cast<RankedTensorType>(type))
      found |= tensor.getElementType().isBF16();
    else if (auto mla = dyn_cast<epi::MlaCacheType>(type))
      found |= mla.getElementType().isBF16();
    else if (auto kv = dyn_cast<epi::KvCacheType>(type))
      found |= kv.getElementType().isBF16();
  };
  llvm::for_each(kernel.getArgumentTypes(), look);
  kernel.walk([&](Operation *op) { llvm::for_each(op->getResultTypes(), look); });
  return found;
}

double toleranceOf(exec::KernelOp kernel) { return hasBf16(kernel) ? 0x1p-6 : 0x1p-15; }

/// Whether an element of `actual` is further from its own than the tolerance allows.
bool isFar(const Tensor &actual, const Tensor &expected, double tolerance) {
  if (actual.isInt())
    return actual.intVector() != expected.intVector();
  double largest = 0;
  for (float value : expected.floatVector())
    if (std::isfinite(value))
      largest = std::max(largest, std::abs(static_cast<double>(value)));
  for (size_t i = 0; i < expected.floatVector().size(); ++i) {
    const double a = actual.floatVector()[i], b = expected.floatVector()[i];
    if (a == b || (std::isnan(a) && std::isnan(b)))
      continue;
    if (!(std::abs(a - b) <= tolerance * (std::abs(b) + largest)))
      return true;
  }
  return false;
}

/// The rows that the tiles of a launch are counted over, as RowExtents says of launches.
int64_t rowsOfLaunch(exec::KernelOp kernel, const RuntimeValues &operands,
                     const RuntimeValues &results) {
  const bool takesInput = !kernel.getBody().front().getOps<epi::PermuteOp>().empty() ||
                          !kernel.getBody().front().getOps<epi::KvAppendOp>().empty();
  const auto firstRows = [](ArrayRef<Type> types,
                            const RuntimeValues &values) -> std::optional<int64_t> {
    for (auto [type, value] : llvm::zip_equal(types, values))
      if (auto tensor = dyn_cast<RankedTensorType>(type); tensor && !tensor.hasStaticShape())
        return std::get<TensorRef>(value)->rows();
    return std::nullopt;
  };
  if (!takesInput)
    if (auto rows = firstRows(kernel.getResultTypes(), results))
      return *rows;
  return firstRows(kernel.getArgumentTypes(), operands).value_or(1);
}

/// Values in (-1, 1) of the shape of `like`, in steps that bf16 can express.
TensorRef randomLike(const Tensor &like, std::mt19937 &generator) {
  Tensor tensor = Tensor::floats(like.shape());
  for (int64_t i = 0; i < tensor.elements(); ++i)
    tensor.data()[i] = static_cast<float>(static_cast<int>(generator() % 255) - 127) / 128;
  return reference::shared(std::move(tensor));
}

void runTiles(KernelFunction function, exec::TilingAttr tiling, void *const *args,
              const StepBatch &batch, int64_t rows) {
  const KernelStep step = stepOf(batch);
  const int64_t tileRows = tiling.getRows();
  const int64_t tiles = (tileRows ? (rows + tileRows - 1) / tileRows : 1) * tiling.getColumns();
  function(args, &step, rows, 0, tiles);
}

} // namespace

void KernelCheck::beginStep(StringRef function, size_t step) {
  function_ = function.str();
  step_ = step;
}

void KernelCheck::before(const reference::RankContext &rank, Operation *op,
                         const RuntimeValues &operands) {
  if (rank.rank != 0 || !isa<exec::LaunchOp>(op))
    return;
  operands_ = operands;
  caches_.clear();
  for (const reference::RuntimeValue &operand : operands) {
    auto *cache = std::get_if<reference::PagedCache *>(&operand);
    caches_.push_back(cache ? std::make_shared<reference::PagedCache>(**cache) : nullptr);
  }
}

void KernelCheck::after(const reference::RankContext &rank, Operation *op,
                        const RuntimeValues &results) {
  auto launch = dyn_cast<exec::LaunchOp>(op);
  if (rank.rank != 0 || !launch || wrong_ || !status_.ok())
    return;
  auto kernel = rank.symbols.lookup<exec::KernelOp>(launch.getKernel());
  check(rank, launch, kernel, operands_, results, /*random=*/false);
  if (seen_.insert(kernel.getSymName().str()).second && !wrong_ && status_.ok())
    checkRandom(rank, launch, kernel);
}

void KernelCheck::check(const reference::RankContext &rank, exec::LaunchOp launch,
                        exec::KernelOp kernel, const RuntimeValues &operands,
                        const RuntimeValues &results, bool random) {
  KernelFunction function = kernels_.find(kernel.getSymName());
  if (!function || !kernel.getTilingAttr()) {
    status_ = absl::InvalidArgumentError(
        absl::StrCat("there is no compiled kernel @", kernel.getSymName().str(),
                     "; was the kernel library compiled of this model, with these options?"));
    return;
  }
  KernelMemory memory(rank.step);
  for (auto [i, type] : llvm::enumerate(kernel.getArgumentTypes()))
    if (!isa<epi::StepType>(type))
      memory.addOperand(i, type, operands[i], caches_[i].get());
  for (auto [type, result] : llvm::zip_equal(kernel.getResultTypes(), results))
    if (auto tensor = dyn_cast<RankedTensorType>(type))
      memory.addResult(tensor, std::get<TensorRef>(result)->shape());
  runTiles(function, kernel.getTilingAttr(), memory.args(), rank.step,
           rowsOfLaunch(kernel, operands, results));

  const double tolerance = toleranceOf(kernel);
  const auto compare = [&](const std::string &what, size_t index, TensorRef actual,
                           TensorRef expected) {
    if (wrong_ || !isFar(*actual, *expected, tolerance))
      return;
    wrong_ = WrongKernel{launch,    function_,
                         step_,     random,
                         what,      distanceOf(*actual, *expected),
                         tolerance, valuesOf(rank, operands)};
    wrong_->values.emplace_back(absl::StrCat("expected.", index), expected);
    wrong_->values.emplace_back(absl::StrCat("actual.", index), actual);
  };
  size_t index = 0;
  for (const reference::RuntimeValue &result : results) {
    if (auto *expected = std::get_if<TensorRef>(&result))
      compare(absl::StrCat("result ", index), index, memory.result(index), *expected), ++index;
  }
  if (kernel.getBody().front().getOps<epi::KvAppendOp>().empty())
    return;
  for (auto [i, operand] : llvm::enumerate(operands))
    if (auto *cache = std::get_if<reference::PagedCache *>(&operand)) {
      auto [actual, expected] = memory.cacheEntries(i, **cache);
      compare(absl::StrCat("cache of operand ", i), index, actual, expected);
    }
}

/// Activations have dynamic rows; what has not is a weight, or counts.
void KernelCheck::checkRandom(const reference::RankContext &rank, exec::LaunchOp launch,
                              exec::KernelOp kernel) {
  std::mt19937 generator(1);
  RuntimeValues operands = operands_;
  std::vector<std::shared_ptr<reference::PagedCache>> copies;
  bool changed = false;
  for (auto [i, type] : llvm::enumerate(kernel.getArgumentTypes())) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    if (tensor && !tensor.hasStaticShape() && !tensor.getElementType().isInteger()) {
      operands[i] = randomLike(*std::get<TensorRef>(operands[i]), generator);
      changed = true;
    } else if (caches_[i]) {
      // The run's own cache must not see random entries.
      copies.push_back(std::make_shared<reference::PagedCache>(*caches_[i]));
      operands[i] = copies.back().get();
    }
  }
  if (!changed)
    return;
  reference::RankContext alone = rank;
  alone.tracer = nullptr;
  FailureOr<RuntimeValues> results = reference::Evaluator(alone).runKernel(kernel, operands);
  if (succeeded(results))
    check(rank, launch, kernel, operands, *results, /*random=*/true);
}

} // namespace epigraph::bisection
