#include "test/codegen/cpu/ReferenceComparison.h"

#include <cmath>

#include "codegen/reference/Dense.h"
#include "codegen/reference/TensorOps.h"
#include "dialects/exec/Exec.h"
#include "mlir/Parser/Parser.h"

namespace epigraph::cpu::test {
namespace {

using reference::TensorRef;
using reference::TensorRefs;

ElementType elementTypeOf(mlir::RankedTensorType type) {
  if (type.getElementType().isBF16())
    return ElementType::BF16;
  if (llvm::isa<mlir::Float8E4M3FNType>(type.getElementType()))
    return ElementType::F8;
  return type.getElementType().isF32() ? ElementType::F32 : ElementType::I32;
}

Shape shapeOf(mlir::RankedTensorType type, int64_t rows) {
  Shape shape(type.getShape().begin(), type.getShape().end());
  for (int64_t &size : shape)
    size = mlir::ShapedType::isDynamic(size) ? rows : size;
  return shape;
}

/// The kernel's operations, one by one.
TensorRefs evaluate(mlir::Block &body, const TensorRefs &arguments) {
  llvm::DenseMap<mlir::Value, TensorRef> values;
  for (auto [parameter, argument] : llvm::zip_equal(body.getArguments(), arguments))
    values[parameter] = argument;
  auto valuesOf = [&](mlir::Operation &op) {
    return llvm::map_to_vector(op.getOperands(),
                               [&](mlir::Value operand) { return values.at(operand); });
  };
  for (mlir::Operation &op : body.without_terminator()) {
    auto results = reference::evaluateTensorOp(&op, valuesOf(op), {});
    EXPECT_TRUE(results.ok() && *results) << results.status();
    if (!results.ok() || !*results)
      return {};
    for (auto [result, value] : llvm::zip_equal(op.getResults(), **results)) {
      auto type = llvm::cast<mlir::RankedTensorType>(result.getType());
      values[result] = type.getElementType().isBF16()
                           ? reference::shared(reference::roundToBFloat16(*value))
                           : value;
    }
  }
  return valuesOf(*body.getTerminator());
}

/// Whether `actual` is close to `expected`; NaN means a row that nobody may read.
void expectMostlyClose(const Tensor &actual, const Tensor &expected, ElementType type) {
  float largest = 0;
  for (float value : expected.floatVector())
    largest = std::isnan(value) ? largest : std::max(largest, std::abs(value));
  const bool isBf16 = type == ElementType::BF16;
  const float strict = isBf16 ? 1.0f / 256 : 4e-6f, absolute = isBf16 ? 2e-5f : 6e-6f;
  int64_t loose = 0;
  for (int64_t i = 0; i < actual.elements(); ++i) {
    const float a = actual.data()[i], b = expected.data()[i];
    if (std::isnan(b) || std::abs(a - b) <= strict * std::abs(b) + absolute * largest)
      continue;
    ++loose;
    ASSERT_TRUE(isBf16 && std::abs(a - b) <= 3.0f / 256 * largest)
        << "element " << i << " is " << a << ", expected " << b;
  }
  EXPECT_LE(loose, 1 + actual.elements() / 20);
}

class Comparison {
public:
  Comparison(exec::KernelOp kernel, const Kernel &compiled, const GivenArguments &given)
      : kernel(kernel), compiled(compiled), given(given) {}

  void run(int64_t rows) {
    SCOPED_TRACE(std::to_string(rows) + " rows");
    TensorRefs arguments;
    std::vector<Buffer> buffers;
    for (auto [index, type] : llvm::enumerate(kernel.getArgumentTypes()))
      addArgument(index, llvm::cast<mlir::RankedTensorType>(type), rows, arguments, buffers);
    TensorRefs expected = evaluate(kernel.getBody().front(), arguments);
    ASSERT_EQ(expected.size(), kernel.getResultTypes().size());
    for (auto [type, value] : llvm::zip_equal(kernel.getResultTypes(), expected))
      buffers.emplace_back(elementTypeOf(llvm::cast<mlir::RankedTensorType>(type)),
                           value->elements());
    std::vector<void *> addresses;
    for (const Buffer &buffer : buffers)
      addresses.push_back(buffer.data());
    compiled.run(addresses, KernelStep{}, rows);
    for (auto [index, value] : llvm::enumerate(expected)) {
      SCOPED_TRACE("result " + std::to_string(index));
      auto type = llvm::cast<mlir::RankedTensorType>(kernel.getResultTypes()[index]);
      expectMostlyClose(buffers[arguments.size() + index].read(value->shape()), *value,
                        elementTypeOf(type));
    }
  }

private:
  void addArgument(unsigned index, mlir::RankedTensorType type, int64_t rows, TensorRefs &arguments,
                   std::vector<Buffer> &buffers) {
    const ElementType elements = elementTypeOf(type);
    auto found = given.find(index);
    Tensor value = found != given.end() ? found->second
                                        : randomTensor(shapeOf(type, rows), elements,
                                                       static_cast<unsigned>(100 * rows + index));
    const bool isPacked = static_cast<bool>(type.getEncoding());
    buffers.emplace_back(elements, isPacked ? pack(value, elements) : value);
    arguments.push_back(reference::shared(std::move(value)));
  }

  exec::KernelOp kernel;
  const Kernel &compiled;
  const GivenArguments &given;
};

} // namespace

std::string replaceMarks(std::string ir,
                         const std::vector<std::pair<std::string, std::string>> &marks) {
  for (const auto &[from, to] : marks)
    for (size_t at = 0; (at = ir.find(from, at)) != std::string::npos; at += to.size())
      ir.replace(at, from.size(), to);
  return ir;
}

void expectAsReference(const std::string &ir, const CpuTarget &target, ElementType type,
                       std::vector<int64_t> rowCounts, const GivenArguments &given) {
  const bool isBf16 = type == ElementType::BF16;
  const std::string text =
      replaceMarks(ir, {{"$T", isBf16 ? "bf16" : "f32"}, {"$D", isBf16 ? "2" : "1"}});
  SCOPED_TRACE(text);
  Kernel compiled(text, target, type);
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  context.loadDialect<epi::EpiDialect, ep::EpDialect, exec::ExecDialect>();
  auto module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
  ASSERT_TRUE(module);
  Comparison comparison(*module->getOps<exec::KernelOp>().begin(), compiled, given);
  for (int64_t rows : rowCounts)
    comparison.run(rows);
}

} // namespace epigraph::cpu::test
