"""Any number of ranks, in both attention modes, gives the bits of one rank."""

import numpy as np
import pytest

import epigraph
from tools import MODEL, run_tool

MODES = [(ranks, attention) for ranks in (2, 4, 8) for attention in ("replicated", "data")]
every_mode = pytest.mark.parametrize("ranks,attention", MODES)


@pytest.fixture(scope="module")
def one_rank(bf16_artifact):
    return epigraph.Session(bf16_artifact)


@pytest.fixture(scope="module")
def many_ranks(artifacts):
    def load(ranks, attention):
        return epigraph.Session(artifacts.get(compute="bf16", ep=ranks, attention=attention))
    return load


@every_mode
def test_same_logits(one_rank, many_ranks, window, ranks, attention):
    session = many_ranks(ranks, attention)
    assert session.ranks == ranks
    ids, next_ids = window["input_ids"], window["next_ids"]
    np.testing.assert_array_equal(session.logits(ids), one_rank.logits(ids))
    np.testing.assert_array_equal(
        session.mtp_logits(ids, next_ids), one_rank.mtp_logits(ids, next_ids)
    )


@every_mode
def test_same_tokens(one_rank, many_ranks, greedy, ranks, attention):
    prompts = [case["input_ids"] for case in greedy]
    expected = one_rank.generate(prompts, max_tokens=16)
    assert many_ranks(ranks, attention).generate(prompts, max_tokens=16) == expected


@every_mode
def test_skewed_and_empty_experts(one_rank, many_ranks, ranks, attention):
    """One token again and again sends every row to few experts; one token leaves most empty, and
    with data-parallel attention most ranks without any row."""
    session = many_ranks(ranks, attention)
    for ids in ([0] + [201] * 100, [0], [5, 5]):
        np.testing.assert_array_equal(session.logits(ids), one_rank.logits(ids))


def test_all_ranks_in_float32(artifacts, greedy, float32_artifact):
    """Eight ranks of four experts each reproduce transformers' tokens."""
    session = epigraph.Session(artifacts.get(compute="float32", ep=8, attention="data"))
    found = session.generate([case["input_ids"] for case in greedy], max_tokens=48)
    assert found == [case["greedy_ids"] for case in greedy]


@pytest.mark.parametrize("ranks", [3, 5, 64])
def test_ranks_must_divide_the_experts(tmp_path, ranks):
    result = run_tool("epigraph", "compile", MODEL, "-o", tmp_path / "x.epi", "--ep", ranks)
    assert result.returncode == 4
    assert "32" in result.stderr and str(ranks) in result.stderr
    assert "divide" in result.stderr
    assert list(tmp_path.iterdir()) == []
