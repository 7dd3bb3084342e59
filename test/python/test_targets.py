"""Targets that users describe: doctor's own output, other machines, and refusals."""

import json

import pytest

from tools import MODEL, run_json, run_tool

OTHER = {"name": "other", "isa": {"base": "x86-64-v4", "features": ["avx512bf16"]},
         "cores": 64, "memory": {"gbps": 200}, "links": {"gbps": 50, "latency_ns": 2000}}


@pytest.fixture(scope="module")
def this_machine():
    return run_json("epigraph", "doctor")


def test_doctor_measures(this_machine):
    assert this_machine["cores"] >= 1
    assert this_machine["memory"]["gbps"] > 0.1 and this_machine["memory"]["bytes"] > 2**28
    assert this_machine["launch_ns"] > 0 and this_machine["links"]["latency_ns"] > 0
    if "avx2" in this_machine["isa"]["features"]:
        assert this_machine["peak"]["f32_gflops"] > 1
    assert this_machine["isa"]["base"].startswith("x86-64")


def test_doctor_for_people():
    text = run_tool("epigraph", "doctor", check=True).stdout
    for part in ("processor", "GB/s", "libraries", "cuda", "nccl", "mpi"):
        assert part in text


def test_what_doctor_prints_is_a_target(this_machine, tmp_path):
    this_machine["name"] = "here"
    (tmp_path / "here.json").write_text(json.dumps(this_machine))
    ir = run_tool("epigraph", "compile", MODEL, "--target", "here.json", "--stop-after", "import",
                  cwd=tmp_path, check=True).stdout
    assert '#exec.target<name = "cpu:here"' in ir
    assert f"launch_ns = {this_machine['launch_ns']}" in ir


def test_compiles_for_a_machine_that_is_not_this_one(this_machine, tmp_path):
    """And refuses to load it here, by the names of what this machine lacks."""
    (tmp_path / "other.json").write_text(json.dumps(OTHER))
    run_tool("epigraph", "compile", MODEL, "-o", "x.epi", "--target", "./other.json", cwd=tmp_path,
             check=True)
    target = run_json("epigraph", "inspect", tmp_path / "x.epi")["target"]
    assert target["name"] == "cpu:other"
    assert {"avx512f", "avx512bf16"} <= set(target["features"])
    result = run_tool("epigraph", "run", tmp_path / "x.epi", "--ids", "0,5,7", "--max-tokens", "1")
    missing = set(target["features"]) - set(this_machine["isa"]["features"])
    if missing:
        assert result.returncode == 4
        for feature in missing:
            assert feature in result.stderr
    else:
        assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("change,complaint", [
    ({"cores": 0}, "cores: expected 1 to 65536, found 0"),
    ({"core": 2}, "core: unknown key; expected one of name, isa, cores"),
    ({"memory": {"gbps": -3}}, "memory.gbps: expected 1e-6 to 1e9"),
    ({"isa": {}}, "isa.base: missing"),
])
def test_bad_descriptions(tmp_path, change, complaint):
    (tmp_path / "bad.json").write_text(json.dumps(OTHER | change))
    result = run_tool("epigraph", "compile", MODEL, "-o", "x.epi", "--target", "bad.json",
                      cwd=tmp_path)
    assert result.returncode == 3
    assert complaint in result.stderr and "E0305" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["bad.json"]


def test_descriptions_that_no_kernel_runs_on(tmp_path):
    for isa, complaint in [({"base": "x86-64-v2"}, "lacks avx"), ({"base": "z80"}, "isa.base"),
                           ({"base": "x86-64-v3", "features": ["warp"]}, "warp"),
                           ({"base": "x86-64-v3", "vector_bits": 512}, "vector_bits")]:
        (tmp_path / "bad.json").write_text(json.dumps({"name": "bad", "isa": isa}))
        result = run_tool("epigraph", "compile", MODEL, "-o", "x.epi", "--target", "bad.json",
                          cwd=tmp_path)
        assert result.returncode == 4
        assert complaint in result.stderr
