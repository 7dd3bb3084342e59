"""Projections in tiles of wgmma against PyTorch in float64: edges, epilogues, ragged groups, scales."""

import pytest
import torch

from harness import DTYPES, Raw, column_major, compiled, poisoned, relative_error

# None, one, around the tiles' heights, and enough for several tiles of a block.
ROWS = [0, 1, 15, 16, 17, 63, 64, 65, 127, 128, 129, 300, 1111]
BLOCK = 128
# Of groups: empty, one row, and around the tiles' heights.
GROUP_ROWS = [64, 0, 1, 65, 128, 129, 80, 145, 37, 160, 256, 257, 63]


def kernel_names():
    return [line.split("@")[1].split("(")[0] for line in open(f"{__file__.rsplit('/', 1)[0]}/kernels/wide_linear.mlir") if line.startswith("exec.kernel")]


@pytest.fixture(scope="module")
def library():
    return compiled("wide_linear")


def group_sizes(groups: int, rows: int, generator) -> torch.Tensor:
    """Skewed: a third of the groups are empty, and one of the others has half of the rows."""
    weight = torch.rand(groups, generator=generator) * (torch.rand(groups, generator=generator) > 0.33)
    weight[groups // 2] = weight.sum() + 1
    ends = (weight.cumsum(0) / weight.sum() * rows).round().long()
    ends[-1] = rows
    return torch.diff(ends, prepend=torch.zeros(1, dtype=torch.long)).int()


def quantized(shape, generator):
    return torch.randn(shape, generator=generator).clamp(-400, 400).to(torch.float8_e4m3fn)


class Case:
    """Random operands of a kernel, by what its name says it does."""

    def __init__(self, kernel, rows: int, capacity: int, seed: int):
        self.name, self.rows, self.capacity = kernel.description["name"], rows, capacity
        self.generator = torch.Generator().manual_seed(seed)
        shapes = [(d["shape"], d["element"]) for d in kernel.description["operands"]]
        self.has_scales, self.has_groups = self.name.startswith("fp8"), "grouped" in self.name
        take = iter(shapes)
        self.x = self._take(take)
        self.x_scale = self._take(take, torch.rand) + 0.01 if self.has_scales else None
        if self.has_groups:
            self.counts = group_sizes(next(take)[0][0], rows, self.generator)
        self.w = self._take(take)
        self.w_scale = self._take(take, torch.rand) + 0.01 if self.has_scales else None
        self.rest = [self._take(take) for _ in range(len(shapes) - 2 - 2 * self.has_scales - self.has_groups)]

    def _take(self, shapes, random=torch.randn):
        shape, element = next(shapes)
        shape = [self.rows if size == -1 else size for size in shape]
        if element == "f8E4M3FN":
            return quantized(shape, self.generator)
        return random(shape, generator=self.generator).to(DTYPES[element])

    def operands(self):
        operands = [self.x]
        if self.has_scales:
            operands.append(Raw(column_major(self.x_scale.cuda(), self.capacity)))
        if self.has_groups:
            operands.append(self.counts)
        operands.append(self.w)
        if self.has_scales:
            operands.append(self.w_scale)
        return operands + self.rest

    def _exact(self):
        x, w = self.x.cuda().double(), self.w.cuda().double()
        if self.has_scales:
            depth = x.shape[1]
            x = x * self.x_scale.cuda().double().repeat_interleave(BLOCK, -1)[:, :depth]
            scale = self.w_scale.cuda().double().repeat_interleave(BLOCK, -1).repeat_interleave(BLOCK, -2)
            w = w * scale[..., : w.shape[-2], :depth]
        if "view" in self.name:
            x = x[:, x.shape[1] - w.shape[1] :]
        if not self.has_groups:
            return x @ w.T
        parts = x.split(self.counts.tolist())
        y = torch.cat([part @ matrix.T for part, matrix in zip(parts, w)])
        if self.rest:
            y += self.rest[0].cuda().double().repeat_interleave(self.counts.cuda(), 0)
        return y

    def expected(self):
        """float32 values of each result, rounded where the kernel's operations round."""
        y = self._exact()
        if "f32" in self.name:
            return [y.float()]
        y = y.bfloat16()
        if "residual" in self.name:
            return [self.rest[0].cuda() + y]
        if "scaled" in self.name:
            return [y * torch.sigmoid(self.rest[0].cuda()) + self.rest[1].cuda(), y]
        if "gated" in self.name:
            gate, up = y.chunk(2, -1)
            return [torch.nn.functional.silu(gate) * up]
        return [y]


def dequantized(values, scales, capacity):
    columns = values.shape[1]
    by_row = scales.reshape(-1, capacity).T[: len(values)]
    return values.float() * by_row.repeat_interleave(BLOCK, -1)[:, :columns]


# bf16 rounds to 2^-9; e4m3 to 2^-4 of each value, and wgmma sums products of e4m3 to about 14 bits.
def tolerance(name: str, results) -> float:
    if len(results) == 2 and results[0].dtype == torch.float8_e4m3fn:
        return 3.5e-2
    return 1e-5 if "f32" in name else 4e-3


def run(kernel, case, **options):
    launches, results = kernel.prepare(*case.operands(), rows=case.rows, capacity=case.capacity, **options)
    launches.run()
    torch.cuda.synchronize()
    return results


def check(case, results):
    if results[0].dtype == torch.float8_e4m3fn:
        found = [dequantized(results[0][: case.rows], results[1], case.capacity)]
    else:
        found = [result[: case.rows].float() for result in results]
    for got, want in zip(found, case.expected(), strict=True):
        error = relative_error(got, want.float())
        assert error < tolerance(case.name, results), f"relative error {error}"


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("name", kernel_names())
def test_wide_linear(library, name, rows):
    case = Case(library[name], rows, (rows + 7) // 4 * 4, seed=rows)
    results = run(library[name], case)
    past = results[0][rows:].view(torch.uint8)
    assert torch.equal(past, poisoned(past.shape, torch.uint8)), "rows past the last were written"
    if rows > 0:
        check(case, results)


@pytest.mark.parametrize("name", [n for n in kernel_names() if "grouped" in n])
def test_all_rows_in_one_group(library, name):
    """The first or the last group has all rows; the host's bound is higher than their number."""
    for group in (0, -1):
        case = Case(library[name], rows=200, capacity=260, seed=7)
        case.counts = torch.zeros_like(case.counts)
        case.counts[group] = case.rows
        check(case, run(library[name], case, bound=case.capacity))


@pytest.mark.parametrize("name", [n for n in kernel_names() if "grouped" in n])
def test_sizes_of_groups(library, name):
    groups = next(d["shape"][0] for d in library[name].description["operands"] if d["element"] == "i32")
    counts = torch.tensor(GROUP_ROWS).repeat(-(-groups // len(GROUP_ROWS)))[:groups].int()
    rows = int(counts.sum())
    case = Case(library[name], rows, -(-rows // 4) * 4, seed=3)
    case.counts = counts
    check(case, run(library[name], case))
