"""Artifacts and prompts that running a model refuses: exit code and message of each."""

import json

import pytest

import epigraph
from conftest import DEEPSEEK_V3
from tools import run_tool

BAD_INPUT, UNSUPPORTED, RESOURCES = 3, 4, 5


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
