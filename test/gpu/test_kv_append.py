"""Cache entries: those of the batch hold its tokens, and all others what they held."""

import pytest
import torch

from batch import PAGE, Batch
from harness import compiled

BATCHES = {
    "first token": [(0, 1)],
    "ragged": [(5, 7), (0, 1), (1000, 30), (62, 4)],
    "many rows": [(17, 300), (0, 213), (63, 1)],
    "none": [],
}
KERNELS = ["latent", "latent_narrow", "grouped", "heads_apart"]


@pytest.fixture(scope="module")
def library():
    return compiled("kv_append")


def entries(name: str, operands, tokens: int) -> torch.Tensor:
    """What the batch's entries must be."""
    if name == "grouped":
        keys, projected = operands
        parts = [keys, projected[:, 4608:]]
    elif name == "heads_apart":
        parts = [operands[0][..., :24], operands[0][..., 24:]]
    else:
        parts = operands
    return torch.cat([part.reshape(tokens, part[0].numel() if tokens else 0) for part in parts], dim=1)


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("case", BATCHES)
def test_writes_the_entries_of_the_batch_alone(library, name, case):
    torch.manual_seed(1)
    batch = Batch(BATCHES[case])
    described = library[name].description["operands"]
    dtype = torch.float32 if name == "heads_apart" else torch.bfloat16
    cache = torch.randn(batch.page_count * PAGE, described[0]["entry"], device="cuda").to(dtype)
    expected = cache.clone()
    operands = [torch.randn(batch.tokens, *d["shape"][1:], device="cuda").to(dtype) for d in described[1:]]
    library[name](cache, *operands, rows=batch.tokens, bound=batch.tokens + 5, capacity=batch.tokens + 8, batch=batch)
    if batch.tokens:
        slots = torch.cat([batch.slots(row, old + new)[old:] for row, (old, new) in enumerate(batch.sequences)])
        expected[slots.cuda()] = entries(name, operands, batch.tokens)
    assert torch.equal(cache, expected)
