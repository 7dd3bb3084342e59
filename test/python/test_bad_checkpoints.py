"""Checkpoints and options that `epigraph compile` refuses: exit code and message of each, the same
from Python, and nothing left behind."""

import json
import shutil
import struct

import pytest

import epigraph
from tools import MODEL, run_tool

BAD_INPUT, UNSUPPORTED = 3, 4
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
    assert "newest" in message
    assert "deepseek_v3" in message  # what is known


def test_quantized_checkpoint(checkpoint, tmp_path):
    edit_config(checkpoint, quantization_config={"quant_method": "awq"})
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
