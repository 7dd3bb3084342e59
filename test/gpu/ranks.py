"""Ranks that exchange rows through each other's memory: on one GPU each where there are enough, else all on one."""

import struct

import torch

import cuda_driver
from batch import Batch
from harness import DTYPES, Raw, column_major, record

MOST_PEERS = 8
PATIENCE = 2 * 10**9


def device_of(rank: int, ranks: int) -> int:
    return rank if torch.cuda.device_count() >= ranks else 0


class Rank:
    """One rank's kernels, region and peer table. `name` is that of the exchange, with which its kernels' names begin;
    `capacity` what they allow a rank to send."""

    def __init__(self, name: str, rank: int, ranks: int, capacity: int, load):
        self.name, self.rank, self.ranks, self.capacity = name, rank, ranks, capacity
        self.device = device_of(rank, ranks)
        with torch.cuda.device(self.device):
            self.library = load()
            self.signature = self.library[f"{name}_dispatch_receive"].description["results"]
            self.hidden, self.element = self.signature[0]["shape"][1], DTYPES[self.signature[0]["element"]]
            self.local, self.top_k = self.signature[1]["shape"][0], self.signature[3]["shape"][1]
            self.region = torch.zeros(self.library.region_bytes, dtype=torch.uint8, device="cuda")
            self.failure = torch.zeros(16, dtype=torch.int32).pin_memory()
        self.room = ranks * capacity * min(self.top_k, self.local)

    def meet(self, all_ranks, patience: int = PATIENCE) -> None:
        with torch.cuda.device(self.device):
            for other in all_ranks:
                if other.device != self.device:
                    cuda_driver.enable_peer_access(other.device)
            regions = [r.region.data_ptr() for r in all_ranks] + [0] * (MOST_PEERS - self.ranks)
            packed = struct.pack("<iiq8QQII", self.rank, self.ranks, patience, *regions, self.failure.data_ptr(), 0, 0)
            self.table = torch.frombuffer(bytearray(packed), dtype=torch.uint8).to("cuda")
            self.batch = Batch([], peers=self.table.data_ptr())

    def prepare(self, part: str, *operands, rows: int, **options):
        """Launches and results of one of the exchange's four kernels. Both must be kept as long as they are used."""
        with torch.cuda.device(self.device):
            options.setdefault("capacity", self.room)
            return self.library[f"{self.name}_{part}"].prepare(*operands, rows=rows, batch=self.batch, **options)

    def run(self, part: str, *operands, rows: int):
        with torch.cuda.device(self.device):
            launches, results = self.prepare(part, *operands, rows=rows)
            launches.run()
            self.kept = launches
            return results


def meeting(ranks, patience: int = PATIENCE):
    """`ranks`, each knowing the others' memory."""
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
        order = torch.rand(count, len(among), generator=generator).argsort(1)[:, : rank.top_k]
        self.ids = among[order].int()
        self.weights = torch.rand(count, rank.top_k, generator=generator)
        self.scales = torch.rand(count, -(-rank.hidden // 128), generator=generator) if rank.element == torch.float8_e4m3fn else None

    def operands(self, rank: Rank):
        """Those of dispatch_send."""
        scales = [] if self.scales is None else [Raw(column_major(self.scales, rank.room).to(f"cuda:{rank.device}"))]
        return [self.x, self.ids, self.weights, *scales]


def time_ranks(ranks, calls_of, repeats: int = 50, rounds: int = 5) -> float:
    """Microseconds of `calls_of(rank)`, callables that make the ranks wait for each other, in a CUDA graph on each rank's GPU:
    of the slowest rank, in the best of `rounds`."""
    recorded = []
    for rank in ranks:
        with torch.cuda.device(rank.device):
            calls, stream = calls_of(rank), torch.cuda.Stream()
            recorded.append((calls, stream, record(calls, repeats, stream)))
    synchronize(ranks)
    best = float("inf")
    for _ in range(rounds):
        events = []
        for rank, (_, stream, graph) in zip(ranks, recorded):
            with torch.cuda.device(rank.device), torch.cuda.stream(stream):
                start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
                start.record()
                graph.replay()
                end.record()
                events.append((start, end))
        synchronize(ranks)
        best = min(best, max(start.elapsed_time(end) for start, end in events) * 1000 / repeats)
    return best
