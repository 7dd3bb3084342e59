"""`epigraph bisect` on the small model: nothing where nothing is wrong, and a mistake by name."""

import json

import pytest
from safetensors.numpy import load_file

from tools import BUILD, MODEL, run_tool

DIVERGENCE = 10
PLUGIN = BUILD / "test/compiler/bisect/epigraph_planted_wrong_fold.so"
LIMITS = ["--max-batch-tokens", "16", "--max-seqs", "4"]


def bisect(*arguments, cwd):
    return run_tool("epigraph", "bisect", MODEL, *LIMITS, *arguments, "--json", cwd=cwd)


@pytest.mark.parametrize("flags", [[], ["--compute", "float32"], ["--ep", "2"],
                                   ["--optimize", "none"]])
def test_nothing_is_wrong(flags, tmp_path):
    result = bisect(*flags, cwd=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    found = json.loads(result.stdout)
    assert found["divergence"] is None
    assert found["phases"] >= 8
    assert found["kernels"] > 10 or found["kernels_skipped"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("phase", ["canonicalize", "fuse"])
def test_a_planted_wrong_fold_is_named(phase, tmp_path):
    """A plugin's pass makes one norm wrong in layer 1."""
    planted = "test-wrong-fold{op=epi.rms_norm mistake=eps location=model.layers.1}@" + phase
    result = bisect(f"--load-pass-plugin={PLUGIN}", f"--insert-pass={planted}", cwd=tmp_path)
    assert result.returncode == DIVERGENCE, result.stdout + result.stderr
    found = json.loads(result.stdout)["divergence"]
    assert found["kind"] == "pass"
    assert (found["phase"], found["pass"]) == (phase, "test-wrong-fold")
    assert found["op"] == "epi.rms_norm"
    assert found["location"].startswith("model.layers.1")
    assert found["distance"]["relative"] > found["tolerance"]
    saved = tmp_path / "epigraph-bisect"
    assert {"operand.0", "actual.0"} <= set(load_file(saved / "values.safetensors"))
    assert run_tool("epigraph-opt", saved / "op.mlir").returncode == 0
    # The saved modules run on the reference, and disagree.
    logits = {}
    for name in ("before", "after"):
        run_tool("epigraph-reference", saved / f"{name}.mlir", "--model", MODEL, "--ids", "5,7,9",
                 "--logits", tmp_path / f"{name}.safetensors", check=True)
        logits[name] = load_file(tmp_path / f"{name}.safetensors")["logits"]
    assert abs(logits["before"] - logits["after"]).max() > 1e-2


def test_says_it_in_words(tmp_path):
    planted = "test-wrong-fold{op=epi.rms_norm mistake=eps location=model.layers.1}@canonicalize"
    result = run_tool("epigraph", "bisect", MODEL, *LIMITS, f"--load-pass-plugin={PLUGIN}",
                      f"--insert-pass={planted}", "--ids", "5,7,9,11", "--save", "here",
                      cwd=tmp_path)
    assert result.returncode == DIVERGENCE, result.stderr
    for part in ("test-wrong-fold", "canonicalize", "epi.rms_norm at model.layers.1", "here"):
        assert part in result.stdout


@pytest.mark.parametrize("flags,code", [
    (["--ids", "x"], 3), (["--ids", "99999999"], 3), (["--tolerance", "-1"], 2),
    (["--ids", "1", "--text", "x"], 2), (["--kernels", "nowhere.so"], 3),
])
def test_refusals(flags, code, tmp_path):
    result = bisect(*flags, cwd=tmp_path)
    assert result.returncode == code
    assert "epigraph bisect: error:" in result.stderr
    assert list(tmp_path.iterdir()) == []
