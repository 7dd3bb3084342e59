#include "compiler/bisect/SavedCase.h"

#include "mlir/IR/Builders.h"
#include "llvm/Support/raw_ostream.h"

#include "runtime/artifact/KernelAbi.h"
#include "runtime/artifact/SafetensorsWriter.h"
#include "runtime/base/Status.h"

using namespace mlir;

namespace epigraph::bisection {
namespace {

using reference::Shape;
using reference::shared;
using reference::Tensor;

reference::TensorRef vectorOf(const std::vector<int32_t> &values) {
  return shared(Tensor({static_cast<int64_t>(values.size())}, values));
}

/// Slots that the page table of `step` names: [0, slots).
int64_t slotsOf(const StepBatch &step) {
  int32_t last = -1;
  for (int32_t page : step.pageTable)
    last = std::max(last, page);
  return (last + 1) * kPageTokens;
}

reference::TensorRef entriesOf(const reference::PagedCache &cache, const StepBatch &step) {
  Tensor entries = Tensor::floats({slotsOf(step), cache.entryElements()});
  for (int64_t slot = 0; slot < entries.rows(); ++slot)
    if (const float *entry = cache.read(slot))
      std::copy_n(entry, cache.entryElements(), entries.row(slot));
  return shared(std::move(entries));
}

/// The symbols that `op` needs: its kernel, its mesh.
void cloneSymbols(Operation *op, OpBuilder &builder) {
  SymbolTableCollection symbols;
  for (NamedAttribute attribute : op->getAttrs())
    if (auto name = dyn_cast<FlatSymbolRefAttr>(attribute.getValue()))
      if (Operation *symbol = symbols.lookupNearestSymbolFrom(op, name))
        builder.clone(*symbol);
}

} // namespace

std::vector<NamedTensor> valuesOf(const reference::RankContext &rank,
                                  const reference::RuntimeValues &operands) {
  const StepBatch &step = rank.step;
  std::vector<NamedTensor> values;
  for (auto [i, operand] : llvm::enumerate(operands)) {
    if (auto *tensor = std::get_if<reference::TensorRef>(&operand))
      values.emplace_back(absl::StrCat("operand.", i), *tensor);
    else if (auto *cache = std::get_if<reference::PagedCache *>(&operand))
      values.emplace_back(absl::StrCat("cache.", i), entriesOf(**cache, step));
  }
  values.emplace_back("step.positions", vectorOf(step.positions));
  values.emplace_back("step.sequence", vectorOf(step.sequence));
  values.emplace_back("step.output_rows", vectorOf(step.outputRows));
  const int64_t stride = std::max(1, step.pageTableStride);
  const int64_t sequences = static_cast<int64_t>(step.pageTable.size()) / stride;
  values.emplace_back("step.page_table", shared(Tensor({sequences, stride}, step.pageTable)));
  return values;
}

std::string isolate(Operation *op) {
  OpBuilder builder(op->getContext());
  auto around = op->getParentOfType<ModuleOp>();
  OwningOpRef<ModuleOp> module = ModuleOp::create(builder, op->getLoc());
  for (NamedAttribute attribute : around->getDiscardableAttrs())
    (*module)->setAttr(attribute.getName(), attribute.getValue());
  builder.setInsertionPointToStart(module->getBody());
  cloneSymbols(op, builder);

  SmallVector<Type> inputs, results;
  for (Value operand : op->getOperands())
    if (isa<RankedTensorType, epi::StepType>(operand.getType()))
      inputs.push_back(operand.getType());
  for (Type type : op->getResultTypes())
    if (isa<RankedTensorType>(type))
      results.push_back(type);
  auto function =
      func::FuncOp::create(builder, op->getLoc(), "main", builder.getFunctionType(inputs, results));
  builder.setInsertionPointToStart(function.addEntryBlock());
  // An argument for each operand, even where one value is two operands: as the values are named.
  Operation *copy = builder.clone(*op);
  builder.setInsertionPoint(copy);
  unsigned next = 0;
  for (OpOperand &operand : copy->getOpOperands()) {
    Type type = operand.get().getType();
    if (isa<RankedTensorType, epi::StepType>(type))
      operand.set(function.getArgument(next++));
    else
      operand.set(epi::KvCacheOp::create(
          builder, op->getLoc(), type,
          builder.getStringAttr(absl::StrCat("cache.", operand.getOperandNumber()))));
  }
  builder.setInsertionPointAfter(copy);
  copy->removeAttr(exec::kBuffersAttrName); // The plan is of another function.
  SmallVector<Value> returned;
  for (Value result : copy->getResults())
    if (isa<RankedTensorType>(result.getType()))
      returned.push_back(result);
  func::ReturnOp::create(builder, op->getLoc(), returned);

  std::string text;
  llvm::raw_string_ostream stream(text);
  module->print(stream, OpPrintingFlags().enableDebugInfo(true, /*prettyForm=*/false));
  return text + "\n";
}

absl::Status writeTensors(const std::filesystem::path &path,
                          const std::vector<NamedTensor> &values) {
  std::vector<TensorDeclaration> declarations;
  for (const auto &[name, tensor] : values)
    declarations.push_back({name,
                            tensor->isInt() ? DType::I32 : DType::F32,
                            {tensor->shape().begin(), tensor->shape().end()}});
  EPIGRAPH_ASSIGN_OR_RETURN(SafetensorsWriter writer,
                            SafetensorsWriter::create(path, declarations));
  for (const auto &[name, tensor] : values) {
    const size_t bytes = static_cast<size_t>(tensor->elements()) * 4;
    const void *data = tensor->isInt() ? static_cast<const void *>(tensor->intData())
                                       : static_cast<const void *>(tensor->data());
    EPIGRAPH_RETURN_IF_ERROR(writer.append({static_cast<const uint8_t *>(data), bytes}));
  }
  return writer.finish();
}

} // namespace epigraph::bisection
