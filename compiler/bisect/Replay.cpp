// Runs a saved operation again: what SavedCase wrote, read back. The files are not trusted.
#include <cstring>

#include "mlir/Parser/Parser.h"

#include "compiler/bisect/Bisect.h"
#include "compiler/bisect/ModelRun.h"
#include "runtime/artifact/Safetensors.h"
#include "runtime/base/FileSystem.h"
#include "runtime/base/Status.h"

using namespace mlir;

namespace epigraph {
namespace {

using namespace bisection;
using reference::Tensor;

constexpr uint64_t kMaxIrBytes = uint64_t{1} << 28;

/// A saved tensor, float32 or int32.
absl::StatusOr<Tensor> tensorOf(const StoredTensor &view) {
  reference::Shape shape(view.shape.begin(), view.shape.end());
  const size_t elements = static_cast<size_t>(view.elements());
  if (view.dtype == DType::F32) {
    std::vector<float> values(elements);
    std::memcpy(values.data(), view.bytes.data(), elements * sizeof(float));
    return Tensor(std::move(shape), std::move(values));
  }
  if (view.dtype == DType::I32) {
    std::vector<int32_t> values(elements);
    std::memcpy(values.data(), view.bytes.data(), elements * sizeof(int32_t));
    return Tensor(std::move(shape), std::move(values));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("tensor \"", view.name, "\" is neither F32 nor I32"));
}

class SavedValues {
public:
  explicit SavedValues(const SafetensorsFile &file) : file_(file) {}

  /// Nothing where there is no such tensor.
  absl::StatusOr<std::optional<Tensor>> find(const std::string &name) const {
    const StoredTensor *view = file_.find(name);
    if (!view)
      return std::optional<Tensor>();
    EPIGRAPH_ASSIGN_OR_RETURN(Tensor tensor, tensorOf(*view));
    return std::optional<Tensor>(std::move(tensor));
  }

  absl::StatusOr<std::vector<int32_t>> ints(const std::string &name) const {
    EPIGRAPH_ASSIGN_OR_RETURN(std::optional<Tensor> tensor, find(name));
    if (!tensor || !tensor->isInt())
      return absl::InvalidArgumentError(
          absl::StrCat("values.safetensors has no I32 tensor \"", name, "\""));
    return tensor->intVector();
  }

private:
  const SafetensorsFile &file_;
};

absl::StatusOr<StepBatch> stepOf(const SavedValues &values) {
  StepBatch step;
  EPIGRAPH_ASSIGN_OR_RETURN(step.positions, values.ints("step.positions"));
  EPIGRAPH_ASSIGN_OR_RETURN(step.sequence, values.ints("step.sequence"));
  EPIGRAPH_ASSIGN_OR_RETURN(step.outputRows, values.ints("step.output_rows"));
  EPIGRAPH_ASSIGN_OR_RETURN(step.pageTable, values.ints("step.page_table"));
  EPIGRAPH_ASSIGN_OR_RETURN(std::optional<Tensor> table, values.find("step.page_table"));
  step.pageTableStride = table->rank() == 2 ? static_cast<int32_t>(table->dim(1)) : 0;
  return step;
}

/// Fills the caches that `function` names with their saved entries.
absl::Status fillCaches(func::FuncOp function, const SavedValues &values,
                        reference::CacheSet &caches) {
  for (auto cache : function.getOps<epi::KvCacheOp>()) {
    const std::string name = cache.getName().str();
    EPIGRAPH_ASSIGN_OR_RETURN(std::optional<Tensor> entries, values.find(name));
    if (!entries || entries->isInt() || entries->rank() != 2)
      return absl::InvalidArgumentError(
          absl::StrCat("values.safetensors has no F32 tensor \"", name, "\" of rank 2"));
    reference::PagedCache &filled = caches.try_emplace(name, entries->dim(1)).first->second;
    for (int64_t slot = 0; slot < entries->rows(); ++slot)
      std::copy_n(entries->row(slot), entries->dim(1), filled.write(slot));
  }
  return absl::OkStatus();
}

} // namespace

absl::StatusOr<std::vector<ReplayedResult>> replay(const std::filesystem::path &folder) {
  EPIGRAPH_ASSIGN_OR_RETURN(std::string ir, readFile(folder / "op.mlir", kMaxIrBytes));
  EPIGRAPH_ASSIGN_OR_RETURN(SafetensorsFile file,
                            SafetensorsFile::open(folder / "values.safetensors"));
  const SavedValues values(file);

  MLIRContext context(MLIRContext::Threading::DISABLED);
  context.printOpOnDiagnostic(false);
  DiagnosticCollector diagnostics(&context, nullptr);
  context.loadDialect<epi::EpiDialect, ep::EpDialect, exec::ExecDialect, func::FuncDialect>();
  const std::string name = (folder / "op.mlir").string();
  OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(ir, ParserConfig(&context), name);
  auto function = module ? module->lookupSymbol<func::FuncOp>("main") : func::FuncOp();
  if (!function || function.isExternal())
    return diagnostics.takeErrors(absl::StatusCode::kInvalidArgument,
                                  "cannot read a function @main in " + name);
  if (!module->getOps<ep::MeshOp>().empty())
    return absl::UnimplementedError(
        name + ": the operation exchanges rows between ranks, and the values are those of rank 0 "
               "alone; run after.mlir with epigraph-reference instead");

  reference::RankInput input;
  EPIGRAPH_ASSIGN_OR_RETURN(input.step, stepOf(values));
  for (size_t i = 0;
       input.tensors.size() + 1 <= function.getNumArguments() && i < file.tensors().size(); ++i) {
    EPIGRAPH_ASSIGN_OR_RETURN(std::optional<Tensor> operand,
                              values.find(absl::StrCat("operand.", i)));
    if (operand)
      input.tensors.push_back(std::move(*operand));
  }
  reference::InterpreterState state;
  EPIGRAPH_RETURN_IF_ERROR(fillCaches(function, values, state.caches(0)));
  // Kernels were compared with a reference that rounds; passes were not.
  const bool rounded = file.find("expected.0") != nullptr;
  reference::RandomWeights noWeights(0);
  reference::Interpreter interpreter(*module, noWeights, {.ranks = 1, .roundToTypes = rounded});
  auto results = interpreter.run("main", {input}, state);
  if (failed(results))
    return diagnostics.takeErrors(absl::StatusCode::kInvalidArgument, "running " + name);

  std::vector<ReplayedResult> replayed;
  for (auto [i, result] : llvm::enumerate(results->front())) {
    ReplayedResult &next = replayed.emplace_back();
    EPIGRAPH_ASSIGN_OR_RETURN(std::optional<Tensor> actual,
                              values.find(absl::StrCat("actual.", i)));
    EPIGRAPH_ASSIGN_OR_RETURN(std::optional<Tensor> expected,
                              values.find(absl::StrCat("expected.", i)));
    if (actual)
      next.fromActual = distanceOf(*actual, *result);
    if (expected)
      next.fromExpected = distanceOf(*expected, *result);
  }
  return replayed;
}

} // namespace epigraph
