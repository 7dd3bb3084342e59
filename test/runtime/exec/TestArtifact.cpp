#include "test/runtime/exec/TestArtifact.h"

#include <numeric>

#include "gtest/gtest.h"

#include "runtime/artifact/KernelAbi.h"
#include "runtime/artifact/SafetensorsWriter.h"
#include "runtime/artifact/Sha256.h"
#include "runtime/base/FileSystem.h"
#include "test/runtime/exec/TestModel.h"
#include "test/runtime/exec/TestPlan.h"

namespace epigraph {
namespace {

using namespace testmodel;

struct Tensor {
  std::string name;
  DType dtype;
  std::vector<uint64_t> shape;
  std::vector<float> values;
};

void writeTensors(const std::filesystem::path &path, std::vector<Tensor> tensors,
                  const TestArtifactOptions &options) {
  std::vector<TensorDeclaration> declarations;
  for (const Tensor &tensor : tensors) {
    std::vector<uint64_t> shape = tensor.shape;
    if (tensor.name == options.misshapenWeight)
      shape.push_back(1);
    const std::string name = tensor.name == options.renamedWeight ? "other" : tensor.name;
    declarations.push_back({name, tensor.dtype, shape});
  }
  std::filesystem::create_directories(path.parent_path());
  absl::StatusOr<SafetensorsWriter> writer = SafetensorsWriter::create(path, declarations);
  ASSERT_TRUE(writer.ok()) << writer.status();
  for (const Tensor &tensor : tensors) {
    const std::vector<int32_t> integers(tensor.values.begin(), tensor.values.end());
    const void *data = tensor.dtype == DType::I32 ? static_cast<const void *>(integers.data())
                                                  : tensor.values.data();
    ASSERT_TRUE(
        writer->append({static_cast<const uint8_t *>(data), tensor.values.size() * 4}).ok());
  }
  ASSERT_TRUE(writer->finish().ok());
}

void writeWeights(const std::filesystem::path &folder, const TestArtifactOptions &options) {
  std::vector<float> table, head;
  for (int64_t row = 0; row < kVocab; ++row)
    for (int64_t h = 0; h < kHidden; ++h) {
      table.push_back(tableAt(row, h));
      head.push_back(headAt(row, h));
    }
  writeTensors(folder / kSharedWeightsFile,
               {{"table", DType::F32, {kVocab, kHidden}, table},
                {"head", DType::F32, {kVocab, kHidden}, head}},
               options);
  const uint32_t local = kExperts / options.ranks;
  for (uint32_t rank = 0; rank < options.ranks; ++rank) {
    std::vector<float> scale(local);
    std::iota(scale.begin(), scale.end(), static_cast<float>(rank * local + 1));
    writeTensors(folder / rankWeightsFile(rank),
                 {{"scale", DType::F32, {local}, scale},
                  {"rank", DType::I32, {1}, {static_cast<float>(rank)}}},
                 options);
  }
}

void writePlan(const std::filesystem::path &folder, const TestArtifactOptions &options) {
  const plan::PlanT plan = testPlan(options);
  flatbuffers::FlatBufferBuilder builder;
  plan::FinishPlanBuffer(builder, plan::Plan::Pack(builder, &plan));
  ASSERT_TRUE(writeFileAtomically(
                  folder / kPlanFile,
                  {reinterpret_cast<const char *>(builder.GetBufferPointer()), builder.GetSize()})
                  .ok());
}

Manifest manifestOf(const std::filesystem::path &folder, const TestArtifactOptions &options) {
  Manifest manifest;
  manifest.generator = "a test";
  manifest.model = {"TestModel", kVocab, kHidden, 1, options.context, true};
  manifest.target = {options.target, options.features};
  manifest.compute = "float32";
  manifest.ranks = options.ranks;
  manifest.attention = options.dataParallel ? "data" : "replicated";
  manifest.limits = {options.batchTokens, options.sequences, options.context, kPageTokens};
  manifest.memory.weightBytes.assign(options.ranks, 0);
  const absl::StatusOr<Plan> plan = Plan::open(folder / kPlanFile);
  EXPECT_TRUE(plan.ok()) << plan.status();
  manifest.memory.arenaBytes = (*plan)->arena_bytes();
  for (const auto &entry : std::filesystem::recursive_directory_iterator(folder))
    if (entry.is_regular_file())
      manifest.files[entry.path().lexically_relative(folder)] = {entry.file_size(),
                                                                 *sha256HexOfFile(entry.path())};
  return manifest;
}

} // namespace

Artifact writeTestArtifact(const std::filesystem::path &folder,
                           const TestArtifactOptions &options) {
  const std::filesystem::path artifact = folder / "test.epi";
  std::filesystem::remove_all(artifact);
  writeWeights(artifact, options);
  writePlan(artifact, options);
  std::filesystem::copy_file(EPIGRAPH_TEST_KERNELS,
                             artifact / (options.onDevice ? kDeviceKernelsFile : kKernelsFile));
  const absl::StatusOr<std::string> manifest = printManifest(manifestOf(artifact, options));
  EXPECT_TRUE(manifest.ok() && writeFileAtomically(artifact / kManifestFile, *manifest).ok());
  absl::StatusOr<Artifact> opened = Artifact::open(artifact, VerifyMode::Full);
  EXPECT_TRUE(opened.ok()) << opened.status();
  return *std::move(opened);
}

} // namespace epigraph
