"""Small random checkpoints, one or more of each family, with fixed seeds."""

import dataclasses
import hashlib
import json

import numpy as np
import safetensors


def base(model_type, architecture, **changes):
    """What all configurations have."""
    return {
        "model_type": model_type, "architectures": [architecture], "hidden_act": "silu",
        "hidden_size": 48, "intermediate_size": 80, "num_hidden_layers": 3, "vocab_size": 96,
        "num_attention_heads": 4, "num_key_value_heads": 2, "rms_norm_eps": 1e-5,
        "rope_theta": 1000.0, "max_position_embeddings": 256, "tie_word_embeddings": False,
        "bos_token_id": 0, "eos_token_id": 1, "torch_dtype": "bfloat16", **changes,
    }


YARN = {"factor": 4.0, "original_max_position_embeddings": 32, "beta_fast": 8.0, "beta_slow": 1.0}

DEEPSEEK_V2 = base(
    "deepseek_v2", "DeepseekV2ForCausalLM", num_key_value_heads=4, kv_lora_rank=20,
    q_lora_rank=28, qk_nope_head_dim=12, qk_rope_head_dim=8, v_head_dim=10, n_routed_experts=12,
    n_shared_experts=2, moe_intermediate_size=24, first_k_dense_replace=1, moe_layer_freq=1,
    num_experts_per_tok=4, n_group=4, topk_group=2, topk_method="group_limited_greedy",
    scoring_func="softmax", routed_scaling_factor=1.5, norm_topk_prob=False,
    rope_scaling={"type": "yarn", "mscale": 0.7, "mscale_all_dim": 0.9, **YARN},
)

CONFIGS = {
    "deepseek_v2-grouped": DEEPSEEK_V2,
    "deepseek_v2-normalized": {**DEEPSEEK_V2, "q_lora_rank": None, "topk_method": "greedy",
                               "norm_topk_prob": True, "moe_layer_freq": 2},
    "llama-biased": base(
        "llama", "LlamaForCausalLM", attention_bias=True, mlp_bias=True, tie_word_embeddings=True,
        rope_scaling={"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
                      "high_freq_factor": 4.0, "original_max_position_embeddings": 64},
    ),
    "mixtral-sliding": base("mixtral", "MixtralForCausalLM", num_local_experts=8,
                            num_experts_per_tok=2, sliding_window=9, head_dim=16),
    "qwen2_moe": base(
        "qwen2_moe", "Qwen2MoeForCausalLM", num_experts=8, num_experts_per_tok=3,
        moe_intermediate_size=24, shared_expert_intermediate_size=40, norm_topk_prob=False,
        decoder_sparse_step=1, mlp_only_layers=[1], use_sliding_window=False,
    ),
    "qwen3": base("qwen3", "Qwen3ForCausalLM", head_dim=16, sliding_window=11,
                  layer_types=["full_attention", "sliding_attention", "full_attention"]),
    "qwen3_moe-sparse": base(
        "qwen3_moe", "Qwen3MoeForCausalLM", num_experts=8, num_experts_per_tok=2, head_dim=16,
        moe_intermediate_size=24, norm_topk_prob=True, decoder_sparse_step=2, mlp_only_layers=[],
    ),
    "olmoe": base("olmoe", "OlmoeForCausalLM", num_experts=8, num_experts_per_tok=3,
                  norm_topk_prob=False, clip_qkv=None, torch_dtype="float32"),
    "glm4_moe": base(
        "glm4_moe", "Glm4MoeForCausalLM", head_dim=16, attention_bias=True, use_qk_norm=True,
        n_routed_experts=8, n_shared_experts=1, moe_intermediate_size=24, n_group=2, topk_group=1,
        num_experts_per_tok=2, first_k_dense_replace=1, norm_topk_prob=True,
        routed_scaling_factor=2.5, num_nextn_predict_layers=1,
        rope_parameters={"rope_type": "default", "rope_theta": 1000.0,
                         "partial_rotary_factor": 0.5},
    ),
    "gpt_oss": base(
        "gpt_oss", "GptOssForCausalLM", head_dim=16, num_local_experts=8, num_experts_per_tok=3,
        intermediate_size=40, attention_bias=True, sliding_window=10, swiglu_limit=1.0,
        layer_types=["sliding_attention", "full_attention", "sliding_attention"],
        rope_parameters={"rope_type": "yarn", "rope_theta": 1000.0, "truncate": False, **YARN},
    ),
}


@dataclasses.dataclass
class Checkpoint:
    config: dict
    weights: dict  # name -> float64, as the file has them
    folder: object


@dataclasses.dataclass
class Tensor:
    """What a tensor is drawn from: a normal distribution."""
    shape: tuple
    scale: float
    around: float


class Layout:
    """All tensors of a checkpoint. Their scales keep activations near one at any depth."""

    def __init__(self, config):
        self.config = config
        self.tensors = {}
        lay_out(self)

    def add(self, name, *shape, scale=None, around=0.0):
        scale = shape[-1] ** -0.5 if scale is None else scale
        self.tensors[name] = Tensor(shape, scale, around)

    def norm(self, name, size):
        self.add(f"{name}.weight", size, scale=0.2, around=1.0)

    def linear(self, name, outputs, inputs, bias=False):
        self.add(f"{name}.weight", outputs, inputs)
        if bias:
            self.add(f"{name}.bias", outputs, scale=0.3)

    def swiglu(self, name, inner, bias=False, names=("gate_proj", "up_proj", "down_proj")):
        hidden = self.config["hidden_size"]
        for part, outputs, inputs in zip(names, (inner, inner, hidden), (hidden, hidden, inner)):
            self.linear(f"{name}.{part}", outputs, inputs, bias)

    def experts(self, name, count, inner, **options):
        for number in range(count):
            self.swiglu(f"{name}.experts.{number}", inner, **options)


def lay_out(layout):
    config = layout.config
    hidden, vocab = config["hidden_size"], config["vocab_size"]
    layout.add("model.embed_tokens.weight", vocab, hidden, scale=1.0)
    if not config["tie_word_embeddings"]:
        layout.linear("lm_head", vocab, hidden)
    layout.norm("model.norm", hidden)
    layers = config["num_hidden_layers"]
    predictions = config.get("num_nextn_predict_layers", 0)
    for layer in range(layers + predictions):
        name = f"model.layers.{layer}"
        layout.norm(f"{name}.input_layernorm", hidden)
        layout.norm(f"{name}.post_attention_layernorm", hidden)
        lay_out_attention(layout, f"{name}.self_attn")
        lay_out_feed_forward(layout, name, layer)
    if predictions:
        name = f"model.layers.{layers}"
        for part in ("enorm", "hnorm", "shared_head.norm"):
            layout.norm(f"{name}.{part}", hidden)
        layout.linear(f"{name}.eh_proj", hidden, 2 * hidden)
        layout.linear(f"{name}.shared_head.head", vocab, hidden)
        layout.add(f"{name}.embed_tokens.weight", vocab, hidden, scale=1.0)


def lay_out_attention(layout, name):
    config, hidden = layout.config, layout.config["hidden_size"]
    heads, key_heads = config["num_attention_heads"], config["num_key_value_heads"]
    if "kv_lora_rank" in config:
        rank, latent = config["q_lora_rank"], config["kv_lora_rank"]
        turned, value = config["qk_rope_head_dim"], config["v_head_dim"]
        columns = heads * (config["qk_nope_head_dim"] + turned)
        if rank:
            layout.linear(f"{name}.q_a_proj", rank, hidden)
            layout.norm(f"{name}.q_a_layernorm", rank)
            layout.linear(f"{name}.q_b_proj", columns, rank)
        else:
            layout.linear(f"{name}.q_proj", columns, hidden)
        layout.linear(f"{name}.kv_a_proj_with_mqa", latent + turned, hidden)
        layout.norm(f"{name}.kv_a_layernorm", latent)
        layout.linear(f"{name}.kv_b_proj", heads * (config["qk_nope_head_dim"] + value), latent)
        layout.linear(f"{name}.o_proj", hidden, heads * value)
        return
    dims, kind = config.get("head_dim") or hidden // heads, config["model_type"]
    bias = config.get("attention_bias", kind == "qwen2_moe")
    for part, count in (("q", heads), ("k", key_heads), ("v", key_heads)):
        layout.linear(f"{name}.{part}_proj", count * dims, hidden, bias)
    layout.linear(f"{name}.o_proj", hidden, heads * dims,
                  bias and kind not in ("qwen2_moe", "glm4_moe"))
    if kind in ("qwen3", "qwen3_moe", "glm4_moe"):
        layout.norm(f"{name}.q_norm", dims)
        layout.norm(f"{name}.k_norm", dims)
    elif kind == "olmoe":
        layout.norm(f"{name}.q_norm", heads * dims)
        layout.norm(f"{name}.k_norm", key_heads * dims)
    elif kind == "gpt_oss":
        layout.add(f"{name}.sinks", heads, scale=1.0)


def lay_out_feed_forward(layout, name, layer):
    config, hidden = layout.config, layout.config["hidden_size"]
    kind, inner = config["model_type"], config["intermediate_size"]
    if kind in ("llama", "qwen3"):
        layout.swiglu(f"{name}.mlp", inner, bias=config.get("mlp_bias", False))
    elif kind == "mixtral":
        layout.linear(f"{name}.block_sparse_moe.gate", config["num_local_experts"], hidden)
        layout.experts(f"{name}.block_sparse_moe", config["num_local_experts"], inner,
                       names=("w1", "w3", "w2"))
    elif kind == "gpt_oss":
        count = config["num_local_experts"]
        layout.linear(f"{name}.mlp.router", count, hidden, bias=True)
        layout.add(f"{name}.mlp.experts.gate_up_proj", count, hidden, 2 * inner,
                   scale=hidden ** -0.5)
        layout.add(f"{name}.mlp.experts.gate_up_proj_bias", count, 2 * inner, scale=0.3)
        layout.add(f"{name}.mlp.experts.down_proj", count, inner, hidden, scale=inner ** -0.5)
        layout.add(f"{name}.mlp.experts.down_proj_bias", count, hidden, scale=0.3)
    else:
        lay_out_mixture(layout, f"{name}.mlp", layer)


def lay_out_mixture(layout, name, layer):
    config, hidden = layout.config, layout.config["hidden_size"]
    kind = config["model_type"]
    count = config.get("num_experts") or config["n_routed_experts"]
    if "first_k_dense_replace" in config:
        dense = (layer < config["first_k_dense_replace"]
                 or layer % config.get("moe_layer_freq", 1) != 0)
    else:
        dense = (layer in config.get("mlp_only_layers", [])
                 or (layer + 1) % config.get("decoder_sparse_step", 1) != 0)
    if dense:
        layout.swiglu(name, config["intermediate_size"])
        return
    inner = config.get("moe_intermediate_size", config["intermediate_size"])
    layout.linear(f"{name}.gate", count, hidden)
    if kind in ("deepseek_v3", "glm4_moe"):
        layout.add(f"{name}.gate.e_score_correction_bias", count, scale=0.2)
    layout.experts(name, count, inner)
    if config.get("n_shared_experts"):
        layout.swiglu(f"{name}.shared_experts", inner * config["n_shared_experts"])
    if kind == "qwen2_moe":
        layout.swiglu(f"{name}.shared_expert", config["shared_expert_intermediate_size"])
        layout.linear(f"{name}.shared_expert_gate", 1, hidden)


def bfloat16_bits(values):
    """Rounded to nearest even, as bfloat16's bits."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def make(name, folder):
    """Writes checkpoint `name` into a folder of its own below `folder`, if it is not there."""
    config = CONFIGS[name]
    random = np.random.default_rng(list(name.encode()))
    entries, weights = {}, {}
    for tensor_name, tensor in Layout(config).tensors.items():
        values = tensor.around + tensor.scale * random.standard_normal(tensor.shape)
        # The correction of DeepSeek's router is in float32 in any checkpoint.
        if config["torch_dtype"] == "float32" or tensor_name.endswith("correction_bias"):
            data, dtype = values.astype(np.float32), "float32"
            weights[tensor_name] = data.astype(np.float64)
        else:
            data, dtype = bfloat16_bits(values), "bfloat16"
            weights[tensor_name] = (data.astype(np.uint32) << 16).view(np.float32).astype(float)
        entries[tensor_name] = {"dtype": dtype, "shape": list(values.shape),
                                "data": data.tobytes()}
    content = safetensors.serialize(entries)
    # Another content is another folder: artifacts are kept by its name.
    digest = hashlib.sha256(content + json.dumps(config).encode()).hexdigest()[:8]
    path = folder / f"{name}-{digest}"
    path.mkdir(parents=True, exist_ok=True)
    (path / "config.json").write_text(json.dumps(config, indent=2))
    (path / "model.safetensors").write_bytes(content)
    return Checkpoint(config, weights, path)
