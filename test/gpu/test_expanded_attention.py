"""Latent attention in its expanded form against PyTorch in float32; stale entries of the cache are NaN."""

import pytest
import torch

from batch import PAGE, Batch
from harness import Raw, compiled, poisoned, relative_error

# Of each kernel: heads, nope, rope, value, latent, scale, and whether the query is a part of longer rows.
KERNELS = {
    "tiny": (6, 32, 16, 32, 64, 0.18713033519502434, True),
    "odd": (3, 112, 48, 160, 80, 0.1, False),
    "deepseek_v3": (128, 128, 64, 128, 512, 0.1147213867929261, True),
}
# Sequences as (tokens in the cache before, new tokens).
BATCHES = {
    "one token": [(0, 1)],
    "one tile": [(0, 64)],
    "below and past a tile": [(0, 63), (0, 65), (0, 1), (0, 2)],
    "ragged, with contexts": [(100, 7), (0, 130), (64, 64), (63, 1), (1000, 33)],
    "several rounds of heads": [(3000, 70), (2500, 1), (1000, 200), (4000, 64)],
}


@pytest.fixture(scope="module")
def library():
    return compiled("expanded_attention")


class Case:
    def __init__(self, name, batch, seed=0):
        heads, nope, rope, value, latent, scale, self.is_part = KERNELS[name]
        generator = torch.Generator(device="cuda").manual_seed(seed)
        normal = lambda *shape: torch.randn(shape, generator=generator, device="cuda")  # noqa: E731
        self.q, self.rope = normal(batch.tokens, heads, nope).bfloat16(), normal(batch.tokens, heads, rope).bfloat16()
        self.up = (normal(heads * (nope + value), latent) / latent**0.5).bfloat16()
        self.cache = poisoned((batch.page_count * PAGE, latent + rope), torch.bfloat16)
        expected, row = [], 0
        for sequence, (old, new) in enumerate(batch.sequences):
            entries = normal(old + new, latent + rope).bfloat16()
            self.cache[batch.slots(sequence, old + new).cuda()] = entries
            # The expanded form rounds keys and values to bfloat16.
            expanded = (entries[:, :latent].float() @ self.up.float().T).bfloat16().float().view(-1, heads, nope + value)
            scores = torch.einsum("qhd,khd->hqk", self.q[row : row + new].float(), expanded[:, :, :nope])
            scores += torch.einsum("qhd,kd->hqk", self.rope[row : row + new].float(), entries[:, latent:].float())
            future = torch.arange(old, old + new, device="cuda")[:, None] < torch.arange(old + new, device="cuda")
            weights = (scores * scale).masked_fill(future, -torch.inf).softmax(-1)
            expected.append(torch.einsum("hqk,khd->qhd", weights, expanded[:, :, nope:]))
            row += new
        self.expected = torch.cat(expected)

    def operands(self):
        q = torch.cat([self.q, torch.zeros_like(self.rope)], -1).flatten(1) if self.is_part else self.q
        return [q, self.rope, Raw(self.cache), self.up]


@pytest.mark.parametrize("sequences", BATCHES.values(), ids=BATCHES)
@pytest.mark.parametrize("name", KERNELS)
def test_expanded_attention(library, name, sequences):
    batch = Batch(sequences, token_items=library.token_items)
    case = Case(name, batch)
    (result,) = library[name](*case.operands(), rows=batch.tokens, batch=batch)
    assert not result.isnan().any()
    # Weights are rounded to bfloat16 before they meet the values, and results after.
    assert relative_error(result, case.expected) < 6e-3


def test_twice_the_same(library):
    """Blocks that meet leave everything as the next launch needs it."""
    batch = Batch(BATCHES["ragged, with contexts"])
    case = Case("deepseek_v3", batch)
    first, second = (library["deepseek_v3"](*case.operands(), rows=batch.tokens, batch=batch)[0].clone() for _ in range(2))
    assert torch.equal(first, second)
