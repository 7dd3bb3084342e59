"""Projections of few rows, and those without matrix units, against PyTorch in float64."""

from pathlib import Path

import pytest
import torch

from harness import DTYPES, Raw, column_major, compiled, poisoned, relative_error
from test_wide_linear import group_sizes, quantized

ROWS = [0, 1, 7, 8, 9, 33, 130]
BLOCK = 128


LIBRARIES = ("skinny_linear", "narrow_linear", "general_linear")


def names(library: str):
    lines = (Path(__file__).parent / f"kernels/{library}.mlir").read_text().splitlines()
    return [line.split("@")[1].split("(")[0] for line in lines if line.startswith("exec.kernel")]


KERNELS = [(library, name) for library in LIBRARIES for name in names(library)]


@pytest.fixture(scope="module")
def libraries():
    return {name: compiled(name) for name in LIBRARIES}


def spread(scales, shape):
    """The scale of each element of a matrix of `shape`, or of each row's 128 columns."""
    scales = scales.double().repeat_interleave(BLOCK, -1)[..., : shape[-1]]
    if scales.shape[-2] != shape[-2]:
        scales = scales.repeat_interleave(BLOCK, -2)[..., : shape[-2], :]
    return scales


class Case:
    """Random operands of a kernel: x and its scales, counts of groups, w and its scales, and what the epilogue reads."""

    def __init__(self, kernel, rows: int, capacity: int):
        self.name, self.capacity = kernel.description["name"], capacity
        self.generator = torch.Generator().manual_seed(rows)
        self.given = [
            ([rows if size == -1 else size for size in d["shape"]], d["element"]) for d in kernel.description["operands"]
        ]
        self.operands = []
        self.x = self._next()
        if self.x.dtype == torch.float8_e4m3fn:
            scales = self._next(keep=False).abs() + 0.01
            self.operands.append(Raw(column_major(scales, capacity)))
            self.exact_x = self.x.double() * spread(scales, self.x.shape)
        else:
            self.exact_x = self.x.double()
        self.counts = None
        if "grouped" in self.name:
            self.counts = group_sizes(self.given.pop(0)[0][0], rows, self.generator)
            self.operands.append(self.counts)
        w = self._next()
        self.w = w.double()
        if w.dtype == torch.float8_e4m3fn:
            self.w = self.w * spread(self._next(), w.shape)
        self.rest = [self._next() for _ in range(len(self.given))]

    def _next(self, keep: bool = True):
        shape, element = self.given.pop(0)
        if element == "f8E4M3FN":
            value = quantized(shape, self.generator).cuda()
        else:
            value = torch.randn(shape, generator=self.generator).to(DTYPES[element]).cuda()
        if keep:
            self.operands.append(value)
        return value

    def product(self):
        x = self.exact_x
        if "heads" in self.name:
            heads, _, depth = self.w.shape
            if len(x) > 0:
                x = x.reshape(len(x), heads, -1)
            x = x.reshape(-1, heads, x.shape[-1])[..., :depth]
            return torch.einsum("rhk,hnk->rhn", x, self.w)
        if self.counts is None:
            return x @ self.w.T
        parts = x.split(self.counts.tolist())
        y = torch.cat([part @ w.T for part, w in zip(parts, self.w)])
        if self.rest:
            y += self.rest[0].double().repeat_interleave(self.counts.cuda().long(), 0)
        return y

    def expected(self):
        y = self.product()
        if "residual" in self.name:
            return y.bfloat16().double() + self.rest[0].double()
        if "gated" in self.name:
            gate, up = y.bfloat16().double().chunk(2, -1)
            return (gate * torch.sigmoid(gate)).bfloat16().double() * up
        return y


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("library,name", KERNELS)
def test_agrees_with_the_definition(libraries, library, name, rows):
    kernel, capacity = libraries[library][name], (rows + 7) // 4 * 4
    case = Case(kernel, rows, capacity)
    launches, (result,) = kernel.prepare(*case.operands, rows=rows, capacity=capacity)
    launches.run()
    torch.cuda.synchronize()
    past = result[rows:].view(torch.uint8)
    assert torch.equal(past, poisoned(past.shape, torch.uint8)), "rows past the last were written"
    # bf16 rounds to 2^-9; float32 sums differ in their order.
    tolerance = 1e-5 if result.dtype == torch.float32 else 4e-3
    assert relative_error(result[:rows], case.expected()) < tolerance


@pytest.mark.parametrize("library,name", [k for k in KERNELS if "grouped" in k[1]])
def test_all_rows_in_one_group(libraries, library, name):
    """The host's bound is higher than the number of rows."""
    kernel, rows, capacity = libraries[library][name], 40, 64
    for group in (0, -1):
        case = Case(kernel, rows, capacity)
        case.counts.zero_()
        case.counts[group] = rows
        launches, (result,) = kernel.prepare(*case.operands, rows=rows, capacity=capacity, bound=capacity)
        launches.run()
        torch.cuda.synchronize()
        assert relative_error(result[:rows], case.expected()) < 4e-3
