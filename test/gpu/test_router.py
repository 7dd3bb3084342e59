"""Norm, projection to logits, routing and permutation as one kernel. Norms and logits are those of PyTorch within rounding; what
follows from the logits and the rows that the kernel gives is so to the bit."""

import pytest
import torch

from harness import DTYPES, compiled, relative_error
from permuted import capacity_of, run, same_bits, scales_of

# Around the bounds of variants: those of one launch, and those of the parts.
ROWS = [0, 1, 2, 3, 4, 5, 8, 9, 33, 200]
KERNELS = ["qwen3", "deepseek_v3", "quantized", "added", "tiny"]


@pytest.fixture(scope="module")
def library():
    return compiled("router")


def operands_of(kernel, rows, seed=0):
    """Rows of different sizes. Every run of a size has the same weights."""
    generator = torch.Generator().manual_seed(seed)
    operands = []
    for description in reversed(kernel.description["operands"]):
        shape = [rows if size == -1 else size for size in description["shape"]]
        x = torch.randn(shape, generator=generator)
        if description["shape"][0] == -1:
            x *= torch.logspace(-2, 1, max(rows, 1))[:rows, None]
        elif len(shape) == 2:
            x *= shape[1] ** -0.5
        operands.append(x.to(DTYPES[description["element"]]))
    return operands[::-1]


class Results:
    """What a kernel gave, by role."""

    def __init__(self, name, kernel, rows, found):
        description = kernel.description["results"]
        self.ids = next(i for i, d in enumerate(description) if d["element"] == "i32")
        self.top_k = description[self.ids]["shape"][1]
        self.logits = found[self.ids - 1][:rows]
        self.normed = [t for t, d in zip(found, description) if d["element"] == "bf16"][1 if name == "added" else 0][:rows]
        self.sums = found[0][:rows]
        self.ofs = found[: self.ids - 1]
        self.chosen, self.weights, *self.permuted, self.slots, self.counts = found[self.ids :]


def check_norm(name, results, operands):
    x = operands[0].cuda()
    if name == "added":
        x = (x.double() + operands[1].cuda().double()).bfloat16()
        assert same_bits(results.sums, x)
    x, weight = x.double(), operands[2 if name == "added" else 1].cuda().double()
    want = x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6) * weight
    assert ((results.normed.double() - want).abs() <= want.abs() * 2**-7.9).all()


def check_logits(name, results, operands):
    matrix = operands[3 if name == "added" else 2].cuda().double()
    want = results.normed.double() @ matrix.T
    assert relative_error(results.logits, want) < 1e-4  # Matrix units cut off what is below the largest addend's bits.


def check_permuted(library, name, results, rows):
    count = rows * results.top_k
    order = torch.sort(results.chosen[:rows].flatten(), stable=True).indices
    slots = torch.empty_like(order)
    slots[order] = torch.arange(count, device="cuda")
    assert torch.equal(results.slots[:rows].flatten(), slots.int())
    experts = results.counts.numel()
    assert torch.equal(results.counts, torch.bincount(results.chosen[:rows].flatten(), minlength=experts).int())
    source = order // results.top_k
    if len(results.permuted) == 1:
        assert same_bits(results.permuted[0][:count], results.normed[source])
    else:
        values, scales = run(library[name + "_quantize"], results.normed, rows=rows)
        scales = scales_of(scales, capacity_of(rows), rows)
        assert same_bits(results.ofs[1][:rows], values[:rows])
        assert torch.equal(scales_of(results.ofs[2], capacity_of(rows), rows), scales)
        assert same_bits(results.permuted[0][:count], values[source])
        assert torch.equal(scales_of(results.permuted[1], capacity_of(rows) * results.top_k, count), scales[source])
    assert (results.permuted[0][count:].view(torch.uint8) == 0xFF).all(), "rows past the last were written"


def check(library, name, rows, **options):
    kernel = library[name]
    operands = operands_of(kernel, rows, seed=rows)
    found = run(kernel, *operands, rows=rows, times=8, **options)
    results = Results(name, kernel, rows, found)
    assert (results.chosen[rows:] == -1).all() and (results.slots[rows:] == -1).all(), "rows past the last were written"
    if rows:
        check_norm(name, results, operands)
        check_logits(name, results, operands)
        bias = [x for x in operands if x.dtype == torch.float32]
        ids, weights = run(library[name + "_route"], results.logits, *bias, rows=rows)
        assert torch.equal(results.chosen[:rows], ids[:rows])
        assert torch.equal(results.weights[:rows], weights[:rows])
        check_permuted(library, name, results, rows)
    else:
        assert (results.counts == 0).all()
    library.check_workspace()
    return found


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("name", KERNELS)
def test_router(library, name, rows):
    check(library, name, rows)


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("rows,bound", [(0, 1), (0, 4), (3, 4), (2, 9)])
def test_fewer_rows_than_the_host_knows_of(library, name, rows, bound):
    """As when a recorded step is replayed."""
    check(library, name, rows, bound=bound)


@pytest.mark.parametrize("rows", [1, 4])
@pytest.mark.parametrize("name", KERNELS)
def test_every_run_gives_the_same_bits(library, name, rows):
    operands = [x.cuda() for x in operands_of(library[name], rows, seed=1)]
    first = run(library[name], *operands, rows=rows, times=8)
    for _ in range(20):
        assert all(same_bits(a, b) for a, b in zip(run(library[name], *operands, rows=rows, times=8), first, strict=True))
