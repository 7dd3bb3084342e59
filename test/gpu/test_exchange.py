"""Dispatch and combine through the memory of peers, against PyTorch.

Ranks are on one GPU each where there are enough, else all on one, which runs their kernels one after the other: what
sends does not wait, and what waits is launched when all have sent.
"""

import ctypes
import struct

import pytest
import torch

import cuda_driver
from batch import Batch
from harness import DTYPES, Raw, column_major, compiled

# Of each exchange: ranks and tokens that a rank sends at most. The rest is in the kernels' signatures.
EXCHANGES = {"deepseek_v3": (2, 512), "deepseek_v3_quantized": (2, 512), "tiny": (2, 64), "odd": (4, 40)}
MOST_PEERS = 8
PATIENCE = 2 * 10**9
HEADER, IDS, ROW, SUM, PEER = 1, 2, 3, 4, 7


def device_of(rank: int, ranks: int) -> int:
    return rank if torch.cuda.device_count() >= ranks else 0


class Rank:
    """One rank's kernels, region and peer table."""

    def __init__(self, name: str, rank: int):
        self.name, self.rank = name, rank
        self.ranks, self.capacity = EXCHANGES[name]
        self.device = device_of(rank, self.ranks)
        with torch.cuda.device(self.device):
            self.library = compiled("exchange")
            self.signature = self.library[f"{name}_dispatch_receive"].description["results"]
            self.hidden, self.element = self.signature[0]["shape"][1], DTYPES[self.signature[0]["element"]]
            self.local, self.top_k = self.signature[1]["shape"][0], self.signature[3]["shape"][1]
            tokens = self.ranks * self.capacity
            self.region = torch.zeros(4096 + tokens * (12 * self.hidden + 32 * self.top_k + 2048), dtype=torch.uint8, device="cuda")
            self.failure = torch.zeros(16, dtype=torch.int32).pin_memory()
        self.room = tokens * min(self.top_k, self.local)

    def meet(self, all_ranks, patience: int = PATIENCE) -> None:
        with torch.cuda.device(self.device):
            for other in all_ranks:
                if other.device != self.device:
                    cuda_driver.enable_peer_access(other.device)
            regions = [r.region.data_ptr() for r in all_ranks] + [0] * (MOST_PEERS - self.ranks)
            packed = struct.pack("<iiq8QQII", self.rank, self.ranks, patience, *regions, self.failure.data_ptr(), 0, 0)
            self.table = torch.frombuffer(bytearray(packed), dtype=torch.uint8).to("cuda")
            self.batch = Batch([], peers=self.table.data_ptr())

    def run(self, part: str, *operands, rows: int):
        with torch.cuda.device(self.device):
            kernel = self.library[f"{self.name}_{part}"]
            launches, results = kernel.prepare(*operands, rows=rows, capacity=self.room, batch=self.batch)
            launches.run()
            self.kept = launches
            return results


def ranks_of(name: str, patience: int = PATIENCE):
    ranks = [Rank(name, r) for r in range(EXCHANGES[name][0])]
    torch.cuda.synchronize()
    for rank in ranks:
        rank.meet(ranks, patience)
    return ranks


def synchronize(ranks) -> None:
    for device in {r.device for r in ranks}:
        torch.cuda.synchronize(device)


class Tokens:
    """What one rank sends: rows of any bits, or numbers; distinct experts."""

    def __init__(self, rank: Rank, count: int, seed: int, among=None):
        generator = torch.Generator().manual_seed(seed * 100 + rank.rank)
        experts = rank.local * rank.ranks
        among = torch.arange(experts) if among is None else torch.tensor(list(among))
        self.count = count
        self.x = torch.randn(count, rank.hidden, generator=generator).to(rank.element)
        chosen = [among[torch.randperm(len(among), generator=generator)[: rank.top_k]] for _ in range(count)]
        self.ids = torch.stack(chosen).int() if chosen else torch.zeros(0, rank.top_k, dtype=torch.int32)
        self.weights = torch.rand(count, rank.top_k, generator=generator)
        self.scales = torch.rand(count, -(-rank.hidden // 128), generator=generator) if rank.element == torch.float8_e4m3fn else None


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
    operands = [sent.x, sent.ids, sent.weights]
    if sent.scales is not None:
        operands.append(Raw(column_major(sent.scales, rank.room).to(f"cuda:{rank.device}")))
    rank.run("dispatch_send", *operands, rows=sent.count)


def check_received(rank: Rank, results, tokens):
    rows, counts, received, places, weights = (r.cpu() for r in results[:5])
    arrived = arrivals(rank, tokens)
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
        assert torch.equal(rows[: len(arrived)].view(torch.uint8), want)
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
    made = [torch.randn(rank.room, rank.hidden, generator=generator).bfloat16() for rank in ranks]
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
    """More than two, so that slots are used again; with as many tokens as fit, one, and none."""
    ranks = ranks_of(name)
    most = min(EXCHANGES[name][1], 70)
    for step, counts in enumerate([[most] * 4, [1, 0, 0, 1], [0, 0, 0, 0], [3, most, 1, 7], [2, 2, 2, 2]]):
        exchange(ranks, [Tokens(rank, count, seed=step) for rank, count in zip(ranks, counts)])


def test_the_most_tokens():
    ranks = ranks_of("deepseek_v3")
    exchange(ranks, [Tokens(rank, 512, seed=9) for rank in ranks])


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


def bench_calls(rank: Rank, sent: Tokens):
    """The four launches of one exchange, prepared."""
    with torch.cuda.device(rank.device):

        def prepare(part, *operands, rows):
            return rank.library[f"{rank.name}_{part}"].prepare(*operands, rows=rows, capacity=rank.room, batch=rank.batch)

        operands = [sent.x, sent.ids, sent.weights]
        if sent.scales is not None:
            operands.append(Raw(column_major(sent.scales, rank.room).to(f"cuda:{rank.device}")))
        first, _ = prepare("dispatch_send", *operands, rows=sent.count)
        second, got = prepare("dispatch_receive", rows=0)
        made = torch.zeros(rank.room, rank.hidden, dtype=torch.bfloat16)
        third, _ = prepare("combine_send", made, Raw(got[3]), Raw(got[4]), rows=0)
        fourth, _ = prepare("combine_receive", made, Raw(got[3]), sent.ids, sent.weights, rows=sent.count)
        return [first, second, third, fourth]


def record(rank: Rank, calls, repeats: int):
    with torch.cuda.device(rank.device):
        stream, graph = torch.cuda.Stream(), torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=stream):
            for _ in range(repeats):
                for call in calls:
                    call.run()
        return stream, graph


def time_exchange(ranks, tokens, repeats: int = 50) -> float:
    """Microseconds of a dispatch and combine, of the slowest rank, in a graph on each GPU."""
    recorded = [record(rank, bench_calls(rank, sent), repeats) for rank, sent in zip(ranks, tokens)]
    best = float("inf")
    for _ in range(5):
        events = []
        for rank, (stream, graph) in zip(ranks, recorded):
            with torch.cuda.device(rank.device), torch.cuda.stream(stream):
                start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
                start.record()
                graph.replay()
                end.record()
                events.append((start, end))
        synchronize(ranks)
        best = min(best, max(start.elapsed_time(end) for start, end in events) * 1000 / repeats)
    return best


def benchmark() -> None:
    for name in ("deepseek_v3_quantized", "deepseek_v3"):
        for count in (1, 8, 32, 128, 512):
            ranks = ranks_of(name)
            us = time_exchange(ranks, [Tokens(rank, count, seed=count) for rank in ranks])
            failures = [rank.failure[0].item() for rank in ranks]
            print(f"dispatch + combine {name} {count}: {us:.2f} us" + (f", failed: {failures}" if any(failures) else ""))


if __name__ == "__main__":
    benchmark()
