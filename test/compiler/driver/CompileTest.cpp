// Whole compilations of a small fabricated checkpoint.
#include "compiler/driver/Compile.h"

#include "runtime/artifact/Artifact.h"
#include "runtime/artifact/Checkpoint.h"
#include "runtime/artifact/PlanText.h"
#include "test/compiler/FakeCheckpoint.h"
#include "test/runtime/base/TestFiles.h"

namespace epigraph {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class CompileTest : public testing::Test {
protected:
  void SetUp() override {
    fs::create_directory(model_);
    fs::create_directory(out_);
    FakeCheckpoint::deepseekV3().write(model_);
    folder_.write("model/tokenizer.json", "{}");
  }

  CompileOptions options(const std::string &name = "x.epi") {
    CompileOptions result;
    result.model = model_;
    result.output = out_ / name;
    result.target = "cpu:x86-64-v3";
    result.limits.batchTokens = 16;
    result.limits.sequences = 4;
    return result;
  }

  std::vector<std::string> outputs() const {
    std::vector<std::string> names;
    for (const fs::directory_entry &entry : fs::directory_iterator(out_))
      names.push_back(entry.path().filename().string());
    return names;
  }

  TestFolder folder_;
  fs::path model_ = folder_.path() / "model";
  fs::path out_ = folder_.path() / "out";
};

TEST_F(CompileTest, WritesAnArtifactThatOpens) {
  CompileOptions compile = options();
  compile.ranks = 2;
  absl::StatusOr<CompileResult> result = compileModel(compile);
  ASSERT_TRUE(result.ok()) << result.status();
  absl::StatusOr<Artifact> artifact = Artifact::open(compile.output, VerifyMode::Full);
  ASSERT_TRUE(artifact.ok()) << artifact.status();
  const Manifest &manifest = artifact->manifest();
  EXPECT_EQ(manifest.model.architecture, "DeepseekV3ForCausalLM");
  EXPECT_TRUE(manifest.model.hasMtp);
  EXPECT_EQ(manifest.ranks, 2u);
  EXPECT_EQ(manifest.target.name, "cpu:x86-64-v3");
  EXPECT_EQ(manifest.limits.batchTokens, 16u);
  EXPECT_EQ(manifest.limits.context, 128u);
  EXPECT_EQ(manifest.tokens.eos, (std::vector<uint32_t>{1, 3}));
  // Three layers of (10 + 4) bf16 values.
  EXPECT_EQ(manifest.memory.cacheBytesPerToken, 3 * 14 * 2u);
  EXPECT_LT(manifest.memory.arenaBytes, manifest.memory.arenaNaiveBytes);
  for (const char *file : {"plan.fb", "kernels.so", "tokenizer.json", "weights/shared.safetensors",
                           "weights/rank-0.safetensors", "weights/rank-1.safetensors"})
    EXPECT_EQ(manifest.files.count(file), 1u) << file;
  EXPECT_NE(artifact->plan().function("mtp"), nullptr);
  EXPECT_EQ(outputs(), std::vector<std::string>{"x.epi"});
}

TEST_F(CompileTest, WeightsAreThoseOfThePlan) {
  CompileOptions compile = options();
  compile.ranks = 4;
  ASSERT_TRUE(compileModel(compile).ok());
  absl::StatusOr<Artifact> artifact = Artifact::open(compile.output, VerifyMode::Quick);
  ASSERT_TRUE(artifact.ok()) << artifact.status();
  auto shared = SafetensorsFile::open(compile.output / kSharedWeightsFile);
  auto own = SafetensorsFile::open(compile.output / rankWeightsFile(3));
  ASSERT_TRUE(shared.ok() && own.ok());
  size_t found = 0;
  for (const plan::Weight *weight : *artifact->plan()->weights()) {
    const StoredTensor *tensor = (weight->shared() ? *shared : *own).find(weight->name()->str());
    ASSERT_NE(tensor, nullptr) << weight->name()->str();
    EXPECT_EQ(tensor->bytes.size(), weightBytes(*weight));
    // Files are mapped at pages: what lies before a tensor must not misalign it.
    EXPECT_EQ(reinterpret_cast<uintptr_t>(tensor->bytes.data()) % dtypeBytes(tensor->dtype), 0u)
        << tensor->name;
    ++found;
  }
  EXPECT_EQ(found, shared->tensors().size() + own->tensors().size());
}

TEST_F(CompileTest, SameInputsGiveTheSameBytes) {
  for (const char *name : {"a.epi", "b.epi"}) {
    CompileOptions compile = options(name);
    compile.ranks = 2;
    absl::StatusOr<CompileResult> result = compileModel(compile);
    ASSERT_TRUE(result.ok()) << result.status();
  }
  size_t files = 0;
  for (const fs::directory_entry &entry : fs::recursive_directory_iterator(out_ / "a.epi")) {
    if (!entry.is_regular_file())
      continue;
    fs::path other = out_ / "b.epi" / entry.path().lexically_relative(out_ / "a.epi");
    EXPECT_EQ(contentOf(entry.path()), contentOf(other)) << other;
    ++files;
  }
  EXPECT_EQ(files, 7u);
}

TEST_F(CompileTest, StopsAfterAnyPhase) {
  const std::pair<Phase, const char *> kMarks[] = {
      {Phase::Import, "epi.mla_attention"},  {Phase::Canonicalize, "epi.mla_attention"},
      {Phase::Fuse, "epi.fused \"swiglu\""}, {Phase::Quantize, "epi.experts"},
      {Phase::Sparsify, "epi.experts"},      {Phase::Partition, "ep.dispatch"},
      {Phase::Schedule, "exec.launch"},      {Phase::PlanMemory, "exec.arena_bytes"},
      {Phase::Codegen, "#exec.tiling"},
  };
  for (const auto &[phase, mark] : kMarks) {
    CompileOptions compile = options();
    compile.output.clear();
    compile.ranks = 2;
    compile.stopAfter = phase;
    absl::StatusOr<CompileResult> result = compileModel(compile);
    ASSERT_TRUE(result.ok()) << phaseName(phase) << ": " << result.status();
    EXPECT_THAT(result->ir, HasSubstr(mark)) << phaseName(phase);
    EXPECT_EQ(result->report.seconds.size(), static_cast<size_t>(phase) + 1);
  }
  EXPECT_TRUE(outputs().empty());
}

TEST_F(CompileTest, DumpsEveryPhase) {
  CompileOptions compile = options();
  compile.dumpDirectory = folder_.path() / "dumps";
  ASSERT_TRUE(compileModel(compile).ok());
  for (const char *name : {"00-import.mlir", "02-fuse.mlir", "07-plan-memory.mlir",
                           "08-codegen.mlir", "08-codegen-kernels.mlir"})
    EXPECT_NE(contentOf(compile.dumpDirectory / name), "") << name;
}

TEST_F(CompileTest, ReportsWhatItDid) {
  absl::StatusOr<CompileResult> result = compileModel(options());
  ASSERT_TRUE(result.ok()) << result.status();
  const Report &report = result->report;
  EXPECT_GT(report.fusion.ops, report.fusion.fusedOps);
  EXPECT_GT(report.fusion.fusedOps, 0u);
  EXPECT_GE(report.fusion.launches, report.fusion.kernels);
  EXPECT_EQ(report.rankWeightBytes.size(), 1u);
  EXPECT_THAT(printReport(report), HasSubstr("exec-plan-memory"));
  EXPECT_THAT(printReportJson(report), HasSubstr("\"fused_share\""));
  // What the import read, and that it used every tensor.
  EXPECT_EQ(report.import.family, "deepseek_v3");
  EXPECT_GT(report.import.settings.size(), 20u);
  EXPECT_GT(report.import.tensors, 50u);
  EXPECT_THAT(report.import.ignored, testing::IsEmpty());
  EXPECT_THAT(printReport(report), HasSubstr("settings"));
  EXPECT_THAT(printReportJson(report), HasSubstr("\"unread\""));
}

TEST_F(CompileTest, RanksMustDivideTheExperts) {
  CompileOptions compile = options();
  compile.ranks = 3;
  absl::StatusOr<CompileResult> result = compileModel(compile);
  for (const char *part : {"3", "4", "1, 2"}) // What was asked for, the experts, what would do.
    expectError(result, absl::StatusCode::kUnimplemented, part);
  EXPECT_TRUE(outputs().empty());
}

TEST_F(CompileTest, RefusesOptions) {
  CompileOptions compile = options();
  compile.target = "cpu:pdp11";
  expectError(compileModel(compile), absl::StatusCode::kUnimplemented, "pdp11");
  compile = options();
  compile.ranks = 0;
  expectError(compileModel(compile), absl::StatusCode::kInvalidArgument, "--ep is 0");
  compile = options();
  compile.limits.batchTokens = 0;
  expectError(compileModel(compile), absl::StatusCode::kInvalidArgument, "--max-batch-tokens");
  compile = options();
  compile.output.clear();
  expectError(compileModel(compile), absl::StatusCode::kInvalidArgument, "no output");
  compile = options();
  compile.model = folder_.path() / "nowhere";
  expectError(compileModel(compile), absl::StatusCode::kNotFound, "nowhere");
  compile = options("absent/x.epi");
  expectError(compileModel(compile), absl::StatusCode::kNotFound, "absent");
  EXPECT_TRUE(outputs().empty());
}

TEST_F(CompileTest, CancelledLeavesTheOldArtifact) {
  ASSERT_TRUE(compileModel(options()).ok());
  std::string before = contentOf(out_ / "x.epi/manifest.json");
  CompileOptions compile = options();
  compile.ranks = 2;
  std::atomic<bool> cancelled = false;
  compile.cancelled = &cancelled;
  // As late as possible: in the middle of packing.
  compile.progress = [&](Phase phase, double share) {
    cancelled = phase == Phase::Pack && share > 0;
  };
  expectError(compileModel(compile), absl::StatusCode::kCancelled, "interrupted");
  EXPECT_EQ(contentOf(out_ / "x.epi/manifest.json"), before);
  EXPECT_EQ(outputs(), std::vector<std::string>{"x.epi"});
}

} // namespace
} // namespace epigraph
