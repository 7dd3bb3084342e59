"""Dispatch and combine through the memory of peers, against PyTorch.

Ranks are on one GPU each where there are enough, else all on one, which runs their kernels one after the other: what
sends does not wait, and what waits is launched when all have sent.
"""

import ctypes

import pytest
import torch

from harness import compiled
from ranks import PATIENCE, Rank, Tokens, meeting, synchronize

# Of each exchange: ranks and tokens that a rank sends at most. The rest is in the kernels' signatures.
EXCHANGES = {"deepseek_v3": (2, 512), "deepseek_v3_quantized": (2, 512), "tiny": (2, 64), "odd": (4, 300)}
HEADER, PEER = 1, 7


def ranks_of(name: str, patience: int = PATIENCE):
    count, capacity = EXCHANGES[name]
    return meeting([Rank(name, r, count, capacity, lambda: compiled(f"exchange_{name}")) for r in range(count)], patience)


def arrivals(rank: Rank, tokens):
    """(source, token, choice) of each row that arrives at a rank, in order."""
    all_choices = [
        (expert, s, t, j)
        for s, sent in enumerate(tokens)
        for t, ids in enumerate(sent.ids.tolist())
        for j, expert in enumerate(ids)
        if expert // rank.local == rank.rank
    ]
    return sorted(all_choices)


def send(rank: Rank, sent: Tokens) -> None:
    rank.run("dispatch_send", *sent.operands(rank), rows=sent.count)


def check_received(rank: Rank, results, tokens):
    arrived = arrivals(rank, tokens)
    rows = results[0][: len(arrived)].cpu()
    counts, received, places, weights = (r.cpu() for r in results[1:5])
    experts = torch.tensor([expert - rank.rank * rank.local for expert, *_ in arrived], dtype=torch.long)
    assert torch.equal(counts, torch.bincount(experts, minlength=rank.local).int())
    assert received.tolist() == [len(arrived)]
    want_places = [torch.full_like(sent.ids, -1) for sent in tokens]
    for row, (_, s, t, j) in enumerate(arrived):
        want_places[s][t, j] = row
    for s, sent in enumerate(tokens):
        lines = slice(s * rank.capacity, s * rank.capacity + sent.count)
        assert torch.equal(places[lines], want_places[s])
        here = want_places[s] >= 0
        assert torch.equal(weights[lines][here], sent.weights[here])
    if arrived:
        want = torch.stack([tokens[s].x[t].view(torch.uint8) for _, s, t, _ in arrived])
        assert torch.equal(rows.view(torch.uint8), want)
        if len(results) > 5:
            scales = results[5].cpu().view(-1, rank.room)[:, : len(arrived)].T
            assert torch.equal(scales, torch.stack([tokens[s].scales[t] for _, s, t, _ in arrived]))


def expected_sums(ranks, tokens, made):
    """For each rank and token: the sum over choices of weight times row, and that of magnitudes."""
    sums = [torch.zeros(sent.count, ranks[0].hidden, dtype=torch.double) for sent in tokens]
    bounds = [torch.zeros_like(s) for s in sums]
    for rank, rows in zip(ranks, made):
        for row, (_, s, t, j) in enumerate(arrivals(rank, tokens)):
            term = tokens[s].weights[t, j].double() * rows[row].double()
            sums[s][t] += term
            bounds[s][t] += term.abs()
    return sums, bounds


def exchange(ranks, tokens) -> None:
    for rank, sent in zip(ranks, tokens):
        send(rank, sent)
    arrived = [rank.run("dispatch_receive", rows=0) for rank in ranks]
    synchronize(ranks)
    for rank, results in zip(ranks, arrived):
        check_received(rank, results, tokens)
    generator = torch.Generator().manual_seed(tokens[0].count)
    made = [torch.randn(len(arrivals(rank, tokens)), rank.hidden, generator=generator).bfloat16() for rank in ranks]
    for rank, results, rows in zip(ranks, arrived, made):
        rank.run("combine_send", rows, results[3], results[4], rows=0)
    results = [
        rank.run("combine_receive", rows, got[3], sent.ids, sent.weights, rows=sent.count)[0]
        for rank, got, rows, sent in zip(ranks, arrived, made, tokens)
    ]
    synchronize(ranks)
    sums, bounds = expected_sums(ranks, tokens, made)
    for rank, sent, result, want, bound in zip(ranks, tokens, results, sums, bounds):
        assert rank.failure[0] == 0
        # Each rank's sum is rounded to bf16, and then the result.
        assert ((result[: sent.count].cpu().double() - want).abs() <= bound * 2**-7).all()


@pytest.mark.parametrize("name", EXCHANGES)
def test_exchanges_one_after_the_other(name):
    """More than two, so that slots are used again; with as many tokens as fit, one, and none. Of 65 tokens on, rows have flags."""
    ranks = ranks_of(name)
    for step, counts in enumerate([[70] * 4, [1, 0, 0, 1], [0, 0, 0, 0], [3, 70, 1, 7], [2, 2, 2, 2], [64, 65, 65, 64], [65, 64, 1, 65]]):
        exchange(ranks, [Tokens(rank, min(count, rank.capacity), seed=step) for rank, count in zip(ranks, counts)])


@pytest.mark.parametrize("name", ["deepseek_v3", "odd"])
def test_the_most_tokens(name):
    ranks = ranks_of(name)
    exchange(ranks, [Tokens(rank, EXCHANGES[name][1], seed=9) for rank in ranks])


def test_all_experts_on_one_rank():
    ranks = ranks_of("tiny")
    for first in (0, 16, 0):
        exchange(ranks, [Tokens(rank, 33, seed=first, among=range(first, first + 16)) for rank in ranks])


def test_a_rank_that_never_sends_is_reported():
    """The others wait as long as their patience, once, and tell it: nothing hangs, and later kernels end at once."""
    ranks = ranks_of("tiny", patience=10**8)
    sent = Tokens(ranks[0], 3, seed=1)
    send(ranks[0], sent)
    got = ranks[0].run("dispatch_receive", rows=0)
    made = torch.zeros(ranks[0].room, ranks[0].hidden).bfloat16()
    ranks[0].run("combine_send", made, got[3], got[4], rows=0)
    ranks[0].run("combine_receive", made, got[3], sent.ids, sent.weights, rows=3)
    synchronize(ranks)
    failure = ranks[0].failure[0].item()
    assert (failure >> 28 & 0xF, failure >> 20 & 0xFF) == (HEADER, 1)
    told = ctypes.c_uint32(ranks[1].region[:4].cpu().view(torch.int32)[0].item()).value
    assert (told >> 28, told >> 20 & 0xFF) == (PEER, 0)
