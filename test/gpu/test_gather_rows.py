"""Kernels that copy whole rows, and the choice of replicas: to the bit."""

import pytest
import torch

from batch import Batch
from harness import compiled

ROWS = [0, 1, 2, 7, 64, 1000]


@pytest.fixture(scope="module")
def library():
    return compiled("gather_rows")


def random_rows(rows, columns, dtype, seed=0):
    generator = torch.Generator().manual_seed(seed)
    if dtype == torch.int32:
        return torch.randint(-(2**31), 2**31 - 1, (rows, columns), dtype=dtype, generator=generator)
    return torch.randn(rows, columns, generator=generator).to(dtype)


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("name, vocabulary, columns, dtype", [("embedding", 1000, 7168, torch.bfloat16), ("embedding_odd", 7, 45, torch.float32)])
def test_embedding(library, name, vocabulary, columns, dtype, rows):
    table = random_rows(vocabulary, columns, dtype)
    ids = torch.randint(0, vocabulary, (rows,), dtype=torch.int32)
    (found,) = library[name](ids, table, rows=rows)
    assert torch.equal(found.cpu(), table[ids.long()])


@pytest.mark.parametrize("outputs", [[], [0], [999, 3, 3, 500]])
@pytest.mark.parametrize("name, columns", [("output_rows", 7168), ("output_rows_odd", 45)])
def test_output_rows(library, name, columns, outputs):
    """There are more rows than outputs, which the launch counts."""
    x = random_rows(1000, columns, torch.bfloat16)
    launches, (result,) = library[name].prepare(x, rows=len(outputs), capacity=1000, batch=Batch([(0, 1000)], outputs=outputs))
    launches.run()
    torch.cuda.synchronize()
    assert torch.equal(result[: len(outputs)].cpu(), x[outputs])
    assert (result[len(outputs) :].view(torch.uint8) == 0xFF).all()


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("name, columns, dtype", [("halve", 2048, torch.bfloat16), ("halve_ids", 3, torch.int32)])
def test_halve_rows(library, name, columns, dtype, rows):
    x = random_rows(rows, columns, dtype)
    first, second = library[name](x, rows=rows)
    half = -(-rows // 2)
    assert torch.equal(first[:half].cpu(), x[:half])
    assert torch.equal(second[: rows - half].cpu(), x[half:])


@pytest.mark.parametrize("rows", ROWS)
def test_join_rows(library, rows):
    x = random_rows(rows, 2048, torch.bfloat16)
    half = -(-rows // 2)
    (joined,) = library["join"](x[:half], x[half:], rows=rows)
    assert torch.equal(joined.cpu(), x)


@pytest.mark.parametrize("rows", ROWS)
def test_assign_replicas(library, rows):
    table = torch.zeros(32, 4, dtype=torch.int32)
    table[:, 0] = torch.arange(32) % 3 + 1
    table[:, 1:] = torch.randint(0, 100, (32, 3))
    ids = torch.randint(0, 32, (rows, 8), dtype=torch.int32)
    (slots,) = library["assign_replicas"](ids, table, rows=rows)
    lines = table[ids.long()].long()
    want = lines.gather(2, 1 + torch.arange(rows)[:, None, None] % lines[:, :, :1])[:, :, 0]
    assert torch.equal(slots.cpu(), want.int())
