#include "test/compiler/FakeCheckpoint.h"

#include <fstream>

#include "gtest/gtest.h"

#include "runtime/artifact/SafetensorsWriter.h"

namespace epigraph {
namespace {

constexpr const char *kConfig = R"({
  "architectures": ["DeepseekV3ForCausalLM"], "model_type": "deepseek_v3", "torch_dtype": "bfloat16",
  "vocab_size": 32, "hidden_size": 16, "intermediate_size": 24, "moe_intermediate_size": 8,
  "num_hidden_layers": 2, "num_nextn_predict_layers": 1, "first_k_dense_replace": 1,
  "num_attention_heads": 2, "q_lora_rank": 12, "kv_lora_rank": 10, "qk_nope_head_dim": 6,
  "qk_rope_head_dim": 4, "v_head_dim": 5, "n_routed_experts": 4, "n_shared_experts": 2,
  "num_experts_per_tok": 2, "n_group": 2, "topk_group": 1, "max_position_embeddings": 128,
  "rms_norm_eps": 1e-5, "rope_theta": 500.0, "eos_token_id": [1, 3], "bos_token_id": 0
})";
constexpr uint64_t kHidden = 16, kVocab = 32;

} // namespace

void FakeCheckpoint::add(const std::string &name, std::vector<uint64_t> shape, DType dtype) {
  tensors[name] = {dtype, std::move(shape)};
}

void FakeCheckpoint::addLayer(int index, bool experts) {
  std::string layer = "model.layers." + std::to_string(index) + ".";
  add(layer + "input_layernorm.weight", {kHidden});
  add(layer + "post_attention_layernorm.weight", {kHidden});
  add(layer + "self_attn.q_a_proj.weight", {12, kHidden});
  add(layer + "self_attn.q_a_layernorm.weight", {12});
  add(layer + "self_attn.q_b_proj.weight", {2 * (6 + 4), 12});
  add(layer + "self_attn.kv_a_proj_with_mqa.weight", {10 + 4, kHidden});
  add(layer + "self_attn.kv_a_layernorm.weight", {10});
  add(layer + "self_attn.kv_b_proj.weight", {2 * (6 + 5), 10});
  add(layer + "self_attn.o_proj.weight", {kHidden, 2 * 5});
  auto addMlp = [&](const std::string &name, uint64_t inner) {
    add(layer + name + ".gate_proj.weight", {inner, kHidden});
    add(layer + name + ".up_proj.weight", {inner, kHidden});
    add(layer + name + ".down_proj.weight", {kHidden, inner});
  };
  if (!experts)
    return addMlp("mlp", 24);
  add(layer + "mlp.gate.weight", {4, kHidden});
  add(layer + "mlp.gate.e_score_correction_bias", {4}, DType::F32);
  for (int expert = 0; expert < 4; ++expert)
    addMlp("mlp.experts." + std::to_string(expert), 8);
  addMlp("mlp.shared_experts", 2 * 8);
}

FakeCheckpoint FakeCheckpoint::deepseekV3() {
  FakeCheckpoint result;
  result.config = nlohmann::json::parse(kConfig);
  result.add("model.embed_tokens.weight", {kVocab, kHidden});
  result.add("model.norm.weight", {kHidden});
  result.add("lm_head.weight", {kVocab, kHidden});
  result.addLayer(0, false);
  result.addLayer(1, true);
  result.addLayer(2, true);
  for (const char *name : {"enorm.weight", "hnorm.weight", "shared_head.norm.weight"})
    result.add(std::string("model.layers.2.") + name, {kHidden});
  result.add("model.layers.2.eh_proj.weight", {kHidden, 2 * kHidden});
  result.add("model.layers.2.embed_tokens.weight", {kVocab, kHidden});
  result.add("model.layers.2.shared_head.head.weight", {kVocab, kHidden});
  return result;
}

void FakeCheckpoint::write(const std::filesystem::path &directory) const {
  std::ofstream(directory / "config.json") << config.dump(2);
  std::vector<TensorDeclaration> declarations;
  uint64_t bytes = 0;
  for (const auto &[name, tensor] : tensors) {
    declarations.push_back({name, tensor.dtype, tensor.shape});
    uint64_t size = dtypeBytes(tensor.dtype);
    for (uint64_t dim : tensor.shape)
      size *= dim;
    bytes += size;
  }
  auto writer = SafetensorsWriter::create(directory / "model.safetensors", declarations);
  ASSERT_TRUE(writer.ok()) << writer.status();
  ASSERT_TRUE(writer->append(std::vector<uint8_t>(bytes)).ok());
  ASSERT_TRUE(writer->finish().ok());
}

} // namespace epigraph
