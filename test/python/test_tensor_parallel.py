"""Groups of ranks that share projections, heads and experts: the tokens of one rank.

Sums over ranks are in another order than those of one rank, so logits agree within the tolerance of
transformers' goldens and not to the bit. Where experts lie changes nothing at all.
"""

import json

import numpy as np
import pytest

from safetensors.numpy import load_file

import epigraph
from tools import GOLDENS, MODEL, relative_error, run_json, run_tool

GRIDS = [(1, 1), (2, 1), (1, 2), (2, 2), (4, 2)]
LOGITS_WITHIN = {"float32": 1e-5, "bf16": 2.5e-2}


@pytest.fixture(scope="module")
def session(artifacts):
    def load(ep, tp, attention="replicated", compute="float32", **options):
        return epigraph.Session(
            artifacts.get(compute=compute, ep=ep, tp=tp, attention=attention, **options)
        )
    return load


def expect_goldens(session, window, greedy, within, tokens=16):
    ids = window["input_ids"]
    assert relative_error(session.logits(ids), window["logits"]) < within
    mtp = session.mtp_logits(ids, window["next_ids"])
    assert relative_error(mtp, window["mtp_logits"]) < within
    prompts = [case["input_ids"] for case in greedy]
    found = session.generate(prompts, max_tokens=tokens)
    assert found == [case["greedy_ids"][:tokens] for case in greedy]


@pytest.mark.parametrize("attention", ["replicated", "data"])
@pytest.mark.parametrize("ep,tp", GRIDS)
def test_grids(session, window, greedy, ep, tp, attention):
    found = session(ep, tp, attention)
    assert found.ranks == ep * tp
    expect_goldens(found, window, greedy, LOGITS_WITHIN["float32"])


@pytest.mark.parametrize("mode", ["column", "row", "2d"])
def test_modes(session, window, greedy, mode):
    expect_goldens(session(2, 2, tp_mode=mode), window, greedy, LOGITS_WITHIN["float32"])


@pytest.mark.parametrize("ep,tp", [(1, 2), (2, 2), (1, 4)])
@pytest.mark.parametrize("family", ["llama", "mixtral", "qwen3_moe", "deepseek_v2"])
def test_families(artifacts, family, ep, tp):
    """Grouped-query attention has two heads of keys and values here: of four members, two hold the
    same one."""
    golden = load_file(GOLDENS / family / "golden.safetensors")
    found = epigraph.Session(
        artifacts.get(model=GOLDENS / family, compute="float32", ep=ep, tp=tp)
    )
    ids = golden["input_ids"].reshape(-1).tolist()
    logits = golden["logits"].reshape(len(ids), -1)
    assert relative_error(found.logits(ids), logits) < LOGITS_WITHIN["float32"]
    expected = golden["greedy_ids"].reshape(-1).tolist()
    assert found.generate([ids], max_tokens=len(expected)) == [expected]


def test_bf16(session, window):
    found = session(2, 2, compute="bf16").logits(window["input_ids"])
    assert relative_error(found, window["logits"]) < LOGITS_WITHIN["bf16"]


@pytest.mark.parametrize("ep,tp", GRIDS)
def test_reference(artifacts, window, ep, tp):
    """The IR that the artifact was made of, on the reference."""
    made = artifacts.get(compute="float32", ep=ep, tp=tp, attention="replicated")
    ir = next((made.parent / "phases").glob("*-schedule.mlir"))
    found = epigraph.reference(ir, MODEL).logits(window["input_ids"])
    assert relative_error(found, window["logits"]) < LOGITS_WITHIN["float32"]


def test_memory_falls(artifacts):
    """A member of a group of two has half of the experts' bytes and of the projections' that are
    cut; embeddings, norms, routers and latent projections stay whole."""
    one, two = (run_json("epigraph", "inspect", artifacts.get(compute="float32", ep=2, tp=tp,
                                                              attention="replicated"))
                for tp in (1, 2))

    def of_rank(inspected):
        memory = inspected["memory"]
        return memory["shared_weight_bytes"] + memory["weight_bytes"][0]
    assert of_rank(two) < 0.62 * of_rank(one)


@pytest.mark.parametrize("tp", [4, 5])
def test_heads_must_divide(tmp_path, tp):
    result = run_tool("epigraph", "compile", MODEL, "-o", tmp_path / "x.epi", "--tp", tp)
    assert result.returncode == 4
    assert "heads" in result.stderr or "dimension" in result.stderr
    assert "choose a number of ranks that divides" in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def expert_load(tmp_path_factory, artifacts):
    """The load of a passage, as the how-to records it."""
    folder = tmp_path_factory.mktemp("load")
    ir, path = folder / "model.mlir", folder / "load.json"
    run_tool("epigraph", "compile", MODEL, "--stop-after", "canonicalize", "-o", ir, check=True)
    ids = ",".join(str(i % 512) for i in range(96))
    run_tool("epigraph-reference", ir, "--model", MODEL, "--ids", ids,
             "--max-tokens", 1, "--record-expert-load", path, check=True)
    return path


def test_recorded_load(expert_load):
    load = json.loads(expert_load.read_text())
    assert load["format"] == "epigraph-expert-load"
    layers = load["layers"]
    assert "model.layers.1.mlp" in layers
    for counts in layers.values():
        assert len(counts) == 32
        assert sum(counts) % 4 == 0 and sum(counts) > 0  # four experts a token


@pytest.mark.parametrize("ep,redundant", [(2, 0), (4, 0), (4, 8)])
def test_placement_changes_nothing(artifacts, tmp_path, expert_load, window, ep, redundant):
    ids = window["input_ids"]
    plain = epigraph.Session(artifacts.get(compute="bf16", ep=ep, attention="replicated"))
    placed = tmp_path / "placed.epi"
    report = run_json("epigraph", "compile", MODEL, "-o", placed, "--ep", ep, "--expert-load",
                      expert_load, "--redundant-experts", redundant)
    numbers = dict(next(entry["numbers"] for entry in report["passes"]
                        if entry["pass"] == "ep-place-experts"))
    assert int(numbers["layers"]) > 0
    assert (int(numbers["max-over-mean-permille"])
            <= int(numbers["max-over-mean-permille-before"]))
    np.testing.assert_array_equal(epigraph.Session(placed).logits(ids), plain.logits(ids))


def test_bad_load_file(tmp_path):
    path = tmp_path / "load.json"
    path.write_text('{"format": "epigraph-expert-load", "version": 2, "layers": {}}')
    result = run_tool("epigraph", "compile", MODEL, "-o", tmp_path / "x.epi", "--ep", 2,
                      "--expert-load", path)
    assert result.returncode == 3
    assert "version" in result.stderr
