#include "compiler/import/Importer.h"

#include "llvm/Support/raw_ostream.h"

#include "runtime/base/Status.h"
#include "test/compiler/FakeCheckpoint.h"
#include "test/runtime/base/TestFiles.h"

namespace epigraph {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;
constexpr absl::StatusCode kUnsupported = absl::StatusCode::kUnimplemented;

/// The IR, as text, of a checkpoint in a folder of its own.
absl::StatusOr<std::string> import(const FakeCheckpoint &fake, ImportLimits limits = {}) {
  TestFolder folder;
  fake.write(folder.path());
  mlir::MLIRContext context;
  context.loadDialect<epi::EpiDialect, ep::EpDialect, exec::ExecDialect, mlir::func::FuncDialect>();
  EPIGRAPH_ASSIGN_OR_RETURN(Checkpoint checkpoint, Checkpoint::open(folder.path()));
  EPIGRAPH_ASSIGN_OR_RETURN(ImportedModel model, importModel(context, checkpoint, limits));
  EXPECT_EQ(model.architecture, "DeepseekV3ForCausalLM");
  EXPECT_EQ(model.ids.bos, 0);
  EXPECT_EQ(model.ids.eos, (std::vector<int64_t>{1, 3}));
  std::string text;
  llvm::raw_string_ostream stream(text);
  model.module->print(stream);
  return text;
}

std::string importText(const FakeCheckpoint &fake, ImportLimits limits = {}) {
  absl::StatusOr<std::string> text = import(fake, limits);
  EXPECT_TRUE(text.ok()) << text.status();
  return text.ok() ? *text : "";
}

size_t occurrences(const std::string &text, const std::string &part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1))
    ++count;
  return count;
}

TEST(ImporterTest, BuildsMainAndPrediction) {
  std::string text = importText(FakeCheckpoint::deepseekV3());
  EXPECT_THAT(text, HasSubstr("layers = 2, hidden = 16, vocab = 32, context = 128"));
  EXPECT_THAT(text, HasSubstr("func.func @main"));
  EXPECT_THAT(text, HasSubstr("func.func @mtp"));
  EXPECT_EQ(occurrences(text, "epi.mla_attention"), 3u);
  EXPECT_EQ(occurrences(text, "= epi.experts"), 2u);
  EXPECT_THAT(text, HasSubstr("eps = 1.000000e-05"));   // rms_norm_eps
  EXPECT_THAT(text, HasSubstr("theta = 5.000000e+02")); // rope_theta
  EXPECT_THAT(text, HasSubstr("tensor<128x4xf32>"));    // all positions of the model
  EXPECT_THAT(text,
              HasSubstr("\"model.layers.1.mlp.experts.{}.up_proj.weight\" : tensor<4x8x16xbf16>"));
  EXPECT_THAT(text, HasSubstr("\"model.layers.2.shared_head.head.weight\""));
}

TEST(ImporterTest, WithoutPredictionLayer) {
  FakeCheckpoint fake = FakeCheckpoint::deepseekV3();
  std::erase_if(fake.tensors, [](auto &t) { return t.first.starts_with("model.layers.2."); });
  EXPECT_THAT(importText(fake), Not(HasSubstr("@mtp")));
}

TEST(ImporterTest, PredictionLayerMayShareTableAndHead) {
  FakeCheckpoint fake = FakeCheckpoint::deepseekV3();
  fake.tensors.erase("model.layers.2.embed_tokens.weight");
  fake.tensors.erase("model.layers.2.shared_head.head.weight");
  std::string text = importText(fake);
  EXPECT_EQ(occurrences(text, "\"model.embed_tokens.weight\""), 2u);
  EXPECT_EQ(occurrences(text, "\"lm_head.weight\""), 2u);
}

TEST(ImporterTest, DirectQuery) {
  FakeCheckpoint fake = FakeCheckpoint::deepseekV3();
  fake.config["q_lora_rank"] = nullptr;
  std::erase_if(fake.tensors, [](auto &t) {
    return t.first.find(".q_a_") != std::string::npos || t.first.find(".q_b_") != std::string::npos;
  });
  for (int layer : {0, 1, 2})
    fake.tensors["model.layers." + std::to_string(layer) + ".self_attn.q_proj.weight"] = {
        DType::BF16, {20, 16}};
  std::string text = importText(fake);
  EXPECT_EQ(occurrences(text, "q_proj.weight"), 3u);
  EXPECT_THAT(text, Not(HasSubstr("q_a_layernorm")));
}

TEST(ImporterTest, TiedEmbeddings) {
  FakeCheckpoint fake = FakeCheckpoint::deepseekV3();
  fake.config["tie_word_embeddings"] = true;
  EXPECT_THAT(importText(fake), Not(HasSubstr("lm_head"))); // A second copy is not an error.
  fake.tensors.erase("lm_head.weight");
  EXPECT_THAT(importText(fake), Not(HasSubstr("lm_head")));
}

TEST(ImporterTest, Float32Checkpoint) {
  FakeCheckpoint fake = FakeCheckpoint::deepseekV3();
  fake.config.erase("torch_dtype");
  fake.config["dtype"] = "float32";
  for (auto &[name, tensor] : fake.tensors)
    tensor.dtype = DType::F32;
  EXPECT_THAT(importText(fake), Not(HasSubstr("bf16")));
}

TEST(ImporterTest, RouterMayBeInEitherType) {
  FakeCheckpoint fake = FakeCheckpoint::deepseekV3();
  fake.tensors["model.layers.1.mlp.gate.weight"].dtype = DType::F32;
  fake.tensors["model.layers.2.mlp.gate.e_score_correction_bias"].dtype = DType::BF16;
  EXPECT_EQ(occurrences(importText(fake), "epi.cast"), 2u);
}

TEST(ImporterTest, Limits) {
  FakeCheckpoint fake = FakeCheckpoint::deepseekV3();
  ImportLimits limits{64, 7, 100};
  EXPECT_THAT(importText(fake, limits),
              HasSubstr("#exec.limits<batch_tokens = 64, sequences = 7, context = 100>"));
  limits.maxContext = 129;
  expectError(import(fake, limits), kInvalid,
              "--max-context is 129, but the model was made for 128");
  fake.config["max_position_embeddings"] = 100000;
  EXPECT_THAT(importText(fake), HasSubstr("context = 4096>")); // Not all unless asked for.
}

TEST(ImporterTest, IgnoresDerivedBuffers) {
  FakeCheckpoint fake = FakeCheckpoint::deepseekV3();
  fake.tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = {DType::F32, {2}};
  EXPECT_NE(importText(fake), "");
}

TEST(ImporterTest, OneErrorNamesAllWrongTensors) {
  FakeCheckpoint fake = FakeCheckpoint::deepseekV3();
  fake.tensors.erase("model.norm.weight");
  fake.tensors.erase("model.layers.1.mlp.experts.3.up_proj.weight");
  fake.tensors["model.surprise.weight"] = {DType::BF16, {1}};
  fake.tensors["lm_head.weight"].shape = {16, 32};
  fake.tensors["model.layers.0.mlp.up_proj.weight"].dtype = DType::F16;
  absl::StatusOr<std::string> text = import(fake);
  for (const char *part :
       {"missing (2): model.layers.1.mlp.experts.3.up_proj.weight, model.norm.weight",
        "of another shape (1): lm_head.weight (found [16, 32], expected [32, 16])",
        "of another type (1): model.layers.0.mlp.up_proj.weight (found F16, expected BF16)",
        "not part of the model (1): model.surprise.weight"})
    expectError(text, kInvalid, part);
}

TEST(ImporterTest, CutsLongLists) {
  FakeCheckpoint fake = FakeCheckpoint::deepseekV3();
  std::erase_if(fake.tensors, [](auto &t) { return t.first.starts_with("model.layers.1."); });
  expectError(import(fake), kInvalid, ", and 18 more"); // 26 tensors, 8 of them named.
}

struct ConfigCase {
  const char *key;
  nlohmann::json value;
  absl::StatusCode code;
  const char *message;
};

TEST(ImporterTest, RefusesConfigurations) {
  const ConfigCase kCases[] = {
      {"model_type", "mamba", kUnsupported, "known models: deepseek_v2, deepseek_v3, glm4_moe"},
      {"quantization_config", {{"quant_method", "awq"}}, kUnsupported, "quantization_config"},
      {"quantization_config",
       {{"quant_method", "fp8"}, {"weight_block_size", {64, 64}}},
       kUnsupported,
       "weight_block_size"},
      {"torch_dtype", "float16", kUnsupported, "torch_dtype"},
      {"attention_bias", true, kUnsupported, "attention_bias"},
      {"hidden_act", "gelu", kUnsupported, "hidden_act"},
      {"topk_method", "greedy", kUnsupported, "topk_method"},
      {"scoring_func", "softmax", kUnsupported, "scoring_func"},
      {"hidden_size", 1ll << 60, kInvalid, "hidden_size"},
      {"num_hidden_layers", 0, kInvalid, "num_hidden_layers"},
      {"num_attention_heads", nullptr, kInvalid, "num_attention_heads is missing"},
      {"num_key_value_heads", 1, kInvalid, "num_key_value_heads"},
      {"qk_rope_head_dim", 3, kInvalid, "an even number"},
      {"n_group", 3, kInvalid, "n_group"},
      {"topk_group", 3, kInvalid, "topk_group"},
      {"num_experts_per_tok", 3, kInvalid, "num_experts_per_tok"},
      {"eos_token_id", "end", kInvalid, "eos_token_id"},
  };
  for (const ConfigCase &item : kCases) {
    FakeCheckpoint fake = FakeCheckpoint::deepseekV3();
    fake.config[item.key] = item.value;
    expectError(import(fake), item.code, item.message);
  }
}

TEST(ImporterTest, EndsWhereNothingFits) {
  FakeCheckpoint fake = FakeCheckpoint::deepseekV3();
  fake.config["num_hidden_layers"] = 1024;
  fake.config["n_routed_experts"] = 16384;
  fake.config["n_group"] = 1;
  // Not fifty million names.
  expectError(import(fake), kInvalid, "missing (4096)");
}

TEST(ImporterTest, SummarizesWhatItRead) {
  FakeCheckpoint fake = FakeCheckpoint::deepseekV3();
  fake.tensors.erase("model.layers.2.embed_tokens.weight");
  fake.tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = {DType::F32, {2}};
  fake.config["use_cache"] = true;
  fake.config["novel_gating"] = 3;
  fake.config["rope_scaling"] = {{"type", "default"}, {"twist", 2}};
  TestFolder folder;
  fake.write(folder.path());
  mlir::MLIRContext context;
  context.loadDialect<epi::EpiDialect, ep::EpDialect, exec::ExecDialect, mlir::func::FuncDialect>();
  auto checkpoint = Checkpoint::open(folder.path());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  auto model = importModel(context, *checkpoint, {});
  ASSERT_TRUE(model.ok()) << model.status();
  const ImportSummary &summary = model->summary;
  EXPECT_EQ(summary.family, "deepseek_v3");
  EXPECT_THAT(summary.settings, testing::Contains(testing::Pair("hidden_size", "16")));
  EXPECT_THAT(summary.settings,
              testing::Contains(testing::Pair("rope_scaling.type", "\"default\"")));
  EXPECT_THAT(summary.defaults, testing::Contains("norm_topk_prob"));
  EXPECT_THAT(summary.unread, testing::UnorderedElementsAre("novel_gating", "rope_scaling.twist"));
  EXPECT_EQ(summary.tensors, fake.tensors.size() - 1);
  EXPECT_THAT(summary.ignored,
              testing::ElementsAre("model.layers.0.self_attn.rotary_emb.inv_freq"));
  EXPECT_THAT(summary.shared, testing::ElementsAre("model.embed_tokens.weight"));
}

TEST(ImporterTest, FindsTheFamilyByArchitecture) {
  FakeCheckpoint fake = FakeCheckpoint::deepseekV3();
  fake.config.erase("model_type");
  EXPECT_NE(importText(fake), "");
  fake.config["architectures"] = {"NewestForCausalLM"};
  expectError(import(fake), kUnsupported, "architectures is [\"NewestForCausalLM\"]");
}

TEST(ImporterTest, SeveralPredictionLayers) {
  FakeCheckpoint fake = FakeCheckpoint::deepseekV3();
  fake.config["num_nextn_predict_layers"] = 2;
  EXPECT_THAT(importText(fake), HasSubstr("@mtp")); // The second one is not in the checkpoint.
  fake.tensors["model.layers.3.enorm.weight"] = {DType::BF16, {16}};
  expectError(import(fake), kUnsupported, "num_nextn_predict_layers");
}

TEST(ImporterTest, TruncatedCheckpoint) {
  TestFolder folder;
  FakeCheckpoint::deepseekV3().write(folder.path());
  std::filesystem::path file = folder.path() / "model.safetensors";
  std::filesystem::resize_file(file, std::filesystem::file_size(file) - 1);
  expectError(Checkpoint::open(folder.path()), kInvalid, "model.safetensors");
}

} // namespace
} // namespace epigraph
