"""Optimisations change no family's numbers: all of them on, each left out alone, and none, float32
within 1e-5 of the golden or of the plain transformer, on the CPU and by the reference on the IR that
the CPU's kernels come from.

All families run with all optimisations and with none. A single optimisation is left out where
leaving it out makes a difference: the table OFF names families in which it has work of different
kinds to do; those that it does not name, which work on several ranks, are left out of ANY.
"""

import re

import numpy as np
import pytest
from safetensors.numpy import load_file

import epigraph
from families import checkpoints, plain
from tools import BUILD, GOLDENS, ROOT, relative_error

WITHIN = 1e-5
POSITIONS = 40

GOLDEN = ["deepseek_v2", "deepseek_v3", "llama", "mixtral", "qwen3_moe"]
RANDOM = list(checkpoints.CONFIGS)

# Optimisation -> families (random checkpoints have a name of their own).
OFF = {
    "epi-elide-dead-weights": ["deepseek_v3"],
    "canonicalize": ["deepseek_v2-grouped", "gpt_oss", "qwen2_moe"],
    "epi-eliminate-common": ["glm4_moe", "gpt_oss"],
    "epi-choose-attention-form": ["deepseek_v2", "deepseek_v3", "deepseek_v2-grouped"],
    "epi-specialize-phases": ["deepseek_v3", "deepseek_v2-normalized"],
    "epi-fuse-projections": ["deepseek_v3", "qwen2_moe", "gpt_oss", "qwen3"],
    "epi-fuse-swiglu": ["mixtral", "llama-biased", "qwen2_moe"],
    "epi-fuse-routing": ["deepseek_v2-grouped", "qwen3_moe", "glm4_moe", "gpt_oss"],
    "epi-elide-layout-changes": ["gpt_oss", "deepseek_v2"],
    "epi-fuse-linear-epilogue": ["llama-biased", "gpt_oss", "qwen2_moe"],
    "epi-fuse-residual-norm": ["llama", "glm4_moe"],
    "epi-form-fusion-groups": ["olmoe", "qwen2_moe", "glm4_moe"],
    "exec-deduplicate-kernels": ["mixtral", "gpt_oss"],
}
ANY = ["deepseek_v2"]


def optimizations():
    """Flags of what the pipeline says may be left out."""
    flags = {"Canonicalizer": "canonicalize"}
    for path in [*ROOT.glob("passes/*/Passes.td"), *ROOT.glob("codegen/*/Passes.td")]:
        flags |= dict(re.findall(r'def (\w+)Pass\s*:\s*Pass<"([\w-]+)"', path.read_text()))
    pipeline = (ROOT / "compiler/pipeline/Pipeline.cpp").read_text()
    return sorted({flags[name] for name in re.findall(r"optional\(create(\w+?)Pass\(", pipeline)})


@pytest.fixture(scope="module")
def models():
    """name -> (folder, ids, logits)"""
    made = {}

    def get(name):
        if name not in made:
            made[name] = golden(name) if name in GOLDEN else random(name)
        return made[name]

    def golden(name):
        expected = load_file(GOLDENS / name / "golden.safetensors")
        return GOLDENS / name, expected["input_ids"], expected["logits"]

    def random(name):
        checkpoint = checkpoints.make(name, BUILD / "test-checkpoints")
        ids = np.random.default_rng(5).integers(0, checkpoint.config["vocab_size"], POSITIONS)
        return checkpoint.folder, ids, plain.forward(checkpoint.config, checkpoint.weights, ids)[0]
    return get


def check(artifact, model):
    folder, ids, logits = model
    assert relative_error(epigraph.Session(artifact).logits(ids), logits) < WITHIN
    (last,) = (artifact.parent / "phases").glob("*-codegen.mlir")
    assert relative_error(epigraph.reference(last, folder).logits(ids), logits) < WITHIN


@pytest.mark.parametrize("name", GOLDEN + RANDOM)
def test_all(artifacts, models, name):
    model = models(name)
    check(artifacts.get(model=model[0], compute="float32"), model)


@pytest.mark.parametrize("name", GOLDEN + RANDOM)
def test_none(artifacts, models, name):
    model = models(name)
    check(artifacts.get(model=model[0], compute="float32", optimize="none"), model)


@pytest.mark.parametrize("flag,name", [
    (flag, name) for flag in optimizations() for name in OFF.get(flag, ANY)
])
def test_off_alone(artifacts, models, flag, name):
    model = models(name)
    check(artifacts.get(model=model[0], compute="float32", disable_pass=flag), model)


def test_the_table_names_optimizations():
    assert OFF.keys() <= set(optimizations())
