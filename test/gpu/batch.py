"""A ragged batch as device kernels see it: DeviceStep and what it points to (runtime/artifact/KernelAbi.h)."""

import heapq
import struct

import torch

PAGE = 64
TILE = 128


def ceil_div(a: int, b: int) -> int:
    return -(-a // b)


def makespan(context, piece: int, places: int) -> int:
    """As runtime/exec/AttentionItems.cpp: when the last item is done, in pages."""
    ends, last = [], 0
    for pages in context:
        parts = ceil_div(pages, piece)
        for part in range(parts):
            end = pages * (part + 1) // parts - pages * part // parts + 2
            if len(ends) == places:
                end += heapq.heappop(ends)
            heapq.heappush(ends, end)
            last = max(last, end)
    return last + (2 if piece < max(context) else 0)


def pages_of_item(context, wanted: int) -> int:
    """The most pages of an item, as the runtime chooses it for up to 4 tokens for each place."""
    if not context:
        return 1
    limits = [items for items in (wanted, wanted + len(context)) if items > len(context)]
    shortest = lambda items: next(n for n in range(1, max(context) + 1) if sum(ceil_div(p, n) for p in context) <= items)  # noqa: E731
    pieces = [max(context)] + [shortest(items) for items in limits]
    return min(pieces, key=lambda piece: makespan(context, piece, max(wanted, 1)))


class Batch:
    """Sequences of (tokens in the cache already, new tokens), with pages dealt out at random.

    `token_items`: among how many items contexts are cut for kernels that take one token each. `peers`: address of a PeerTable.
    `sampling`: of each output row a SamplingRow's key, scale, reach, top_p and top_k (runtime/base/Sampling.h); by default the
    largest logit of every row wins.
    """

    def __init__(self, sequences, token_items: int = 66, outputs=None, spare_pages: int = 3, seed: int = 0, peers: int = 0, sampling=()):
        generator = torch.Generator().manual_seed(seed)
        self.sequences = list(sequences)
        self.tokens = sum(new for _, new in self.sequences)
        self.one_token_each = all(new == 1 for _, new in self.sequences)
        pages = [ceil_div(old + new, PAGE) for old, new in self.sequences]
        self.page_count = sum(pages) + spare_pages
        self.stride = max(pages, default=1)
        self.positions, self.sequence = [], []
        self.table = torch.full((max(len(pages), 1), self.stride), -1, dtype=torch.int32)
        order = torch.randperm(self.page_count, generator=generator).to(torch.int32)
        used = 0
        for row, ((old, new), count) in enumerate(zip(self.sequences, pages)):
            self.table[row, :count] = order[used : used + count]
            used += count
            self.positions += range(old, old + new)
            self.sequence += [row] * new
        self.output_rows = list(outputs) if outputs is not None else []
        self._make_token_items(token_items)
        self._make_tile_items()
        # With room for launches of more rows, as the runtime has it.
        self.sampling = list(sampling) + [(0, 0.0, 0.0, 0, 0)] * (self.tokens + 64)
        self._upload(peers)

    def _make_token_items(self, wanted: int) -> None:
        context = [p // PAGE + 1 for p in self.positions]
        piece = pages_of_item(context, wanted)
        self.token_items, self.token_partials, partial = [], [], 0
        for token, pages in enumerate(context):
            parts = ceil_div(pages, piece)
            self.token_partials += [partial, parts if parts > 1 else 0]
            for part in range(parts):
                first, end = pages * part // parts, pages * (part + 1) // parts
                where = partial if parts > 1 else 0
                self.token_items.append((token, 1, self.sequence[token], self.positions[token], first, end - first, where, parts))
                partial += parts > 1
        self.partials = partial

    def _make_tile_items(self) -> None:
        self.tile_items, token = [], 0
        for row, (old, new) in enumerate(self.sequences):
            for first in range(0, new, TILE):
                count = min(TILE, new - first)
                last = old + first + count - 1
                self.tile_items.append((token + first, count, row, old + first, 0, last // PAGE + 1, 0, 1))
            token += new

    def _upload(self, peers: int = 0) -> None:
        def ints(values):
            return torch.tensor(list(values) or [0], dtype=torch.int32, device="cuda")

        flat = lambda items: [field for item in items for field in item]  # noqa: E731
        self.arrays = [
            ints(self.positions),
            ints(self.sequence),
            self.table.to("cuda"),
            ints(self.output_rows),
            ints(flat(self.token_items)),
            ints(flat(self.tile_items)),
            ints(self.token_partials),
        ]
        rows = b"".join(struct.pack("<QffIi8x", *row) for row in self.sampling)
        self.sampling_rows = torch.frombuffer(bytearray(rows), dtype=torch.uint8).to("cuda")
        counts = [1, self.tokens, ceil_div(self.tokens, 2), self.tokens // 2, len(self.output_rows)] + [0] * 7
        packed = struct.pack(
            "<7Q6i12i2Q48x",
            *[array.data_ptr() for array in self.arrays],
            self.tokens,
            len(self.sequences),
            len(self.output_rows),
            self.stride,
            len(self.token_items),
            len(self.tile_items),
            *counts,
            peers,
            self.sampling_rows.data_ptr(),
        )
        self.step = torch.frombuffer(bytearray(packed), dtype=torch.uint8).to("cuda")

    def slots(self, row: int, length: int) -> torch.Tensor:
        """Where the first `length` tokens of a sequence lie in a cache [slots, entry]."""
        positions = torch.arange(length)
        return self.table[row, positions // PAGE].long() * PAGE + positions % PAGE
