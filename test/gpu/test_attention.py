"""Attention over paged keys and values against PyTorch in float32; stale entries of the cache are NaN."""

import pytest
import torch

from batch import PAGE, Batch
from harness import Raw, compiled, poisoned, relative_error

# Of each kernel: query heads, key heads, key, value, scale, window, type of sinks.
KERNELS = {
    "qwen3": (32, 4, 128, 128, 0.08838834764831845, None, None),
    "gpt_oss": (16, 2, 64, 64, 0.125, 128, torch.bfloat16),
    "sinks_f32": (4, 4, 32, 16, 0.25, None, torch.float32),
    "short_window": (6, 3, 48, 80, 0.2, 5, None),
    "one_key": (40, 1, 192, 128, 0.072, None, None),
    "widest": (4, 2, 256, 256, 0.0625, None, None),
    "part": (3, 1, 32, 32, 0.2, None, None),
}
# Sequences as (tokens in the cache before, new tokens).
PREFILLS = {
    "one tile": [(0, 64)],
    "below and past a tile": [(0, 63), (0, 65), (0, 1), (0, 2)],
    "ragged, with contexts": [(100, 7), (0, 130), (64, 64), (63, 1), (1000, 33)],
    "long": [(2048, 257)],
}
DECODES = {
    "first token": [(0, 1)],
    "end of a page": [(63, 1)],
    "start of a page": [(64, 1)],
    "long": [(3000, 1)],
    "longest": [(20000, 1)],
    "pages for some blocks": [(200, 1), (64 * 9 - 1, 1)],
    "a page for each team, and one more": [(64 * 16 - 1, 1), (64 * 16, 1)],
    "ragged": [(5, 1), (1023, 1), (64, 1), (0, 1), (300, 1), (2000, 1), (127, 1)],
    "many": [(37 * i % 700, 1) for i in range(150)],
}


@pytest.fixture(scope="module")
def library():
    return compiled("attention")


class Case:
    """Queries, a cache of which only the sequences' entries are numbers, and what must come out."""

    def __init__(self, name, batch, seed=0):
        self.batch = batch
        heads, key_heads, key, value, scale, window, sinks = KERNELS[name]
        generator = torch.Generator(device="cuda").manual_seed(seed)
        normal = lambda *shape: torch.randn(shape, generator=generator, device="cuda")  # noqa: E731
        self.q = normal(batch.tokens, heads, key).bfloat16()
        self.sinks = normal(heads).to(sinks) if sinks else None
        self.cache = poisoned((batch.page_count * PAGE, key_heads * (key + value)), torch.bfloat16)
        expected, row = [], 0
        for sequence, (old, new) in enumerate(batch.sequences):
            entries = normal(old + new, key_heads * (key + value)).bfloat16()
            self.cache[batch.slots(sequence, old + new).cuda()] = entries
            entries = entries.float()
            keys = entries[:, : key_heads * key].view(-1, key_heads, key).repeat_interleave(heads // key_heads, 1)
            values = entries[:, key_heads * key :].view(-1, key_heads, value).repeat_interleave(heads // key_heads, 1)
            scores = torch.einsum("qhd,khd->hqk", self.q[row : row + new].float(), keys) * scale
            distance = torch.arange(old, old + new, device="cuda")[:, None] - torch.arange(old + new, device="cuda")
            scores = scores.masked_fill((distance < 0) | (distance >= (window or old + new)), -torch.inf)
            if sinks:
                scores = torch.cat([scores, self.sinks.float()[:, None, None].expand(-1, new, 1)], -1)
            weights = scores.softmax(-1)[..., : old + new]
            expected.append(torch.einsum("hqk,khd->qhd", weights, values))
            row += new
        self.expected = torch.cat(expected)

    def operands(self, name):
        q = self.q
        if name == "part":
            q = torch.cat([torch.zeros(len(q), 3, dtype=q.dtype, device="cuda"), q.flatten(1)], 1)
        return [q, Raw(self.cache)] + ([self.sinks] if self.sinks is not None else [])


def check(library, name, sequences, **options):
    batch = Batch(sequences, token_items=library.token_items)
    case = Case(name, batch)
    (result,) = library[name](*case.operands(name), rows=batch.tokens, batch=batch, **options)
    assert not result.isnan().any()
    # Weights are rounded to bfloat16 before they meet the values, and results after.
    assert relative_error(result, case.expected) < 6e-3
    difference = (result.float() - case.expected).abs().max().item()
    assert difference < 0.03, difference


@pytest.mark.parametrize("sequences", PREFILLS.values(), ids=PREFILLS)
@pytest.mark.parametrize("name", KERNELS)
def test_prefill(library, name, sequences):
    check(library, name, sequences)


@pytest.mark.parametrize("sequences", DECODES.values(), ids=DECODES)
@pytest.mark.parametrize("name", KERNELS)
def test_decode(library, name, sequences):
    for variant in library[name].variants(len(sequences), one_token_each=True):
        check(library, name, sequences, variant=variant)


@pytest.mark.parametrize("name", KERNELS)
def test_blocks_past_the_tokens_do_nothing(library, name):
    """As in a recording for more rows than a step has."""
    for variant in library[name].variants(3, one_token_each=True):
        check(library, name, [(70, 1), (1500, 1)], variant=variant, bound=3)


@pytest.mark.parametrize("name", KERNELS)
def test_equal_runs_give_equal_bits(library, name):
    batch = Batch([(6000, 1)], token_items=library.token_items)
    case = Case(name, batch)
    for variant in library[name].variants(1, one_token_each=True):
        found = [library[name](*case.operands(name), rows=1, batch=batch, variant=variant)[0] for _ in range(20)]
        assert all(torch.equal(one, found[0]) for one in found)


@pytest.mark.parametrize("name", KERNELS)
def test_empty_batch(library, name):
    batch = Batch([])
    case = Case.__new__(Case)
    heads, key_heads, key, value, *_, sinks = KERNELS[name]
    case.q = torch.zeros(0, heads, key, dtype=torch.bfloat16, device="cuda")
    case.cache = poisoned((PAGE, key_heads * (key + value)), torch.bfloat16)
    case.sinks = torch.zeros(heads, dtype=sinks, device="cuda") if sinks else None
    library[name](*case.operands(name), rows=0, batch=batch)
