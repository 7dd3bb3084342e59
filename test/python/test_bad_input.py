"""What Epigraph refuses: exit code and message of each, and that nothing is left behind."""

import json
import shutil
import struct

import pytest

import epigraph
from conftest import DEEPSEEK_V3
from tools import MODEL, run_tool

BAD_INPUT, UNSUPPORTED, RESOURCES = 3, 4, 5
SHARD = "model-00002-of-00002.safetensors"


@pytest.fixture
def checkpoint(tmp_path):
    """A checkpoint of one's own, to break."""
    copy = tmp_path / "model"
    shutil.copytree(MODEL, copy)
    return copy


def read_header(path):
    """(header, data) of a safetensors file."""
    content = path.read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + size]), content[8 + size :]


def write_header(path, header, data):
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def edit_config(checkpoint, **changes):
    path = checkpoint / "config.json"
    config = json.loads(path.read_text())
    config.update(changes)
    path.write_text(json.dumps({k: v for k, v in config.items() if v is not None}))


def truncated(checkpoint):
    path = checkpoint / SHARD
    path.write_bytes(path.read_bytes()[:-1000])
    return SHARD


def empty_shard(checkpoint):
    (checkpoint / SHARD).write_bytes(b"")
    return SHARD


def corrupt_header(checkpoint):
    content = bytearray((checkpoint / SHARD).read_bytes())
    content[8:20] = b"!not a json!"
    (checkpoint / SHARD).write_bytes(content)
    return SHARD


def huge_header(checkpoint):
    content = bytearray((checkpoint / SHARD).read_bytes())
    content[:8] = struct.pack("<Q", 1 << 60)
    (checkpoint / SHARD).write_bytes(content)
    return SHARD


def overlap(checkpoint):
    header, data = read_header(checkpoint / SHARD)
    names = [name for name in header if name != "__metadata__"]
    header[names[1]]["data_offsets"] = header[names[0]]["data_offsets"]
    header[names[1]]["shape"] = header[names[0]]["shape"]
    write_header(checkpoint / SHARD, header, data)
    return SHARD


def missing_shard(checkpoint):
    (checkpoint / SHARD).unlink()
    return SHARD


def missing_index(checkpoint):
    (checkpoint / "model.safetensors.index.json").unlink()
    return "model.safetensors"


def missing_config(checkpoint):
    (checkpoint / "config.json").unlink()
    return "config.json"


def config_is_no_json(checkpoint):
    (checkpoint / "config.json").write_text("{")
    return "config.json"


def path_traversal(checkpoint):
    path = checkpoint / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    index["weight_map"] = {name: f"../{shard}" for name, shard in index["weight_map"].items()}
    path.write_text(json.dumps(index))
    return "../"


def absurd_size(checkpoint):
    edit_config(checkpoint, hidden_size=1 << 62)
    return "hidden_size"


def negative_size(checkpoint):
    edit_config(checkpoint, num_hidden_layers=-3)
    return "num_hidden_layers"


def wrong_type(checkpoint):
    edit_config(checkpoint, vocab_size="many")
    return "vocab_size"


BROKEN = [truncated, empty_shard, corrupt_header, huge_header, overlap, missing_shard,
          missing_index, missing_config, config_is_no_json, path_traversal, absurd_size,
          negative_size, wrong_type]


def compile_fails(checkpoint, tmp_path, exit_code, *flags):
    """The message of a compilation that must fail as said, and leave nothing."""
    out = tmp_path / "out"
    out.mkdir()
    result = run_tool("epigraph", "compile", checkpoint, "-o", out / "x.epi", *flags, timeout=60)
    assert result.returncode == exit_code, result.stderr
    assert result.stdout == ""
    assert result.stderr.startswith("epigraph compile: error: ")
    assert list(out.iterdir()) == []
    with pytest.raises(epigraph.Error) as raised:
        options = dict(zip((flag.lstrip("-").replace("-", "_") for flag in flags[::2]), flags[1::2]))
        epigraph.compile(checkpoint, out / "x.epi", **options)
    assert raised.value.exit_code == exit_code
    assert str(raised.value) in result.stderr
    return result.stderr


@pytest.mark.parametrize("breaking", BROKEN, ids=lambda breaking: breaking.__name__)
def test_broken_checkpoint(checkpoint, tmp_path, breaking):
    names = breaking(checkpoint)
    assert names in compile_fails(checkpoint, tmp_path, BAD_INPUT)


def test_unknown_architecture(checkpoint, tmp_path):
    edit_config(checkpoint, architectures=["NewestForCausalLM"], model_type="newest")
    message = compile_fails(checkpoint, tmp_path, UNSUPPORTED)
    assert "NewestForCausalLM" in message
    assert "DeepseekV3ForCausalLM" in message  # what is known


def test_quantized_checkpoint(checkpoint, tmp_path):
    edit_config(checkpoint, quantization_config={"quant_method": "fp8"})
    assert "quantization_config" in compile_fails(checkpoint, tmp_path, UNSUPPORTED)


def test_one_error_names_all_wrong_tensors(checkpoint, tmp_path):
    """Missing, extra, of another shape, of another type: all in one message."""
    path = checkpoint / SHARD
    header, data = read_header(path)
    names = [name for name in header if name != "__metadata__"]
    matrices = [name for name in names if len(header[name]["shape"]) == 2]
    vectors = [name for name in names if len(header[name]["shape"]) == 1]
    missing, reshaped, retyped = matrices[0], matrices[1], vectors[0]
    header["surprise.weight"] = header.pop(missing)
    header[reshaped]["shape"] = header[reshaped]["shape"][::-1] + [1]
    header[retyped]["dtype"] = {"BF16": "I16", "F32": "I32"}[header[retyped]["dtype"]]
    write_header(path, header, data)
    index_path = checkpoint / "model.safetensors.index.json"
    index = json.loads(index_path.read_text())
    index["weight_map"]["surprise.weight"] = index["weight_map"].pop(missing)
    index_path.write_text(json.dumps(index))

    message = compile_fails(checkpoint, tmp_path, BAD_INPUT)
    for name in (missing, "surprise.weight", reshaped, retyped):
        assert name in message


def test_missing_model(tmp_path):
    assert "nowhere" in compile_fails(tmp_path / "nowhere", tmp_path, BAD_INPUT)


def test_unknown_target(tmp_path):
    message = compile_fails(MODEL, tmp_path, UNSUPPORTED, "--target", "cpu:pdp11")
    assert "pdp11" in message and "x86-64-v3" in message


def test_output_that_is_no_artifact_is_kept(tmp_path):
    (tmp_path / "mine.epi").mkdir()
    (tmp_path / "mine.epi/thesis.txt").write_text("years of work")
    result = run_tool("epigraph", "compile", MODEL, "-o", tmp_path / "mine.epi")
    assert result.returncode == BAD_INPUT
    assert "mine.epi" in result.stderr
    assert (tmp_path / "mine.epi/thesis.txt").read_text() == "years of work"
    assert [path.name for path in tmp_path.iterdir()] == ["mine.epi"]


# ---- artifacts -----------------------------------------------------------------------------------


def flip_last_byte(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def change_manifest(artifact, **changes):
    path = artifact / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest.update(changes)
    path.write_text(json.dumps(manifest))


def tampered_plan(artifact):
    flip_last_byte(artifact / "plan.fb")
    return "plan.fb"


def tampered_kernels(artifact):
    flip_last_byte(artifact / "kernels.so")
    return "kernels.so"


def short_weights(artifact):
    path = artifact / "weights/shared.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    return "weights/shared.safetensors"


def missing_weights(artifact):
    (artifact / "weights/shared.safetensors").unlink()
    return "weights/shared.safetensors"


def missing_manifest(artifact):
    (artifact / "manifest.json").unlink()
    return "manifest.json"


def newer_version(artifact):
    change_manifest(artifact, format_version=999)
    return "999"


def unknown_key(artifact):
    change_manifest(artifact, surprise=1)
    return "surprise"


def escaping_path(artifact):
    manifest = json.loads((artifact / "manifest.json").read_text())
    manifest["files"]["../outside"] = manifest["files"]["plan.fb"]
    (artifact / "manifest.json").write_text(json.dumps(manifest))
    return "../outside"


WRONG = [tampered_plan, tampered_kernels, short_weights, missing_weights, missing_manifest,
         newer_version, unknown_key, escaping_path]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.__name__)
def test_wrong_artifact(copied, wrong):
    names = wrong(copied)
    for command in (["run", copied, "--ids", "0"], ["inspect", copied]):
        result = run_tool("epigraph", *command)
        assert result.returncode == BAD_INPUT, result.stderr
        assert result.stdout == ""
        assert names in result.stderr
    with pytest.raises(epigraph.InvalidInputError) as raised:
        epigraph.Session(copied)
    assert names in str(raised.value)
    assert str(raised.value) in result.stderr


def test_tampered_weights_are_found_with_verify(copied):
    """Weights are large: their digest is checked on request."""
    manifest = json.loads((copied / "manifest.json").read_text())
    flip_last_byte(copied / "weights/shared.safetensors")
    result = run_tool("epigraph", "run", copied, "--ids", "0", "--max-tokens", "1", "--verify")
    assert result.returncode == BAD_INPUT
    assert "weights/shared.safetensors" in result.stderr
    assert manifest["files"]["weights/shared.safetensors"]["sha256"][:8] in result.stderr
    with pytest.raises(epigraph.InvalidInputError, match="shared.safetensors"):
        epigraph.Artifact(copied, verify=True)


def test_target_feature_that_this_machine_lacks(copied):
    manifest = json.loads((copied / "manifest.json").read_text())
    manifest["target"]["features"] += ["amx-tile-of-the-future"]
    (copied / "manifest.json").write_text(json.dumps(manifest))
    result = run_tool("epigraph", "run", copied, "--ids", "0")
    assert result.returncode == UNSUPPORTED
    assert "amx-tile-of-the-future" in result.stderr


def test_prompt_longer_than_the_context(artifacts):
    small = artifacts.get(compute="bf16", max_seqs=4, max_batch_tokens=48, max_context=256)
    ids = ",".join(["5"] * 257)
    result = run_tool("epigraph", "run", small, "--ids", ids)
    assert result.returncode == RESOURCES
    assert result.stdout.strip() == ""
    for part in ("257", "256", "--max-context"):
        assert part in result.stderr


def test_too_little_memory(bf16_artifact):
    result = run_tool("epigraph", "run", bf16_artifact, "--ids", "0", "--memory-pool-size", "1M")
    assert result.returncode == RESOURCES
    assert "memory" in result.stderr
    with pytest.raises(epigraph.ResourceError):
        epigraph.Session(bf16_artifact, memory_pool=1 << 20)


def test_token_outside_the_vocabulary(bf16_artifact):
    result = run_tool("epigraph", "run", bf16_artifact, "--ids", "0,2048")
    assert result.returncode == BAD_INPUT
    assert "2048" in result.stderr and "vocabulary" in result.stderr


def test_text_without_tokenizer(artifacts):
    artifact = artifacts.get(model=DEEPSEEK_V3, compute="bf16")
    result = run_tool("epigraph", "run", artifact, "--prompt", "hello")
    assert result.returncode == BAD_INPUT
    assert "tokenizer.json" in result.stderr
    with pytest.raises(epigraph.InvalidInputError, match="tokenizer.json"):
        epigraph.LLM(artifact)
