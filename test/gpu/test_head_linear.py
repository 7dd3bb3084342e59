"""Projections of heads against PyTorch in float64."""

from pathlib import Path

import pytest
import torch

from harness import compiled, poisoned, relative_error
from test_skinny_linear import Case
from test_wide_linear import dequantized, tolerance

# Up to 8, 32 and 64 rows are multiplied at a time.
ROWS = [0, 1, 7, 8, 9, 31, 32, 33, 64, 65, 130]


def names():
    lines = (Path(__file__).parent / "kernels/head_linear.mlir").read_text().splitlines()
    return [line.split("@")[1].split("(")[0] for line in lines if line.startswith("exec.kernel")]


@pytest.fixture(scope="module")
def library():
    return compiled("head_linear")


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("name", names())
def test_agrees_with_the_definition(library, name, rows):
    kernel, capacity = library[name], (rows + 7) // 4 * 4
    case = Case(kernel, rows, capacity)
    expected = case.expected().flatten(1) if rows else None
    for variant in kernel.description["variants"]:
        if variant["most_rows"] and rows > variant["most_rows"]:
            continue
        launches, results = kernel.prepare(*case.operands, rows=rows, capacity=capacity, variant=variant)
        launches.run()
        torch.cuda.synchronize()
        past = results[0][rows:].view(torch.uint8)
        assert torch.equal(past, poisoned(past.shape, torch.uint8)), "rows past the last were written"
        if not rows:
            continue
        found = results[0][:rows].flatten(1)
        if len(results) == 2:
            found = dequantized(found, results[1], capacity)
        exact = results[0].dtype == torch.float32
        assert relative_error(found, expected) < (1e-5 if exact else tolerance(name, results))
