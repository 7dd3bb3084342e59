"""Starting from earlier IR, codes of refusals, and `epigraph explain`."""

import importlib.machinery
import importlib.util
import random
import re

import pytest

import epigraph
from tools import MODEL, ROOT, run_json, run_tool

PHASES = ["canonicalize", "fuse", "quantize", "sparsify", "partition", "schedule", "plan-memory",
          "codegen", "pack"]


def error_catalog():
    loader = importlib.machinery.SourceFileLoader("docs", str(ROOT / "scripts/generate-docs"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("docs", loader))
    loader.exec_module(module)
    return module.error_catalog()


@pytest.fixture(scope="module")
def dumped(artifacts):
    """An artifact for two ranks, and the folder of its phases' IR."""
    artifact = artifacts.get(compute="bf16", ep=2)
    return artifact, artifact.parent / "phases"


def files_of(artifact):
    return {path.relative_to(artifact): path.read_bytes()
            for path in sorted(artifact.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("phase", PHASES)
def test_starting_from_any_phase_gives_the_same_artifact(dumped, tmp_path, phase):
    artifact, folder = dumped
    before = sorted(path for path in folder.glob("*.mlir") if "kernels" not in path.name)
    run_tool("epigraph", "compile", MODEL, "-o", tmp_path / "x.epi", "--ep", "2",
             "--start-from", before[PHASES.index(phase)], "--start-phase", phase, check=True)
    assert files_of(tmp_path / "x.epi") == files_of(artifact)


def test_starting_from_python(dumped, tmp_path):
    artifact, folder = dumped
    epigraph.compile(MODEL, tmp_path / "x.epi", ep=2, start_from=folder / "02-fuse.mlir",
                     start_phase="quantize")
    assert files_of(tmp_path / "x.epi") == files_of(artifact)
    with pytest.raises(ValueError, match="need each other"):
        epigraph.compile(MODEL, tmp_path / "y.epi", start_from=folder / "02-fuse.mlir")


@pytest.mark.parametrize("seed", range(24))
def test_damaged_ir_never_crashes(dumped, tmp_path, seed):
    """A line lost, doubled or with another number: refused, or compiled as what it says."""
    _, folder = dumped
    rng = random.Random(seed)
    phase = rng.choice(["fuse", "schedule", "plan-memory", "codegen"])
    (path,) = [p for p in folder.glob(f"*-{PHASES[PHASES.index(phase) - 1]}.mlir")] \
        if phase != "canonicalize" else [folder / "00-import.mlir"]
    lines = path.read_text().splitlines()
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(lines))
        change = rng.choice(["lose", "double", "number"])
        if change == "lose":
            del lines[at]
        elif change == "double":
            lines.insert(at, lines[at])
        else:
            lines[at] = re.sub(r"\d+", lambda m: str(rng.choice([0, 1, -1, 7, 2**40, int(m[0]) + 1])),
                               lines[at], count=1)
    damaged = tmp_path / "damaged.mlir"
    damaged.write_text("\n".join(lines))
    result = run_tool("epigraph", "compile", MODEL, "-o", tmp_path / "x.epi", "--ep", "2",
                      "--start-from", damaged, "--start-phase", phase, cwd=tmp_path)
    assert result.returncode in (0, 1, 2, 3, 4), result.stderr
    assert "crashed" not in result.stderr and "PLEASE submit" not in result.stderr


REFUSALS = [
    (["compile", MODEL, "-o", "x.epi", "--ep", "5"], "E0302", 4),
    (["compile", MODEL, "-o", "x.epi", "--target", "cpu:pdp11"], "E0303", 4),
    (["compile", MODEL, "-o", "x.epi", "--max-context", "5000"], "E0109", 2),
    (["compile", MODEL, "-o", "x.epi", "--disable-pass=dinner"], "E0103", 2),
    (["compile", MODEL, "-o", "x.epi", "--disable-pass=exec-hoist-weights"], "E0104", 2),
    (["compile", MODEL, "-o", "x.epi", "--compute", "fp3"], "E0101", 2),
    (["compile", MODEL, "-o", "."], "E0107", 3),
    (["compile", MODEL, "-o", "absent/x.epi"], "E0108", 3),
    (["compile", "absent", "-o", "x.epi"], "E0201", 3),
    (["compile", ".", "-o", "x.epi"], "E0202", 3),
    (["run", "absent.epi", "--ids", "0"], "E0501", 3),
    (["run", "ARTIFACT", "--ids", "0,99999999"], "E0603", 3),
    (["run", "ARTIFACT", "--ids", ",".join(["5"] * 5000)], "E0601", 5),
    (["run", "ARTIFACT", "--ids", "0", "--memory-pool-size", "1M"], "E0507", 5),
    (["run", "ARTIFACT"], "E0101", 2),
    (["run", "ARTIFACT", "--ids", "0", "--peer-memory", "moon"], "E0101", 2),
    (["explain", "E9999"], "E0111", 2),
]


@pytest.mark.parametrize("arguments,code,exit_code", REFUSALS, ids=lambda value: str(value)[:40])
def test_refusals_have_codes(bf16_artifact, tmp_path, arguments, code, exit_code):
    arguments = [bf16_artifact if part == "ARTIFACT" else part for part in arguments]
    result = run_tool("epigraph", *arguments, cwd=tmp_path)
    assert re.search(rf"error: \[{code}\] ", result.stderr), result.stderr
    assert result.returncode == exit_code
    assert list(tmp_path.iterdir()) == []


def test_exceptions_have_codes(tmp_path):
    with pytest.raises(epigraph.UnsupportedError) as caught:
        epigraph.compile(MODEL, tmp_path / "x.epi", ep=5)
    assert caught.value.code == "E0302" and caught.value.exit_code == 4
    assert "[E0302]" not in str(caught.value)
    assert epigraph.Error("anything").code is None


def test_explain():
    catalog = error_catalog()
    assert run_json("epigraph", "explain", "--list") == catalog
    for entry in catalog[:3]:
        text = run_tool("epigraph", "explain", entry["code"], check=True).stdout
        for key in ("code", "cause", "remedy", "example"):
            assert entry[key] in text
    assert run_json("epigraph", "explain", "e0302")["code"] == "E0302"
