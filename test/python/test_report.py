"""`epigraph compile --report[=json]`: what a step costs, by estimate."""

import json

import pytest

from tools import MODEL, run_tool


def report(tmp_path, *flags):
    result = run_tool("epigraph", "compile", MODEL, "-o", tmp_path / "x.epi", *flags,
                      "--report=json", check=True)
    return json.loads(result.stdout)


def steps(found):
    return {(work["function"], work["tokens"]): work for work in found["work"]}


def test_work_of_one_rank(tmp_path):
    found = report(tmp_path, "--max-batch-tokens", "64", "--max-seqs", "8", "--max-context", "1024")
    work = steps(found)
    assert set(work) >= {("main", 1), ("main", 64), ("mtp", 1), ("mtp", 64)}
    one, batch = work["main", 1], work["main", 64]
    assert (one["sequences"], batch["sequences"]) == (1, 8)
    assert one["context"] == batch["context"] == 512
    # A token's multiply-adds are at least those of the output projection: 2 * vocabulary * hidden.
    config = json.loads((MODEL / "config.json").read_text())
    assert one["flops"] > 2 * config["vocab_size"] * config["hidden_size"]
    # More tokens, more of everything; but weights are read once.
    assert batch["flops"] > 8 * one["flops"]
    assert one["weight_bytes"] < batch["weight_bytes"] < 2 * found["checkpoint_bytes"]
    # Entries of 512 positions and the token's own, in all layers of @main and no other.
    layers = config["num_hidden_layers"]
    entry = (config["kv_lora_rank"] + config["qk_rope_head_dim"]) * 2
    assert one["cache_bytes"] == layers * entry * (512 + 1)
    assert batch["cache_bytes"] == layers * entry * (8 * 512 + 64)
    assert one["collectives"] == batch["collectives"] == {}


def test_communication_of_two_ranks(tmp_path):
    work = steps(report(tmp_path, "--ep", "2", "--max-batch-tokens", "64"))["main", 64]
    exchanges = work["collectives"]
    assert {"scatter_experts", "gather_experts"} <= set(exchanges)
    for collective in exchanges.values():
        assert collective["count"] > 0 and collective["bytes"] > 0
        assert collective["messages"] >= collective["count"]
    config = json.loads((MODEL / "config.json").read_text())
    # 32 rows of each rank, for each of their experts; half of them go to the other rank.
    rows = 32 * config["num_experts_per_tok"] // 2
    layers = config["num_hidden_layers"] - config["first_k_dense_replace"]
    if exchanges["gather_experts"]["count"] == layers:  # batches are not split in two
        assert exchanges["gather_experts"]["bytes"] == layers * rows * config["hidden_size"] * 2


@pytest.mark.parametrize("flag", ["--report", "--report=text"])
def test_in_words(tmp_path, flag):
    text = run_tool("epigraph", "compile", MODEL, "-o", tmp_path / "x.epi", flag, check=True).stdout
    for part in ("step", "@main", "flop", "weights", "caches", "launches"):
        assert part in text


def test_unknown_form(tmp_path):
    result = run_tool("epigraph", "compile", MODEL, "-o", tmp_path / "x.epi", "--report=xml")
    assert result.returncode == 2 and "json" in result.stderr
    assert list(tmp_path.iterdir()) == []
