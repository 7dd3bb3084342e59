"""Absorbed latent attention against a reference in float64, on caches whose other entries are NaN."""

import random

import pytest
import torch

from batch import PAGE, Batch
from harness import compiled, relative_error

# bf16 rounds what the kernel reads back of weights and what it writes: 2^-9 each.
TOLERANCE = 5e-3
SCALES = {"latent_64_rope_16": 0.144, "latent_256_rope_32": 0.1, "rotated_latent_64": 0.144, "rotated_latent_256_halves": 0.1}


def random_lengths(count: int, most: int, seed: int):
    generator = random.Random(seed)
    return [(generator.randrange(most), 1) for _ in range(count)]


# Sequences of (tokens in the cache already, new tokens), and items to cut contexts into.
BATCHES = {
    "first token": ([(0, 1)], 66),
    "whole page": ([(63, 1)], 66),
    "one past a page": ([(64, 1)], 66),
    "ends of pages, not cut": ([(0, 1), (62, 1), (63, 1), (64, 1), (699, 1), (1023, 1)], 1),
    "ends of pages, cut": ([(0, 1), (62, 1), (63, 1), (64, 1), (699, 1), (1023, 1)], 66),
    "pieces of three pages": ([(700, 1), (1000, 1), (64, 1)], 10),
    "long, cut": ([(9000, 1), (4096, 1)], 66),
    "one long, in single pages": ([(4095, 1)], 66),
    "several tokens of a sequence": ([(100, 5), (0, 3), (62, 4)], 66),
    "more tokens than items": (random_lengths(70, 600, 1), 66),
}
ROTATED = ["rotated_heads_128", "rotated_heads_72_halves", "rotated_latent_64", "rotated_latent_256_halves"]
KERNELS = ["heads_128", "heads_64", "heads_72", "heads_16_of_views", "latent_64_rope_16", "latent_256_rope_32", *ROTATED]


@pytest.fixture(scope="module")
def library():
    return compiled("mla_decode")


class Problem:
    """Queries and a cache for a kernel and a batch."""

    def __init__(self, kernel, batch: Batch, seed: int, sharpness: float = 1.0):
        torch.manual_seed(seed)
        self.kernel, self.batch = kernel, batch
        self.scale = SCALES.get(kernel.description["name"], 0.072)
        self.shape = kernel.description["results"][0]["shape"]
        entry = next(d["entry"] for d in kernel.description["operands"] if "entry" in d)
        self.heads, self.latent = self.shape[1:]
        queries = torch.randn(batch.tokens, self.heads, entry, device="cuda") * sharpness
        self.queries = queries.to(torch.bfloat16)
        if kernel.description["name"] in ROTATED:
            self._rotate()
        self.cache = torch.full((batch.page_count * PAGE, entry), float("nan"), dtype=torch.bfloat16, device="cuda")
        for row, (old, new) in enumerate(batch.sequences):
            slots = batch.slots(row, old + new).cuda()
            self.cache[slots] = torch.randn(old + new, entry, device="cuda").to(torch.bfloat16)

    def _rotate(self) -> None:
        """Makes the rope parts what the kernel is to make of `x` by `table`."""
        columns, (rows, dims) = (self.kernel.description["operands"][i]["shape"] for i in (0, 2))
        self.x = torch.randn(self.batch.tokens, columns[1], device="cuda").to(torch.bfloat16)
        angles = torch.randn(rows, dims // 2, device="cuda")
        self.table = torch.cat([angles.cos(), angles.sin()], 1)
        positions = torch.tensor(self.batch.positions, dtype=torch.long, device="cuda")
        cosines, sines = self.table[positions].double()[:, None].chunk(2, -1)
        rope = self.x.view(self.batch.tokens, self.heads, columns[1] // self.heads)[..., -dims:].double()
        halves = self.kernel.description["name"].endswith("halves")
        a, b = rope.chunk(2, -1) if halves else (rope[..., ::2], rope[..., 1::2])
        pairs = [a * cosines - b * sines, b * cosines + a * sines]
        turned = torch.cat(pairs, -1) if halves else torch.stack(pairs, -1).flatten(2)
        self.queries[..., self.latent :] = turned.to(torch.bfloat16)

    def operands(self):
        if self.kernel.description["name"] in ROTATED:
            return [self.x, self.queries[..., : self.latent], self.table, self.cache]
        if self.kernel.description["name"] == "heads_16_of_views":
            return [self.queries.flatten(1), self.cache]
        return [self.queries[..., : self.latent], self.queries[..., self.latent :], self.cache]

    def expected(self) -> torch.Tensor:
        results = []
        for token, (row, position) in enumerate(zip(self.batch.sequence, self.batch.positions)):
            seen = self.cache[self.batch.slots(row, position + 1).cuda()].double()
            weights = torch.softmax(self.queries[token].double() @ seen.T * self.scale, dim=-1)
            results.append(weights @ seen[:, : self.latent])
        return torch.stack(results)

    def variants(self):
        return self.kernel.variants(self.batch.tokens, self.batch.one_token_each)

    def found(self, **options) -> torch.Tensor:
        return self.kernel(*self.operands(), rows=self.batch.tokens, batch=self.batch, **options)[0]


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("case", BATCHES)
def test_agrees_with_the_reference(library, name, case):
    sequences, items = BATCHES[case]
    problem = Problem(library[name], Batch(sequences, token_items=items, seed=3), seed=5)
    expected = problem.expected()
    for variant in problem.variants():
        found = problem.found(variant=variant)
        for token in range(problem.batch.tokens):
            error = relative_error(found[token], expected[token])
            assert error < TOLERANCE, f"token {token} at {problem.batch.positions[token]}: {error}"


@pytest.mark.parametrize("name", KERNELS)
def test_scores_far_apart(library, name):
    """The running maximum moves often, and by much."""
    for sequences in [(3000, 1), (500, 1)], [(3000, 1)]:
        problem = Problem(library[name], Batch(sequences, token_items=20), seed=7, sharpness=6.0)
        for variant in problem.variants():
            assert relative_error(problem.found(variant=variant), problem.expected()) < TOLERANCE


@pytest.mark.parametrize("name", KERNELS)
def test_no_rows(library, name):
    batch = Batch([])
    problem = Problem(library[name], batch, seed=1)
    problem.found(capacity=4)


@pytest.mark.parametrize("name", KERNELS)
def test_blocks_past_the_items_do_nothing(library, name):
    batch = Batch([(70, 1), (10, 1)], token_items=library.token_items)
    problem = Problem(library[name], batch, seed=2)
    batch.token_items += [None] * 3  # The host's bound is larger than the device's count.
    for variant in library[name].variants(5, one_token_each=True):
        assert relative_error(problem.found(bound=5, capacity=8, variant=variant), problem.expected()) < TOLERANCE


@pytest.mark.parametrize("name", KERNELS)
def test_equal_runs_give_equal_bits(library, name):
    for sequences in [(2000, 1), (77, 1)], [(2000, 1)]:
        problem = Problem(library[name], Batch(sequences, token_items=40), seed=11)
        for variant in problem.variants():
            first = problem.found(variant=variant)
            for _ in range(20):
                assert torch.equal(problem.found(variant=variant), first)


def test_rotation_is_that_of_its_own_kernel(library):
    problem = Problem(library["rotated_heads_128"], Batch([(1500, 1), (70, 1), (0, 1)]), seed=13)
    found = problem.found()
    rope = compiled("rope")["neighbours_of_view"]
    (turned,) = rope(problem.x, problem.table[:8192], rows=problem.batch.tokens, batch=problem.batch)
    (expected,) = library["heads_128"](problem.queries[..., :512], turned, problem.cache, rows=problem.batch.tokens, batch=problem.batch)
    assert torch.equal(found, expected)
