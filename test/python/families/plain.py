"""A plain transformer: every family in numpy, double precision, without caches.

It is written from the papers and from transformers' modeling files, shares nothing with Epigraph,
and reads a checkpoint's `config.json` and tensors by itself. It is what families without goldens
are compared with, so it does one thing after the other and nothing cleverly.
"""

import numpy as np

LATENT_NORM_EPS = 1e-6


def forward(config, weights, ids):
    """(logits, hidden states after the last norm) of every position."""
    ids = np.asarray(ids)
    x = weights["model.embed_tokens.weight"][ids]
    for layer in range(config["num_hidden_layers"]):
        x = decoder_layer(config, weights, x, layer)
    hidden = rms_norm(x, weights["model.norm.weight"], config["rms_norm_eps"])
    return hidden @ head(config, weights).T, hidden


def prediction(config, weights, hidden, next_ids):
    """Logits of the multi-token-prediction layer, which comes after the others."""
    layer = config["num_hidden_layers"]
    name, eps = f"model.layers.{layer}", config["rms_norm_eps"]
    table = weights.get(f"{name}.embed_tokens.weight", weights["model.embed_tokens.weight"])
    both = [
        rms_norm(table[np.asarray(next_ids)], weights[f"{name}.enorm.weight"], eps),
        rms_norm(hidden, weights[f"{name}.hnorm.weight"], eps),
    ]
    x = np.concatenate(both, -1) @ weights[f"{name}.eh_proj.weight"].T
    x = decoder_layer(config, weights, x, layer)
    x = rms_norm(x, weights[f"{name}.shared_head.norm.weight"], eps)
    return x @ weights.get(f"{name}.shared_head.head.weight", head(config, weights)).T


def greedy(config, weights, ids, count):
    """The `count` most likely tokens, one after the other."""
    ids = list(ids)
    for _ in range(count):
        ids.append(int(forward(config, weights, ids)[0][-1].argmax()))
    return ids[-count:]


def head(config, weights):
    tied = config.get("tie_word_embeddings", False)
    return weights["model.embed_tokens.weight" if tied else "lm_head.weight"]


def decoder_layer(config, weights, x, layer):
    layer_weights = within(weights, f"model.layers.{layer}")
    eps = config["rms_norm_eps"]
    normed = rms_norm(x, layer_weights["input_layernorm.weight"], eps)
    x = x + attention(config, within(layer_weights, "self_attn"), normed, layer)
    normed = rms_norm(x, layer_weights["post_attention_layernorm.weight"], eps)
    return x + feed_forward(config, layer_weights, normed, layer)


# Pieces.


def within(weights, prefix):
    """The tensors below `prefix`, by the rest of their names."""
    return {name.removeprefix(prefix + "."): tensor for name, tensor in weights.items()
            if name.startswith(prefix + ".")}


def rms_norm(x, weight, eps):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * weight


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    exps = np.exp(x - x.max(-1, keepdims=True))
    return exps / exps.sum(-1, keepdims=True)


def linear(weights, name, x):
    y = x @ weights[f"{name}.weight"].T
    return y + weights[f"{name}.bias"] if f"{name}.bias" in weights else y


def swiglu(weights, x, gate="gate_proj", up="up_proj", down="down_proj"):
    gated = linear(weights, gate, x)
    return linear(weights, down, gated * sigmoid(gated) * linear(weights, up, x))


# Positions.


def rope_parameters(config):
    """The settings, in whichever spelling."""
    if config.get("rope_parameters"):
        return dict(config["rope_parameters"])
    scaling = dict(config.get("rope_scaling") or {})
    scaling.setdefault("rope_type", scaling.get("type", "default"))
    scaling["rope_theta"] = config.get("rope_theta", 10000.0)
    return scaling


def mscale(factor, amount):
    return 1.0 if factor <= 1 else 0.1 * amount * np.log(factor) + 1.0


def rope_frequencies(config, dims):
    """(frequency of each pair, what cosines and sines are multiplied with)"""
    rope = rope_parameters(config)
    frequencies = rope["rope_theta"] ** (-np.arange(0, dims, 2) / dims)
    kind = rope.get("rope_type", "default")
    if kind == "llama3":
        turns = rope["original_max_position_embeddings"] * frequencies / (2 * np.pi)
        low, high = rope["low_freq_factor"], rope["high_freq_factor"]
        keep = np.clip((turns - low) / (high - low), 0, 1)
        return frequencies * (keep + (1 - keep) / rope["factor"]), 1.0
    if kind == "yarn":
        def pair_that_turns(times):
            wavelength = rope["original_max_position_embeddings"] / times
            return dims * np.log(wavelength / (2 * np.pi)) / (2 * np.log(rope["rope_theta"]))
        first = pair_that_turns(rope.get("beta_fast", 32))
        last = pair_that_turns(rope.get("beta_slow", 1))
        if rope.get("truncate", True):
            first, last = np.floor(first), np.ceil(last)
        first, last = max(first, 0), min(last, dims - 1)
        keep = 1 - np.clip((np.arange(dims // 2) - first) / max(last - first, 1e-3), 0, 1)
        factor = rope["factor"]
        magnitude = mscale(factor, 1)
        if rope.get("mscale") and rope.get("mscale_all_dim"):
            magnitude = mscale(factor, rope["mscale"]) / mscale(factor, rope["mscale_all_dim"])
        return frequencies * (keep + (1 - keep) / factor), magnitude
    assert kind == "default", kind
    return frequencies, 1.0


def rotate(config, x, dims, interleaved):
    """Turns the first `dims` of the last dimension of x [tokens, ..., columns]."""
    frequencies, magnitude = rope_frequencies(config, dims)
    angles = np.arange(len(x))[:, None] * frequencies
    angles = angles.reshape(len(x), *[1] * (x.ndim - 2), dims // 2)
    turns = magnitude * np.exp(1j * angles)
    y = x.copy()
    if interleaved:
        first, second = slice(0, dims, 2), slice(1, dims, 2)
    else:
        first, second = slice(0, dims // 2), slice(dims // 2, dims)
    turned = (x[..., first] + 1j * x[..., second]) * turns
    y[..., first], y[..., second] = turned.real, turned.imag
    return y


# Attention.


def attention(config, weights, x, layer):
    if "kv_lora_rank" in config:
        return latent_attention(config, weights, x)
    heads, key_heads = config["num_attention_heads"], config["num_key_value_heads"]
    dims = config.get("head_dim") or config["hidden_size"] // heads
    eps = config["rms_norm_eps"]
    part = config.get("partial_rotary_factor", 0.5 if config["model_type"] == "glm4_moe" else 1.0)
    whole_norm = config["model_type"] == "olmoe"

    def project(name, norm, count):
        y = linear(weights, name, x)
        if norm in weights and whole_norm:
            y = rms_norm(y, weights[norm], eps)
        y = y.reshape(len(x), count, dims)
        if norm in weights and not whole_norm:
            y = rms_norm(y, weights[norm], eps)
        return y

    q = rotate(config, project("q_proj", "q_norm.weight", heads), int(dims * part), False)
    k = rotate(config, project("k_proj", "k_norm.weight", key_heads), int(dims * part), False)
    v = project("v_proj", None, key_heads)
    k, v = (np.repeat(y, heads // key_heads, axis=1) for y in (k, v))
    scores = np.einsum("qhd,khd->hqk", q, k) / np.sqrt(dims)
    out = weigh(scores, v, window_of(config, layer), weights.get("sinks"))
    return linear(weights, "o_proj", out)


def latent_attention(config, weights, x):
    heads, latent = config["num_attention_heads"], config["kv_lora_rank"]
    nope, turned = config["qk_nope_head_dim"], config["qk_rope_head_dim"]
    if config.get("q_lora_rank"):
        q = rms_norm(linear(weights, "q_a_proj", x), weights["q_a_layernorm.weight"],
                     LATENT_NORM_EPS)
        q = linear(weights, "q_b_proj", q)
    else:
        q = linear(weights, "q_proj", x)
    q = q.reshape(len(x), heads, nope + turned)
    compressed = linear(weights, "kv_a_proj_with_mqa", x)
    c = rms_norm(compressed[:, :latent], weights["kv_a_layernorm.weight"], LATENT_NORM_EPS)
    kv = linear(weights, "kv_b_proj", c).reshape(len(x), heads, -1)
    q_turned = rotate(config, q[..., nope:], turned, True)
    k_turned = rotate(config, compressed[:, latent:], turned, True)
    scores = np.einsum("qhd,khd->hqk", q[..., :nope], kv[..., :nope])
    scores += np.einsum("qhd,kd->hqk", q_turned, k_turned)
    scale = (nope + turned) ** -0.5
    rope = rope_parameters(config)
    if rope.get("mscale_all_dim"):
        scale *= mscale(rope["factor"], rope["mscale_all_dim"]) ** 2
    return linear(weights, "o_proj", weigh(scores * scale, kv[..., nope:], None, None))


def weigh(scores, values, window, sinks):
    """[tokens, heads * dims] the values [tokens, heads, dims] that each token's scores choose."""
    tokens = scores.shape[-1]
    distance = np.arange(tokens)[:, None] - np.arange(tokens)
    seen = (distance >= 0) & (distance < (window or tokens))
    scores = np.where(seen, scores, -np.inf)
    if sinks is not None:
        column = np.broadcast_to(sinks[:, None, None], (*scores.shape[:2], 1))
        scores = np.concatenate([scores, column], -1)
    shares = softmax(scores)[..., :tokens]
    return np.einsum("hqk,khd->qhd", shares, values).reshape(tokens, -1)


def window_of(config, layer):
    """Positions that a token of the layer sees, or None."""
    if config.get("layer_types"):
        slides = config["layer_types"][layer] == "sliding_attention"
    elif config["model_type"] == "gpt_oss":
        slides = layer % 2 == 0
    elif config["model_type"] == "qwen3":
        slides = config.get("use_sliding_window") and layer >= config["max_window_layers"]
    else:
        slides = config.get("use_sliding_window", config["model_type"] == "mixtral")
    return config.get("sliding_window") if slides else None


# Feed-forward networks.


def feed_forward(config, layer_weights, x, layer):
    kind = config["model_type"]
    if kind == "mixtral":
        weights = within(layer_weights, "block_sparse_moe")
        return mixture(weights, x, *softmax_route(config, weights["gate.weight"], x, True),
                       names=("w1", "w3", "w2"))
    weights = within(layer_weights, "mlp")
    if kind == "gpt_oss":
        return gpt_oss_experts(config, weights, x)
    if "gate.weight" not in weights:
        return swiglu(weights, x)
    if kind in ("deepseek_v2", "deepseek_v3", "glm4_moe"):
        route = group_limited_route if kind == "deepseek_v2" else corrected_route
        out = mixture(weights, x, *route(config, weights, x))
        if config.get("n_shared_experts"):
            out = out + swiglu(within(weights, "shared_experts"), x)
        return out
    normalize = config.get("norm_topk_prob", False)
    out = mixture(weights, x, *softmax_route(config, weights["gate.weight"], x, normalize))
    if kind == "qwen2_moe":
        share = sigmoid(linear(weights, "shared_expert_gate", x))
        out = out + share * swiglu(within(weights, "shared_expert"), x)
    return out


def best(scores, count):
    """Numbers of the `count` highest of each row; the lower one of two that are equal."""
    return np.argsort(-scores, axis=-1, kind="stable")[:, :count]


def softmax_route(config, gate, x, normalize):
    scores = softmax(x @ gate.T)
    chosen = best(scores, config["num_experts_per_tok"])
    shares = np.take_along_axis(scores, chosen, -1)
    return chosen, shares / shares.sum(-1, keepdims=True) if normalize else shares


def best_groups(choice, groups, top_groups, score):
    """`choice` with -inf for experts outside the best groups."""
    grouped = choice.reshape(len(choice), groups, -1)
    kept = best(score(grouped), top_groups)
    mask = np.full(grouped.shape, -np.inf)
    for row, numbers in enumerate(kept):
        mask[row, numbers] = 0
    return (grouped + mask).reshape(choice.shape)


def group_limited_route(config, weights, x):
    """DeepSeek-V2's, in both its methods."""
    scores = softmax(x @ weights["gate.weight"].T)
    choice = scores
    if config["topk_method"] == "group_limited_greedy":
        choice = best_groups(scores, config["n_group"], config["topk_group"],
                             lambda grouped: grouped.max(-1))
    chosen = best(choice, config["num_experts_per_tok"])
    shares = np.take_along_axis(scores, chosen, -1)
    if config.get("norm_topk_prob"):
        return chosen, shares / shares.sum(-1, keepdims=True)
    return chosen, shares * config["routed_scaling_factor"]


def corrected_route(config, weights, x):
    """DeepSeek-V3's: the correction moves the choice and not the shares."""
    scores = sigmoid(x @ weights["gate.weight"].T)
    choice = best_groups(scores + weights["gate.e_score_correction_bias"], config["n_group"],
                         config["topk_group"], lambda grouped: np.sort(grouped)[..., -2:].sum(-1))
    chosen = best(choice, config["num_experts_per_tok"])
    shares = np.take_along_axis(scores, chosen, -1)
    if config["norm_topk_prob"]:
        shares = shares / shares.sum(-1, keepdims=True)
    return chosen, shares * config["routed_scaling_factor"]


def mixture(weights, x, chosen, shares, names=("gate_proj", "up_proj", "down_proj")):
    experts = {number: within(weights, f"experts.{number}") for number in np.unique(chosen)}
    rows = [
        sum(share * swiglu(experts[number], row[None], *names)[0]
            for number, share in zip(numbers, row_shares))
        for row, numbers, row_shares in zip(x, chosen, shares)
    ]
    return np.stack(rows)


def gpt_oss_experts(config, weights, x):
    scores = linear(weights, "router", x)
    chosen = best(scores, config["num_experts_per_tok"])
    shares = softmax(np.take_along_axis(scores, chosen, -1))
    experts = within(weights, "experts")
    limit, alpha = config.get("swiglu_limit", 7.0), config.get("swiglu_alpha", 1.702)
    out = np.zeros_like(x)
    for row, token in enumerate(x):
        for number, share in zip(chosen[row], shares[row]):
            both = token @ experts["gate_up_proj"][number] + experts["gate_up_proj_bias"][number]
            gate, up = np.minimum(both[::2], limit), np.clip(both[1::2], -limit, limit)
            inner = (up + 1) * gate * sigmoid(alpha * gate)
            result = inner @ experts["down_proj"][number] + experts["down_proj_bias"][number]
            out[row] += share * result
    return out
