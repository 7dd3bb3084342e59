"""DeepSeek-V3 at its full size, 671 billion parameters: its configuration, and an index of tensors
whose files have the right length and no content. Importing and compiling must not depend on the
weights' size.

Times are of processors, so that a busy machine fails no test; docs/performance.md has what a quiet
one takes.
"""

import json
import os
import pathlib
import struct
import subprocess

import pytest

from families.checkpoints import Layout
from fp8_checkpoint import BLOCK, QUANTIZATION, is_projection
from tools import BIN, run_tool

CONFIG = pathlib.Path(__file__).parent / "configs/deepseek-v3-671b.json"
SHARD_BYTES = 5 << 30


def tensors_of(config):
    """(name, dtype, bytes of an element, shape) of each tensor, in FP8 where `config` says so."""
    for name, tensor in Layout(config).tensors.items():
        if "quantization_config" in config and is_projection(name):
            yield name, "F8_E4M3", 1, tensor.shape
            yield name + "_scale_inv", "F32", 4, [-(-dim // BLOCK) for dim in tensor.shape]
        elif name.endswith("correction_bias"):
            yield name, "F32", 4, tensor.shape
        else:
            yield name, "BF16", 2, tensor.shape


def fabricate(folder, **changes):
    """config.json, and sparse shards with their index."""
    config = json.loads(CONFIG.read_text()) | changes
    (folder / "config.json").write_text(json.dumps(config))
    headers, size = [{}], 0
    for name, dtype, nbytes, shape in tensors_of(config):
        for dim in shape:
            nbytes *= dim
        if size + nbytes > SHARD_BYTES and headers[-1]:
            headers.append({})
            size = 0
        headers[-1][name] = {"dtype": dtype, "shape": list(shape),
                             "data_offsets": [size, size + nbytes]}
        size += nbytes
    weight_map, total = {}, 0
    for number, header in enumerate(headers, 1):
        file = f"model-{number:05}-of-{len(headers):05}.safetensors"
        text = json.dumps(header).encode()
        data = max(entry["data_offsets"][1] for entry in header.values())
        with open(folder / file, "wb") as shard:
            shard.write(struct.pack("<Q", len(text)) + text)
            shard.truncate(8 + len(text) + data)
        weight_map.update(dict.fromkeys(header, file))
        total += data
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return total


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("deepseek-v3")
    assert fabricate(folder) > 1.3e12
    return folder


def run(*arguments):
    """(seconds of processors, peak memory in bytes) of a program that must succeed."""
    process = subprocess.Popen([BIN / "epigraph-compile", *map(str, arguments)],
                               stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def test_import(model, tmp_path):
    seconds, memory = run(model, "--stop-after", "import", "-o", tmp_path / "import.mlir")
    print(f"import: {seconds:.2f} s, {memory / 2**20:.0f} MiB")
    assert seconds < 5
    assert memory < 300 << 20
    assert (tmp_path / "import.mlir").stat().st_size < 5 << 20


def test_all_kernels(model, tmp_path):
    """Up to code, for 64 ranks as such a model would need: the kernels of all 62 layers."""
    seconds, memory = run(model, "--ep", 64, "--stop-after", "codegen", "-o",
                          tmp_path / "codegen.mlir")
    print(f"codegen: {seconds:.2f} s, {memory / 2**20:.0f} MiB")
    assert seconds < 120
    assert memory < 2 << 30


@pytest.fixture(scope="module")
def fp8_model(tmp_path_factory):
    """As it is published: 688.6 GB in FP8, the prediction layer included."""
    folder = tmp_path_factory.mktemp("deepseek-v3-fp8")
    assert 6.8e11 < fabricate(folder, quantization_config=QUANTIZATION) < 7e11
    return folder


def test_fp8(fp8_model, tmp_path):
    """Sixteen ranks in groups of eight cut no block; the up-projection that attention takes apart is
    all that is dequantized."""
    partitioned = tmp_path / "partition.mlir"
    run(fp8_model, "--ep", 2, "--tp", 8, "--stop-after", "partition", "-o", partitioned)
    dequantized = [line for line in partitioned.read_text().splitlines() if "epi.dequantize" in line]
    assert dequantized
    assert all("kv_b_proj" in line for line in dequantized)


def test_fp8_blocks_that_many_ranks_would_cut(fp8_model, tmp_path):
    """18432 inner dimensions on 32 ranks: 576 each, four blocks and a half."""
    result = run_tool("epigraph-compile", fp8_model, "--tp", 32, "--stop-after", "partition", "-o",
                      tmp_path / "partition.mlir")
    assert result.returncode == 4
    assert "E0306" in result.stderr and "576" in result.stderr
