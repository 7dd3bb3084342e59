"""DeepSeek's FP8 checkpoints on the CPU target: weights dequantized in the kernels, activations wide.

The goldens are transformers' on dequantized float32 weights. The checkpoint is made here of the
bfloat16 one, whose FP8 form would be as large again; a digest holds it to the one that the goldens
were made with.
"""

import hashlib
import json

import numpy as np
import pytest

import epigraph
from fp8_checkpoint import e4m3_of_floats, quantize_checkpoint, read_tensors, write_tensors
from tools import GOLDENS, MODEL, relative_error, run_json, run_tool

CHECKPOINT_DIGEST = "409a9c28847cd5cc0253e32d713057a084f18b9f6a2dc665a49cffd5b663173e"
UNSUPPORTED, BAD_INPUT = 4, 3


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fp8") / "tiny-deepseek-v3-fp8"
    quantize_checkpoint(MODEL, folder)
    return folder


@pytest.fixture(scope="module")
def golden():
    """perplexity on eval.txt, and greedy continuations."""
    return json.loads((GOLDENS / "tiny-deepseek-v3/fp8.json").read_text())


@pytest.fixture(scope="module")
def artifact(artifacts, checkpoint):
    def compile(**options):
        return artifacts.get(model=checkpoint, **options)
    return compile


def test_e4m3_rounds_to_nearest_even():
    """Every code survives; halfway between two, the even one is taken; large numbers saturate."""
    codes = np.arange(0x7F, dtype=np.uint8)
    mantissa, exponent = codes & 7, (codes >> 3).astype(np.int32)
    values = np.where(exponent > 0, np.ldexp(8.0 + mantissa, exponent - 10),
                      np.ldexp(mantissa.astype(float), -9)).astype(np.float32)
    np.testing.assert_array_equal(e4m3_of_floats(values), codes)
    np.testing.assert_array_equal(e4m3_of_floats(-values), codes | 0x80)
    between = (values[:-1] + values[1:]) / 2
    np.testing.assert_array_equal(e4m3_of_floats(between), codes[:-1] + codes[:-1] % 2)
    np.testing.assert_array_equal(e4m3_of_floats(np.float32([448, 1e6])), [0x7E, 0x7E])


def test_the_checkpoint_is_the_goldens(checkpoint):
    digest = hashlib.sha256()
    for name, (dtype, shape, data) in sorted(read_tensors(checkpoint).items()):
        digest.update(f"{name} {dtype} {list(shape)} ".encode())
        digest.update(data)
    assert digest.hexdigest() == CHECKPOINT_DIGEST


def test_greedy_tokens(artifact, golden):
    session = epigraph.Session(artifact(compute="float32"))
    found = session.generate([case["input_ids"] for case in golden["greedy"]], max_tokens=48)
    assert found == [case["greedy_ids"] for case in golden["greedy"]]


@pytest.mark.parametrize("compute,within", [("float32", 1e-3), ("bf16", 5e-3)])
def test_perplexity(artifact, golden, eval_text, compute, within):
    result = epigraph.LLM(artifact(compute=compute)).perplexity(eval_text, window=1024)
    assert result.tokens == golden["tokens"]
    assert result.value == pytest.approx(golden["ppl"], rel=within)
    assert result.window_nll == pytest.approx(golden["window_nll"], rel=4 * within)


def test_quantized_activations(checkpoint, golden, eval_text, tmp_path):
    """What targets that multiply FP8 by FP8 compute, on the reference interpreter: activations lose
    bits, so perplexity moves, by less than a percent. Four windows' text, as tokens are not words.
    """
    graph, quantized = tmp_path / "graph.mlir", tmp_path / "quantized.mlir"
    run_tool("epigraph-compile", checkpoint, "--stop-after", "quantize", "-o", graph, check=True)
    run_tool("epigraph-opt", graph, "--epigraph-partition=fp8-activations=true", "-o", quantized,
             check=True)
    assert "epi.quantize" in quantized.read_text()
    text = tmp_path / "text"
    text.write_text(eval_text[:9000])
    found = run_json("epigraph-reference", quantized, "--model", checkpoint, "--text", text,
                     "--batch-tokens", "1024")["window_nll"]
    assert len(found) == 4
    expected = golden["window_nll"][:4]
    assert found != expected
    assert np.mean(found) == pytest.approx(np.mean(expected), abs=1e-2)


def test_rows_quantized_where_they_are_permuted(checkpoint, window, tmp_path):
    graph = tmp_path / "graph.mlir"
    run_tool("epigraph-compile", checkpoint, "--stop-after", "quantize", "-o", graph, check=True)
    partition = ["--epigraph-partition=fp8-activations=true", "--ep-decompose-dispatch"]
    apart = run_tool("epigraph-opt", graph, *partition, check=True).stdout
    fused = run_tool("epigraph-opt", "-", "--epi-fuse-permutation", input=apart, check=True).stdout
    assert '"route_permute_quantize"' in fused
    assert '"unpermute_add_rms_norm_quantize"' in fused
    ids = window["input_ids"][:64]
    expected = epigraph.reference(apart, checkpoint).logits(ids)
    np.testing.assert_array_equal(epigraph.reference(fused, checkpoint).logits(ids), expected)


@pytest.mark.parametrize("attention", ["replicated", "data"])
def test_ranks_give_the_bits_of_one(artifact, window, attention):
    one = epigraph.Session(artifact(compute="bf16"))
    two = epigraph.Session(artifact(compute="bf16", ep=2, attention=attention))
    ids, next_ids = window["input_ids"], window["next_ids"]
    np.testing.assert_array_equal(two.logits(ids), one.logits(ids))
    np.testing.assert_array_equal(two.mtp_logits(ids, next_ids), one.mtp_logits(ids, next_ids))


@pytest.mark.parametrize("target", ["cpu:x86-64-v3", "cpu:x86-64-v4"])
def test_named_targets(artifact, window, target):
    reference = epigraph.Session(artifact(compute="float32"))
    try:
        session = epigraph.Session(artifact(compute="bf16", target=target))
    except epigraph.UnsupportedError as error:
        assert "avx" in str(error)
        pytest.skip(f"counted, not run: {error}")
    ids = window["input_ids"]
    assert relative_error(session.logits(ids), reference.logits(ids)) < 2.5e-2


def test_no_dequantized_copy(artifact):
    """Of the projections, only what absorbed attention takes apart is stored wide."""
    tensors = read_tensors(artifact(compute="bf16") / "weights")
    wide = [name for name, (dtype, _, _) in tensors.items() if "_proj" in name
            and dtype == "BF16"]
    assert wide and all("kv_b_proj" in name or "eh_proj" in name for name in wide)
    experts = [name for name in tensors if ".experts." in name]
    assert {tensors[name][0] for name in experts} == {"F8_E4M3", "F32"}


def test_report_says_what_stays_dequantized(checkpoint, tmp_path):
    report = run_json("epigraph", "compile", checkpoint, "-o", tmp_path / "m.epi")
    (fold,) = (run for run in report["passes"] if run["pass"] == "epi-fold-dequantize")
    numbers = dict(fold["numbers"])
    assert int(numbers["folded"]) > 0
    assert int(numbers["dequantized"]) > 0


def test_a_cut_inside_a_block_is_refused(checkpoint, tmp_path):
    """q_b_proj has 288 outputs: half of them are a block and an eighth."""
    result = run_tool("epigraph", "compile", checkpoint, "-o", tmp_path / "m.epi", "--tp", "2")
    assert result.returncode == UNSUPPORTED
    assert "E0306" in result.stderr
    assert "288" in result.stderr or "144" in result.stderr
    assert not (tmp_path / "m.epi").exists()


QUANTIZATIONS = [
    ({"quant_method": "gptq"}, "quant_method"),
    ({"fmt": "e5m2"}, "fmt"),
    ({"weight_block_size": [64, 128]}, "weight_block_size"),
    ({"weight_block_size": None}, "weight_block_size"),
    ({"activation_scheme": "static"}, "activation_scheme"),
]


@pytest.fixture
def copied_checkpoint(checkpoint, tmp_path):
    """Its small files of one's own, and its tensors."""
    copy = tmp_path / "model"
    copy.mkdir()
    for path in checkpoint.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    return copy


def compile_fails(model, tmp_path, code):
    result = run_tool("epigraph", "compile", model, "-o", tmp_path / "m.epi")
    assert result.returncode == code, result.stderr
    return result.stderr


@pytest.mark.parametrize("change,key", QUANTIZATIONS)
def test_other_quantizations_are_refused(copied_checkpoint, tmp_path, change, key):
    config = json.loads((copied_checkpoint / "config.json").read_text())
    config["quantization_config"].update(change)
    (copied_checkpoint / "config.json").write_text(json.dumps(config))
    message = compile_fails(copied_checkpoint, tmp_path, UNSUPPORTED)
    assert key in message and "quantization_config" in message


def missing_scale(tensors, name):
    del tensors[name + "_scale_inv"]
    return name + "_scale_inv"


def short_scale(tensors, name):
    _, shape, data = tensors[name + "_scale_inv"]
    assert shape[1] > 1
    tensors[name + "_scale_inv"] = ("F32", (shape[0], shape[1] - 1), data[: -4 * shape[0]])
    return f"{name}_scale_inv (found [{shape[0]}, {shape[1] - 1}], expected [{shape[0]}, {shape[1]}])"


def wide_weight(tensors, name):
    _, shape, data = tensors[name]
    tensors[name] = ("BF16", shape, data * 2)
    return f"{name} (found BF16, expected F8_E4M3)"


@pytest.mark.parametrize("breaking", [missing_scale, short_scale, wide_weight],
                         ids=lambda breaking: breaking.__name__)
@pytest.mark.parametrize("name", ["model.layers.0.mlp.down_proj.weight",
                                  "model.layers.1.mlp.experts.3.gate_proj.weight"])
def test_wrong_tensors_are_named(copied_checkpoint, tmp_path, breaking, name):
    tensors = read_tensors(copied_checkpoint)
    expected = breaking(tensors, name)
    write_tensors(copied_checkpoint / "model.safetensors", tensors)
    assert expected in compile_fails(copied_checkpoint, tmp_path, BAD_INPUT)


def test_fp8_weights_without_a_configuration_are_refused(copied_checkpoint, tmp_path):
    config = json.loads((copied_checkpoint / "config.json").read_text())
    del config["quantization_config"]
    (copied_checkpoint / "config.json").write_text(json.dumps(config))
    assert "found F8_E4M3, expected BF16" in compile_fails(copied_checkpoint, tmp_path, BAD_INPUT)
