// A model with random weights, compiled with a mistake in it: bisect must name the mistake.
#include "compiler/bisect/Bisect.h"

#include <random>

#include "nlohmann/json.hpp"

#include "codegen/cpu/KernelLibrary.h"
#include "codegen/target/Target.h"
#include "dialects/exec/Exec.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Parser/Parser.h"
#include "runtime/artifact/Safetensors.h"
#include "runtime/artifact/SafetensorsWriter.h"
#include "runtime/base/BFloat16.h"
#include "test/compiler/FakeCheckpoint.h"
#include "test/compiler/bisect/PlantedWrongFold.h"
#include "test/runtime/base/TestFiles.h"

namespace epigraph {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::StartsWith;

/// The checkpoint's tensors with random values: zeros would hide every mistake.
void writeRandom(const FakeCheckpoint &checkpoint, const fs::path &folder) {
  checkpoint.write(folder); // config.json
  std::vector<TensorDeclaration> declarations;
  std::vector<uint8_t> bytes;
  std::mt19937 generator(7);
  std::uniform_real_distribution<float> values(-0.5f, 0.5f);
  for (const auto &[name, tensor] : checkpoint.tensors) {
    declarations.push_back({name, tensor.dtype, tensor.shape});
    uint64_t elements = 1;
    for (uint64_t size : tensor.shape)
      elements *= size;
    for (uint64_t i = 0; i < elements; ++i) {
      const float value = values(generator) + (tensor.shape.size() == 1 ? 1.0f : 0.0f);
      const uint16_t half = bfloat16OfFloat(value);
      const auto *from = tensor.dtype == DType::BF16 ? reinterpret_cast<const uint8_t *>(&half)
                                                     : reinterpret_cast<const uint8_t *>(&value);
      bytes.insert(bytes.end(), from, from + dtypeBytes(tensor.dtype));
    }
  }
  auto writer = SafetensorsWriter::create(folder / "model.safetensors", declarations);
  ASSERT_TRUE(writer.ok()) << writer.status();
  ASSERT_TRUE(writer->append(bytes).ok());
  ASSERT_TRUE(writer->finish().ok());
}

class BisectTest : public testing::Test {
protected:
  static void SetUpTestSuite() { registerPlantedWrongFold(); }

  void SetUp() override {
    fs::create_directory(model_);
    writeRandom(FakeCheckpoint::deepseekV3(), model_);
  }

  BisectOptions options() const {
    BisectOptions options;
    options.compile.model = model_;
    options.compile.target = "cpu:x86-64-v3";
    options.compile.compute = ComputeType::Float32;
    options.compile.limits.batchTokens = 16;
    options.compile.limits.sequences = 4;
    options.save = folder_.path() / "found";
    return options;
  }

  TestFolder folder_;
  const fs::path model_ = folder_.path() / "model";
};

TEST_F(BisectTest, FindsNothingWhereNothingIsWrong) {
  for (ComputeType compute : {ComputeType::Float32, ComputeType::BFloat16}) {
    BisectOptions right = options();
    right.compile.compute = compute;
    absl::StatusOr<BisectResult> result = bisect(right);
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_FALSE(result->divergence) << printBisectResult(*result);
    EXPECT_GE(result->phases, 7u);
    EXPECT_GT(result->kernels, 10u) << result->kernelsSkipped;
    EXPECT_FALSE(fs::exists(right.save));
  }
}

TEST_F(BisectTest, FindsNothingOnTwoRanks) {
  for (AttentionSharing attention : {AttentionSharing::Replicated, AttentionSharing::Data}) {
    BisectOptions right = options();
    right.compile.ranks = 2;
    right.compile.attention = attention;
    absl::StatusOr<BisectResult> result = bisect(right);
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_FALSE(result->divergence) << printBisectResult(*result);
  }
}

struct Planted {
  const char *pass;  ///< as --insert-pass takes it
  const char *phase; ///< that must be named
  const char *op;
  const char *location; ///< start of it
};

class PlantedTest : public BisectTest, public testing::WithParamInterface<Planted> {};

TEST_P(PlantedTest, IsNamed) {
  BisectOptions planted = options();
  planted.compile.insertedPasses = {GetParam().pass};
  absl::StatusOr<BisectResult> result = bisect(planted);
  ASSERT_TRUE(result.ok()) << result.status();
  ASSERT_TRUE(result->divergence);
  const Divergence &found = *result->divergence;
  SCOPED_TRACE(printBisectResult(*result));
  EXPECT_EQ(found.kind, Divergence::Kind::Pass);
  EXPECT_EQ(found.phase, GetParam().phase);
  EXPECT_EQ(found.pass, "test-wrong-fold");
  EXPECT_EQ(found.op, GetParam().op);
  EXPECT_THAT(found.location, StartsWith(GetParam().location));
  EXPECT_GT(found.distance.relative, found.tolerance);
  for (const char *file : {"before.mlir", "after.mlir", "op.mlir", "values.safetensors"})
    EXPECT_TRUE(fs::exists(result->saved / file)) << file;
}

// A dropped addition makes the operation wrong that takes its first operand in its place; a wrong
// eps, the norm itself.
INSTANTIATE_TEST_SUITE_P(
    , PlantedTest,
    testing::Values(
        Planted{"test-wrong-fold{op=epi.rms_norm mistake=eps location=model.layers.1}@canonicalize",
                "canonicalize", "epi.rms_norm", "model.layers.1"},
        Planted{"test-wrong-fold{op=epi.rms_norm mistake=eps location=model.layers.1}@quantize",
                "quantize", "epi.rms_norm", "model.layers.1"},
        Planted{"test-wrong-fold{op=epi.mul mistake=drop location=model.layers.1}@fuse", "fuse",
                "epi.linear", "model.layers.1.mlp"}),
    [](const auto &info) { return "case_" + std::to_string(info.index); });

TEST_F(BisectTest, SavesTheOperationWithItsInputs) {
  BisectOptions planted = options();
  planted.compile.insertedPasses = {
      "test-wrong-fold{op=epi.rms_norm mistake=eps location=model.layers.1}@canonicalize"};
  absl::StatusOr<BisectResult> result = bisect(planted);
  ASSERT_TRUE(result.ok() && result->divergence) << result.status();
  mlir::MLIRContext context;
  context.loadDialect<epi::EpiDialect, ep::EpDialect, exec::ExecDialect, mlir::func::FuncDialect>();
  auto module = mlir::parseSourceString<mlir::ModuleOp>(contentOf(result->saved / "op.mlir"),
                                                        mlir::ParserConfig(&context));
  ASSERT_TRUE(module);
  auto main = module->lookupSymbol<mlir::func::FuncOp>("main");
  ASSERT_TRUE(main);
  EXPECT_EQ(main.getNumArguments(), 2u); // x and the weight
  EXPECT_FALSE(main.getOps<epi::RmsNormOp>().empty());
  auto values = SafetensorsFile::open(result->saved / "values.safetensors");
  ASSERT_TRUE(values.ok()) << values.status();
  for (const char *name : {"operand.0", "operand.1", "actual.0", "step.positions"})
    EXPECT_NE(values->find(name), nullptr) << name;
  absl::StatusOr<std::vector<ReplayedResult>> replayed = replay(result->saved);
  ASSERT_TRUE(replayed.ok()) << replayed.status();
  ASSERT_EQ(replayed->size(), 1u);
  EXPECT_EQ((*replayed)[0].fromActual->relative, 0);
  EXPECT_FALSE((*replayed)[0].fromExpected);
  auto json = nlohmann::json::parse(printBisectResultJson(*result));
  EXPECT_EQ(json["divergence"]["op"], "epi.rms_norm");
  EXPECT_EQ(json["divergence"]["pass"], "test-wrong-fold");
}

/// A kernel whose code is not what its body says.
TEST_F(BisectTest, NamesAWrongKernel) {
  CompileOptions compile = options().compile;
  compile.stopAfter = Phase::Codegen;
  absl::StatusOr<CompileResult> compiled = compileModel(compile);
  ASSERT_TRUE(compiled.ok()) << compiled.status();
  mlir::MLIRContext context;
  context.loadDialect<epi::EpiDialect, ep::EpDialect, exec::ExecDialect, mlir::func::FuncDialect>();
  auto module = mlir::parseSourceString<mlir::ModuleOp>(compiled->ir, mlir::ParserConfig(&context));
  ASSERT_TRUE(module);
  std::string changed;
  for (auto kernel : module->getOps<exec::KernelOp>()) {
    auto norms = kernel.getOps<epi::RmsNormOp>();
    if (norms.empty())
      continue;
    (*norms.begin()).setEpsAttr(mlir::Builder(&context).getF64FloatAttr(5.0));
    changed = kernel.getSymName().str();
    break;
  }
  ASSERT_NE(changed, "");
  llvm::Expected<Target> target = parseTarget(compile.target);
  ASSERT_TRUE(static_cast<bool>(target));
  cpu::KernelLibrary library;
  ASSERT_TRUE(mlir::succeeded(cpu::buildKernelLibrary(*module, target->cpu, library)));

  BisectOptions wrong = options();
  wrong.kernels = folder_.write("wrong.so", library.sharedObject);
  absl::StatusOr<BisectResult> result = bisect(wrong);
  ASSERT_TRUE(result.ok()) << result.status();
  ASSERT_TRUE(result->divergence);
  EXPECT_EQ(result->divergence->kind, Divergence::Kind::Kernel);
  EXPECT_EQ(result->divergence->op, changed);
  EXPECT_THAT(result->divergence->location, StartsWith("model."));
  auto values = SafetensorsFile::open(result->saved / "values.safetensors");
  ASSERT_TRUE(values.ok()) << values.status();
  for (const char *name : {"operand.0", "expected.0", "actual.0"})
    EXPECT_NE(values->find(name), nullptr) << name;
  absl::StatusOr<std::vector<ReplayedResult>> replayed = replay(result->saved);
  ASSERT_TRUE(replayed.ok()) << replayed.status();
  bool found = false;
  for (const ReplayedResult &again : *replayed)
    if (again.fromExpected) {
      EXPECT_EQ(again.fromExpected->relative, 0);
      EXPECT_GT(again.fromActual->relative, 1e-3);
      found = true;
    }
  EXPECT_TRUE(found);
}

TEST_F(BisectTest, RefusesSequencesThatCannotRun) {
  BisectOptions bad = options();
  bad.sequences = {{0, 1 << 20}};
  expectError(bisect(bad), absl::StatusCode::kInvalidArgument, "outside the vocabulary");
  bad.sequences = {{}};
  expectError(bisect(bad), absl::StatusCode::kInvalidArgument, "0 tokens");
  bad.sequences = std::vector<std::vector<int32_t>>(5, {1});
  expectError(bisect(bad), absl::StatusCode::kInvalidArgument, "5 sequences");
}

} // namespace
} // namespace epigraph
