#include "test/codegen/cpu/KernelHarness.h"

#include <dlfcn.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <fstream>

#include "codegen/cpu/KernelLibrary.h"
#include "dialects/exec/Exec.h"
#include "mlir/Parser/Parser.h"
#include "runtime/base/BFloat16.h"
#include "runtime/base/Float8.h"
#include "runtime/device/CpuFeatures.h"

namespace epigraph::cpu::test {
namespace {

int64_t sizeOf(ElementType type) {
  switch (type) {
  case ElementType::F8:
    return 1;
  case ElementType::BF16:
    return 2;
  default:
    return 4;
  }
}

float roundTo(ElementType type, float value) {
  switch (type) {
  case ElementType::F8:
    return floatOfFloat8(float8OfFloat(value));
  case ElementType::BF16:
    return floatOfBFloat16(bfloat16OfFloat(value));
  default:
    return value;
  }
}

std::string replaceAll(std::string text, const std::string &from, const std::string &to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
  return text;
}

std::unique_ptr<mlir::MLIRContext> makeContext() {
  auto context = std::make_unique<mlir::MLIRContext>(mlir::MLIRContext::Threading::DISABLED);
  context->loadDialect<epi::EpiDialect, ep::EpDialect, exec::ExecDialect>();
  return context;
}

} // namespace

//===----------------------------------------------------------------------===//
// Buffer
//===----------------------------------------------------------------------===//

void Buffer::allocate() {
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t size = static_cast<size_t>(elements * sizeOf(type));
  const size_t pages = (size + page - 1) / page;
  mappedBytes = (pages + 1) * page;
  mapping = static_cast<uint8_t *>(
      mmap(nullptr, mappedBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(mapping, MAP_FAILED);
  ASSERT_EQ(mprotect(mapping + pages * page, page, PROT_NONE), 0);
  bytes = mapping + pages * page - size;
  std::memset(bytes, 0xff, size); // NaN as float32 and bf16, -1 as i32; NaN as FP8
}

Buffer::Buffer(ElementType type, int64_t elements) : type(type), elements(elements) { allocate(); }

Buffer::Buffer(ElementType type, const Tensor &tensor) : Buffer(type, tensor.elements()) {
  for (int64_t i = 0; i < elements; ++i) {
    if (type == ElementType::BF16) {
      const uint16_t bits = bfloat16OfFloat(tensor.data()[i]);
      std::memcpy(bytes + 2 * i, &bits, 2);
    } else if (type == ElementType::F8) {
      bytes[i] = float8OfFloat(tensor.data()[i]);
    } else if (type == ElementType::F32) {
      std::memcpy(bytes + 4 * i, tensor.data() + i, 4);
    } else {
      std::memcpy(bytes + 4 * i, tensor.intData() + i, 4);
    }
  }
}

Buffer::Buffer(Buffer &&other) noexcept
    : type(other.type), elements(other.elements), mapping(std::exchange(other.mapping, nullptr)),
      mappedBytes(other.mappedBytes), bytes(other.bytes) {}

Buffer::~Buffer() {
  if (mapping)
    munmap(mapping, mappedBytes);
}

std::vector<uint8_t> Buffer::raw() const {
  return std::vector<uint8_t>(bytes, bytes + elements * sizeOf(type));
}

Tensor Buffer::read(Shape shape) const {
  if (type == ElementType::I32) {
    std::vector<int32_t> values(static_cast<size_t>(elements));
    std::memcpy(values.data(), bytes, values.size() * 4);
    return Tensor(std::move(shape), std::move(values));
  }
  std::vector<float> values(static_cast<size_t>(elements));
  for (size_t i = 0; i < values.size(); ++i) {
    if (type == ElementType::F32) {
      std::memcpy(&values[i], bytes + 4 * i, 4);
      continue;
    }
    if (type == ElementType::F8) {
      values[i] = floatOfFloat8(bytes[i]);
      continue;
    }
    uint16_t bits;
    std::memcpy(&bits, bytes + 2 * i, 2);
    values[i] = floatOfBFloat16(bits);
  }
  return Tensor(std::move(shape), std::move(values));
}

//===----------------------------------------------------------------------===//
// Kernel
//===----------------------------------------------------------------------===//

void Kernel::build(std::string ir, const CpuTarget &target, ElementType type) {
  const bool isBf16 = type == ElementType::BF16;
  ir = replaceAll(replaceAll(ir, "$T", isBf16 ? "bf16" : "f32"), "$D", isBf16 ? "2" : "1");
  auto context = makeContext();
  auto module = mlir::parseSourceString<mlir::ModuleOp>(ir, context.get());
  ASSERT_TRUE(module) << ir;
  KernelLibrary library;
  ASSERT_TRUE(mlir::succeeded(buildKernelLibrary(*module, target, library))) << ir;
  exec::KernelOp kernel = *module->getOps<exec::KernelOp>().begin();
  tileRows = kernel.getTilingAttr().getRows();
  tileColumns = kernel.getTilingAttr().getColumns();
  load(library.sharedObject, kernelSymbol(kernel.getSymName()));
}

void Kernel::load(const std::string &sharedObject, const std::string &symbol) {
  std::string path = ::testing::TempDir() + "/kernelXXXXXX";
  const int file = mkstemp(path.data());
  ASSERT_GE(file, 0);
  close(file);
  std::ofstream(path, std::ios::binary) << sharedObject;
  handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  const char *error = handle ? nullptr : dlerror();
  unlink(path.c_str());
  ASSERT_TRUE(handle) << error;
  function = reinterpret_cast<KernelFunction>(dlsym(handle, symbol.c_str()));
  ASSERT_TRUE(function);
}

Kernel::~Kernel() {
  if (handle)
    dlclose(handle);
}

void Kernel::run(std::vector<void *> args, const KernelStep &step, int64_t rows) const {
  ASSERT_TRUE(function);
  const int64_t tiles = tileRows ? (rows + tileRows - 1) / tileRows * tileColumns : tileColumns;
  for (int64_t tile = tiles; tile-- > 0;)
    function(args.data(), &step, rows, tile, tile + 1);
}

std::string diagnose(const std::string &ir, const CpuTarget &target) {
  auto context = makeContext();
  std::string messages;
  mlir::ScopedDiagnosticHandler handler(context.get(), [&](mlir::Diagnostic &diagnostic) {
    messages += diagnostic.str() + "\n";
    return mlir::success();
  });
  auto module = mlir::parseSourceString<mlir::ModuleOp>(ir, context.get());
  EXPECT_TRUE(module) << messages;
  KernelLibrary library;
  if (module && mlir::succeeded(buildKernelLibrary(*module, target, library)))
    EXPECT_EQ(messages, "");
  else
    EXPECT_NE(messages, "") << "failed without a diagnostic";
  return messages;
}

//===----------------------------------------------------------------------===//
// Tensors
//===----------------------------------------------------------------------===//

Tensor pack(const Tensor &w, ElementType type) {
  const int64_t depth = type == ElementType::BF16 ? 2 : 1;
  const int64_t rank = w.rank(), outputs = w.dim(rank - 2), inputs = w.dim(rank - 1);
  const int64_t stack = w.elements() / (outputs * inputs);
  const int64_t panels = (outputs + 31) / 32, groups = (inputs + depth - 1) / depth;
  Tensor packed = Tensor::floats({stack, panels, groups, 32, depth});
  for (int64_t s = 0; s < stack; ++s)
    for (int64_t n = 0; n < outputs; ++n)
      for (int64_t k = 0; k < inputs; ++k) {
        const int64_t group = ((s * panels + n / 32) * groups + k / depth) * 32 + n % 32;
        packed.data()[group * depth + k % depth] = w.data()[(s * outputs + n) * inputs + k];
      }
  return packed;
}

Tensor randomTensor(Shape shape, ElementType type, unsigned seed) {
  std::mt19937 generator(seed);
  std::uniform_real_distribution<float> values(-1, 1);
  Tensor tensor = Tensor::floats(std::move(shape));
  for (int64_t i = 0; i < tensor.elements(); ++i) {
    tensor.data()[i] = roundTo(type, values(generator));
  }
  return tensor;
}

Tensor rowsOf(const Tensor &tensor, int64_t first, int64_t last) {
  Shape shape = tensor.shape();
  shape[0] = last - first;
  return Tensor(shape, std::vector<float>(tensor.row(first), tensor.row(last)));
}

void expectClose(const Tensor &actual, const Tensor &expected, ElementType type) {
  ASSERT_EQ(actual.shape(), expected.shape());
  float largest = 0;
  for (float value : expected.floatVector())
    largest = std::max(largest, std::abs(value));
  const float relative = type == ElementType::BF16 ? 1.0f / 256 : 2e-6f;
  const float absolute = (type == ElementType::BF16 ? 2e-5f : 4e-6f) * largest;
  for (int64_t i = 0; i < actual.elements(); ++i) {
    const float a = actual.data()[i], b = expected.data()[i];
    ASSERT_TRUE(std::abs(a - b) <= relative * std::abs(b) + absolute)
        << "element " << i << " is " << a << ", expected " << b;
  }
}

//===----------------------------------------------------------------------===//
// KernelTest
//===----------------------------------------------------------------------===//

void KernelTest::SetUp() {
  const std::string name = std::get<0>(GetParam());
  type = std::get<1>(GetParam());
  const bool isWide = name == "wide";
  llvm::Expected<CpuTarget> parsed = parseCpuTarget(isWide ? "cpu:x86-64-v3" : name);
  ASSERT_TRUE(static_cast<bool>(parsed)) << llvm::toString(parsed.takeError());
  target = *parsed;
  if (isWide)
    target.vectorWidth = 16;
  const absl::Status runnable = requireCpuFeatures(target.requiredFeatures);
  if (!runnable.ok())
    GTEST_SKIP() << std::string(runnable.message());
}

Buffer KernelTest::poison(Shape shape) const {
  int64_t elements = 1;
  for (int64_t size : shape)
    elements *= size;
  return Buffer(type, elements);
}

std::string nameOf(const ::testing::TestParamInfo<KernelTest::ParamType> &info) {
  std::string name = std::get<0>(info.param);
  name += std::get<1>(info.param) == ElementType::BF16 ? "_bf16" : "_f32";
  for (char &c : name)
    if (!std::isalnum(static_cast<unsigned char>(c)))
      c = '_';
  return name;
}

} // namespace epigraph::cpu::test
