"""Every model family: against transformers where there are goldens, else against the plain
transformer of families/plain.py, on the reference interpreter and on the CPU.

Tolerances as in test_goldens_cpu.py.
"""

import json
import struct

import numpy as np
import pytest
from safetensors.numpy import load_file

import epigraph
from families import checkpoints, plain
from tools import BUILD, GOLDENS, relative_error, run_tool

LOGITS_WITHIN = {"float32": 1e-5, "bf16": 2.5e-2}
WITH_GOLDENS = ["deepseek_v2", "deepseek_v3", "llama", "mixtral", "qwen3_moe"]
# More than a page of the caches.
POSITIONS = 70
GENERATED = 6

golden_family = pytest.mark.parametrize("family", WITH_GOLDENS)
random_model = pytest.mark.parametrize("name", checkpoints.CONFIGS)


@pytest.fixture(scope="session")
def golden():
    def load(family):
        return GOLDENS / family, load_file(GOLDENS / family / "golden.safetensors")
    return load


@pytest.fixture(scope="session")
def random_checkpoint():
    made = {}

    def get(name):
        if name not in made:
            made[name] = checkpoints.make(name, BUILD / "test-checkpoints")
        return made[name]
    return get


@pytest.fixture(scope="session")
def plain_results(random_checkpoint):
    """name -> (ids, logits, hidden, greedy continuation) of the plain transformer."""
    made = {}

    def get(name):
        if name not in made:
            checkpoint = random_checkpoint(name)
            config, weights = checkpoint.config, checkpoint.weights
            ids = np.random.default_rng(5).integers(0, config["vocab_size"], POSITIONS)
            logits, hidden = plain.forward(config, weights, ids)
            made[name] = ids, logits, hidden, plain.greedy(config, weights, ids, GENERATED)
        return made[name]
    return get


def reference_of(artifact, model):
    return epigraph.reference(artifact.parent / "phases/00-import.mlir", model)


def check(session, ids, logits, greedy):
    """Logits of all positions at once and then one by one, and the greedy continuation."""
    assert relative_error(session.logits(ids), logits) < LOGITS_WITHIN["float32"]
    sequence = session.add_sequence()
    half = len(ids) // 2
    rows = [session.step({sequence: ids[:half]})[sequence]]
    rows += [session.step({sequence: [token]})[sequence] for token in ids[half:]]
    session.close_sequence(sequence)
    assert relative_error(np.stack(rows), logits[half - 1:]) < LOGITS_WITHIN["float32"]
    assert session.generate([ids], max_tokens=len(greedy)) == [list(greedy)]


# With goldens.


@golden_family
def test_golden_on_the_reference(artifacts, golden, family):
    model, expected = golden(family)
    session = reference_of(artifacts.get(model=model, compute="float32"), model)
    check(session, expected["input_ids"], expected["logits"], expected["greedy_ids"])


@golden_family
def test_golden_on_the_cpu(artifacts, golden, family):
    model, expected = golden(family)
    session = epigraph.Session(artifacts.get(model=model, compute="float32"))
    check(session, expected["input_ids"], expected["logits"], expected["greedy_ids"])


@golden_family
def test_golden_in_bf16(artifacts, golden, family):
    """Routers are untrained: rounding now and then moves a token to another expert, and its logits
    are then off by far (test_goldens_cpu.py). All others are within the tolerance."""
    model, expected = golden(family)
    found = epigraph.Session(artifacts.get(model=model, compute="bf16")).logits(
        expected["input_ids"]
    )
    errors = [relative_error(*rows) for rows in zip(found, expected["logits"])]
    rerouted = [error for error in errors if error > 2 * LOGITS_WITHIN["bf16"]]
    assert len(rerouted) <= len(errors) // 10
    assert np.median(errors) < LOGITS_WITHIN["bf16"]


@pytest.mark.parametrize("ranks,attention", [(2, "replicated"), (4, "data")])
@pytest.mark.parametrize("family", [name for name in WITH_GOLDENS if name != "llama"])
def test_golden_on_ranks(artifacts, golden, family, ranks, attention):
    """Experts spread over ranks give the bits of one rank."""
    model, expected = golden(family)
    one = epigraph.Session(artifacts.get(model=model, compute="float32"))
    many = epigraph.Session(
        artifacts.get(model=model, compute="float32", ep=ranks, attention=attention)
    )
    ids = expected["input_ids"]
    np.testing.assert_array_equal(many.logits(ids), one.logits(ids))
    assert many.generate([ids], max_tokens=16) == [expected["greedy_ids"].tolist()]


# Without.


def read_bf16(path):
    """The tensors of a safetensors file of bfloat16, in double precision."""
    content = path.read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    tensors = {}
    for name, entry in json.loads(content[8:8 + size]).items():
        if name == "__metadata__":
            continue
        first, last = (8 + size + offset for offset in entry["data_offsets"])
        if entry["dtype"] == "F32":
            values = np.frombuffer(content[first:last], np.float32)
        else:
            bits = np.frombuffer(content[first:last], np.uint16).astype(np.uint32) << 16
            values = bits.view(np.float32)
        tensors[name] = values.reshape(entry["shape"]).astype(np.float64)
    return tensors


@golden_family
def test_the_plain_transformer_agrees_with_transformers(golden, family):
    model, expected = golden(family)
    config = json.loads((model / "config.json").read_text())
    logits, _ = plain.forward(config, read_bf16(model / "model.safetensors"),
                              expected["input_ids"])
    assert relative_error(logits, expected["logits"]) < LOGITS_WITHIN["float32"]


@random_model
def test_random_on_the_reference(artifacts, random_checkpoint, plain_results, name):
    model = random_checkpoint(name).folder
    ids, logits, _, greedy = plain_results(name)
    check(reference_of(artifacts.get(model=model, compute="float32"), model), ids, logits, greedy)


@random_model
def test_random_on_the_cpu(artifacts, random_checkpoint, plain_results, name):
    ids, logits, _, greedy = plain_results(name)
    artifact = artifacts.get(model=random_checkpoint(name).folder, compute="float32")
    check(epigraph.Session(artifact), ids, logits, greedy)


@pytest.mark.parametrize("name", ["gpt_oss", "glm4_moe", "qwen2_moe"])
def test_random_on_ranks(artifacts, random_checkpoint, plain_results, name):
    """Biases, shared experts and stacked tensors of experts, spread over ranks."""
    ids, logits, _, greedy = plain_results(name)
    artifact = artifacts.get(model=random_checkpoint(name).folder, compute="float32", ep=4,
                             attention="data")
    check(epigraph.Session(artifact), ids, logits, greedy)


@pytest.mark.parametrize("target", ["reference", "cpu"])
def test_prediction_layer_of_glm(artifacts, random_checkpoint, plain_results, target):
    checkpoint = random_checkpoint("glm4_moe")
    ids, _, hidden, _ = plain_results("glm4_moe")
    next_ids = np.roll(ids, -1)
    expected = plain.prediction(checkpoint.config, checkpoint.weights, hidden, next_ids)
    artifact = artifacts.get(model=checkpoint.folder, compute="float32")
    session = (epigraph.Session(artifact) if target == "cpu"
               else reference_of(artifact, checkpoint.folder))
    assert session.has_mtp
    found = session.mtp_logits(ids, next_ids)
    assert relative_error(found, expected) < LOGITS_WITHIN["float32"]


# Refusals.

BAD_INPUT, UNSUPPORTED = 3, 4
# Checkpoint, changed settings, exit code, what the message says.
REFUSED = [
    ("deepseek_v2-grouped", {"topk_method": "noaux_tc"}, UNSUPPORTED, "topk_method"),
    ("deepseek_v2-grouped", {"scoring_func": "sigmoid"}, UNSUPPORTED, "scoring_func"),
    ("deepseek_v2-grouped", {"n_group": 5}, BAD_INPUT, "n_group"),
    ("deepseek_v2-grouped", {"num_experts_per_tok": 7}, BAD_INPUT, "3 experts of each of 2 groups"),
    ("deepseek_v2-grouped", {"mlp_bias": True}, UNSUPPORTED, "mlp_bias"),
    ("llama-biased", {"hidden_act": "gelu"}, UNSUPPORTED, "hidden_act"),
    ("llama-biased", {"num_key_value_heads": 3}, BAD_INPUT, "a divisor of num_attention_heads (4)"),
    ("llama-biased", {"hidden_size": 50}, BAD_INPUT, "head_dim"),
    ("llama-biased", {"rope_scaling": {"rope_type": "dynamic", "factor": 2}}, UNSUPPORTED, "rope_type"),
    ("llama-biased", {"rope_scaling": {"rope_type": "llama3", "factor": 2}}, BAD_INPUT, "low_freq_factor"),
    ("mixtral-sliding", {"num_experts_per_tok": 9}, BAD_INPUT, "at most the number of experts, 8"),
    ("mixtral-sliding", {"sliding_window": 0}, BAD_INPUT, "sliding_window"),
    ("mixtral-sliding", {"head_dim": 15}, BAD_INPUT, "even number"),
    ("qwen2_moe", {"use_sliding_window": True}, UNSUPPORTED, "give layer_types"),
    ("qwen2_moe", {"mlp_only_layers": [9]}, BAD_INPUT, "mlp_only_layers"),
    ("qwen2_moe", {"shared_expert_intermediate_size": None}, BAD_INPUT, "is missing"),
    ("qwen3", {"layer_types": ["full_attention"]}, BAD_INPUT, "one for each of 3 layers"),
    ("qwen3", {"layer_types": ["full_attention", "chunked", "full_attention"]}, UNSUPPORTED,
     "layer_types"),
    ("qwen3", {"sliding_window": None}, BAD_INPUT, "sliding_window is missing"),
    ("qwen3_moe-sparse", {"num_experts": 0}, BAD_INPUT, "num_experts"),
    ("olmoe", {"clip_qkv": 8.0}, UNSUPPORTED, "clip_qkv"),
    ("glm4_moe", {"scoring_func": "softmax"}, UNSUPPORTED, "scoring_func"),
    ("glm4_moe", {"n_group": 8}, BAD_INPUT, "2 or more in a group"),
    ("glm4_moe", {"rope_parameters": {"partial_rotary_factor": 1.5}}, BAD_INPUT,
     "partial_rotary_factor"),
    ("gpt_oss", {"rope_parameters": None}, BAD_INPUT, "rope_scaling is missing"),
    ("gpt_oss", {"swiglu_limit": -1}, BAD_INPUT, "swiglu_limit"),
    ("gpt_oss", {"quantization_config": {"quant_method": "mxfp4"}}, UNSUPPORTED,
     "give a checkpoint in bfloat16"),
]


@pytest.mark.parametrize("name,changes,code,message", REFUSED)
def test_refused(random_checkpoint, tmp_path, name, changes, code, message):
    """Said from the settings alone, before a tensor is missed."""
    checkpoint = random_checkpoint(name)
    (tmp_path / "model.safetensors").symlink_to(checkpoint.folder / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({**checkpoint.config, **changes}))
    result = run_tool("epigraph-compile", tmp_path, "--stop-after", "import")
    assert result.returncode == code, result.stderr
    assert message in result.stderr
    assert "not part of the model" not in result.stderr
