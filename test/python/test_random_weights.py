"""`--weights random:SEED`: artifacts without weights, which the runtime makes when it loads them.

The reference interpreter makes the same numbers of the same seed (`--random-weights`), tensor by tensor
of a checkpoint; so a float32 artifact agrees with it wherever weights are tensors as they are.
"""

import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file

from fp8_checkpoint import QUANTIZATION
from tools import MODEL, relative_error, run_json, run_tool

IDS = "0,17,999,3,1024,77,5,1500"
USAGE, BAD_INPUT = 2, 3


@pytest.fixture(scope="module")
def described(tmp_path_factory):
    """A folder with nothing but a description."""
    folder = tmp_path_factory.mktemp("described") / "tiny"
    folder.mkdir()
    shutil.copy(MODEL / "config.json", folder)
    return folder


@pytest.fixture(scope="module")
def described_fp8(tmp_path_factory):
    folder = tmp_path_factory.mktemp("described") / "tiny-fp8"
    folder.mkdir()
    config = json.loads((MODEL / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"quantization_config": QUANTIZATION}))
    return folder


def compile_random(model, output, *flags, seed=1):
    run_tool("epigraph", "compile", model, "--weights", f"random:{seed}", "-o", output, *flags,
             check=True)
    return output


def logits_of(artifact, folder):
    file = folder / "logits.safetensors"
    run_tool("epigraph", "run", artifact, "--ids", IDS, "--max-tokens", 0, "--logits", file,
             check=True)
    return load_file(file)["logits"]


def test_logits_are_those_of_the_reference(described, tmp_path):
    artifact = compile_random(described, tmp_path / "tiny.epi", "--compute", "float32",
                              "--dump-phases", tmp_path / "phases")
    expected = tmp_path / "expected.safetensors"
    run_tool("epigraph-reference", tmp_path / "phases/00-import.mlir", "--random-weights", 1,
             "--ids", IDS, "--logits", expected, check=True)
    assert relative_error(logits_of(artifact, tmp_path), load_file(expected)["logits"]) < 1e-4


@pytest.mark.parametrize("axis", ["--ep", "--tp"])
def test_ranks_have_parts_of_the_same_weights(described, tmp_path, axis):
    one = compile_random(described, tmp_path / "one.epi", "--compute", "float32")
    two = compile_random(described, tmp_path / "two.epi", "--compute", "float32", axis, 2)
    assert relative_error(logits_of(two, tmp_path), logits_of(one, tmp_path)) < 1e-5


def test_fp8_is_finite_and_repeats_itself(described_fp8, tmp_path):
    artifact = compile_random(described_fp8, tmp_path / "fp8.epi", "--ep", 2)
    logits = logits_of(artifact, tmp_path)
    assert np.isfinite(logits).all()
    assert 0.1 < logits.std() < 10
    np.testing.assert_array_equal(logits_of(artifact, tmp_path), logits)


def test_other_seeds_give_other_weights(described, tmp_path):
    one, two = (logits_of(compile_random(described, tmp_path / f"{seed}.epi", seed=seed), tmp_path)
                for seed in (1, 2))
    assert np.abs(one - two).max() > 0.1


def test_artifacts_hold_no_matrices(described, tmp_path):
    artifact = compile_random(described, tmp_path / "tiny.epi", "--ep", 2)
    weights = run_json("epigraph", "inspect", artifact)["memory"]["shared_weight_bytes"]
    assert sum(file.stat().st_size for file in (artifact / "weights").iterdir()) < weights / 4
    assert "random weights of seed 1" in run_tool("epigraph", "inspect", artifact, "--plan").stdout


def test_a_config_may_have_any_name(tmp_path):
    config = tmp_path / "some-model.json"
    shutil.copy(MODEL / "config.json", config)
    compile_random(config, tmp_path / "tiny.epi")


def test_bad_input(described, tmp_path):
    def refused(*arguments):
        return run_tool("epigraph", "compile", *arguments, "-o", tmp_path / "refused.epi")

    for text in ("random", "random:", "random:-1", "random:1x", "zero"):
        result = refused(described, "--weights", text)
        assert result.returncode == USAGE and f"'{text}' is not random:SEED" in result.stderr
    result = refused(tmp_path / "nothing", "--weights", "random:1")
    assert result.returncode == BAD_INPUT
    assert "is neither a config.json nor a folder that holds one" in result.stderr
    result = refused(described)  # Without the flag, weights are wanted.
    assert result.returncode == BAD_INPUT and "holds neither" in result.stderr
