"""Rotary embedding against its definition in float64."""

import pytest
import torch

from batch import Batch
from harness import compiled, relative_error

# One rounding to bf16; of float32, a few.
TOLERANCES = {torch.bfloat16: 4e-3, torch.float32: 1e-6}
BATCHES = {
    "first token": [(0, 1)],
    "ragged": [(5, 7), (0, 1), (1000, 30), (3, 3)],
    "many rows": [(17, 300), (0, 213)],
}
# The operand's columns that are rotated (None: all of each head), of how many heads, of how many dims.
KERNELS = {
    "neighbours_of_view": (lambda x: x.reshape(-1, 128, 192)[..., 128:], True, 64),
    "neighbours_of_one_head": (lambda x: x[:, 2048:], True, 64),
    "halves": (lambda x: x, False, 128),
    "halves_of_part": (lambda x: x, False, 64),
    "halves_narrow": (lambda x: x, False, 12),
    "neighbours_odd": (lambda x: x, True, 6),
    "float32": (lambda x: x, False, 64),
}


@pytest.fixture(scope="module")
def library():
    return compiled("rope")


def rotated(x: torch.Tensor, table: torch.Tensor, interleaved: bool) -> torch.Tensor:
    dims = table.shape[1]
    cosines, sines = table[:, : dims // 2], table[:, dims // 2 :]
    if x.dim() == 3:
        cosines, sines = cosines[:, None], sines[:, None]
    y = x.clone()
    first, second = (slice(0, dims, 2), slice(1, dims, 2)) if interleaved else (slice(0, dims // 2), slice(dims // 2, dims))
    a, b = x[..., first], x[..., second]
    y[..., first] = a * cosines - b * sines
    y[..., second] = b * cosines + a * sines
    return y


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("case", BATCHES)
def test_agrees_with_the_definition(library, name, case):
    torch.manual_seed(1)
    part, interleaved, dims = KERNELS[name]
    batch = Batch(BATCHES[case])
    shape = library[name].description["operands"][0]["shape"]
    dtype = torch.float32 if name == "float32" else torch.bfloat16
    x = torch.randn(batch.tokens, *shape[1:], device="cuda").to(dtype)
    table = torch.randn(library[name].description["operands"][1]["shape"], device="cuda")
    found = library[name](x, table, rows=batch.tokens, batch=batch)[0]
    expected = rotated(part(x).double(), table[batch.positions].double(), interleaved)
    assert relative_error(found, expected) < TOLERANCES[dtype]
    assert torch.equal(found[..., dims:], part(x)[..., dims:])


@pytest.mark.parametrize("name", KERNELS)
def test_rows_past_the_count_are_left(library, name):
    shape = library[name].description["operands"][0]["shape"]
    dtype = torch.float32 if name == "float32" else torch.bfloat16
    x = torch.zeros(3, *shape[1:], dtype=dtype)
    table = torch.ones(library[name].description["operands"][1]["shape"])
    launches, results = library[name].prepare(x, table, rows=3, bound=40, capacity=40, batch=Batch([(0, 3)]))
    launches.run()
    torch.cuda.synchronize()
    assert not results[0][:3].any()
    assert results[0][3:].isnan().all()
