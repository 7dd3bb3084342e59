"""What stands around experts as one kernel: to the bit what the kernels give that it is made of."""

import pytest
import torch

from harness import DTYPES, compiled
from permuted import capacity_of, run, same_bits, scales_of

# Around the bounds of variants, and of what a block orders at a time.
ROWS = [0, 1, 7, 8, 9, 32, 33, 264, 512, 4096]


@pytest.fixture(scope="module")
def library():
    return compiled("expert_rows")


@pytest.fixture(scope="module")
def permutes():
    return compiled("permute")


@pytest.fixture(scope="module")
def routes():
    return compiled("route")


def random_rows(shape, dtype, generator):
    """Rows of very different sizes."""
    return (torch.randn(shape, generator=generator) * torch.logspace(-6, 3, max(shape[0], 1))[: shape[0], None]).to(dtype)


def check_quantized(library, name, x, order, found, scales):
    """Rows in `order`, whose entries are choices, and their scales, against rows that are quantized as they are."""
    count, rows = len(order), len(x)
    top_k, capacity = count // max(rows, 1), capacity_of(rows)
    if rows == 0:
        return
    want, want_scales = run(library[name + "_quantize"], x, rows=rows)
    assert same_bits(found[:count], want[order // top_k])
    room = capacity * top_k
    assert torch.equal(scales_of(scales, room, count), scales_of(want_scales, capacity, rows)[order // top_k])
    assert (found[count:].view(torch.uint8) == 0xFF).all(), "rows past the last were written"
    assert scales_of(scales, room, room)[count:].isnan().all(), "scales past the last were written"


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("name", ["deepseek_v3", "tiny", "odd"])
def test_permute_and_quantize(library, name, rows):
    generator = torch.Generator().manual_seed(rows)
    kernel = library[name + "_permute_quantize"]
    (columns, element), (top_k, _) = [(d["shape"][1], d["element"]) for d in kernel.description["operands"]]
    experts = kernel.description["results"][3]["shape"][0]
    x = random_rows((rows, columns), DTYPES[element], generator)
    ids = torch.rand(rows, experts, generator=generator).topk(top_k, -1).indices.int()
    found, scales, slots, counts = run(kernel, x, ids, rows=rows, times=top_k)
    order = torch.sort(ids.flatten(), stable=True).indices.cuda()
    want_slots = torch.empty_like(order)
    want_slots[order] = torch.arange(ids.numel(), device="cuda")
    assert torch.equal(counts.cpu(), torch.bincount(ids.flatten(), minlength=experts).int())
    assert torch.equal(slots[:rows], want_slots.view(ids.shape).int())
    check_quantized(library, name, x, order, found, scales)


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("name", ["deepseek_v3", "qwen3", "tiny"])
def test_route_and_permute(library, permutes, routes, name, rows):
    generator = torch.Generator().manual_seed(rows)
    kernel = library[name + ("_route_permute_quantize" if name == "deepseek_v3" else "_route_permute")]
    shapes = [d["shape"] for d in kernel.description["operands"]]
    routing = [torch.randn(rows if shape[0] == -1 else shape[0], *shape[1:], generator=generator) for shape in shapes[:-1]]
    x = random_rows((rows, shapes[-1][1]), torch.bfloat16, generator)
    want_ids, want_weights = run(routes[name], *routing, rows=rows)
    top_k = want_ids.shape[1]
    ids, weights, *found, slots, counts = run(kernel, *routing, x, rows=rows, times=top_k)
    assert torch.equal(ids[:rows], want_ids[:rows]) and torch.equal(weights[:rows], want_weights[:rows])
    assert (ids[rows:] == -1).all(), "rows past the last were written"
    want, want_slots, want_counts = run(permutes[name], x, want_ids[:rows].cpu(), rows=rows, times=top_k)
    assert torch.equal(slots[:rows], want_slots[:rows]) and torch.equal(counts, want_counts)
    if len(found) == 1:
        assert same_bits(found[0], want)
    else:
        check_quantized(library, name, x, torch.sort(ids[:rows].flatten(), stable=True).indices, *found)


def test_fewer_rows_than_the_host_knows_of(library):
    """A launch for 8 rows of which the step has 3: as when a recorded step is replayed."""
    generator = torch.Generator().manual_seed(0)
    operands = [torch.randn(3, 128, generator=generator), torch.randn(3, 2048, generator=generator).bfloat16()]
    expected = run(library["qwen3_route_permute"], *operands, rows=3, times=8)
    found = run(library["qwen3_route_permute"], *operands, rows=3, times=8, bound=8)
    assert all(same_bits(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("name", ["deepseek_v3", "qwen3", "odd"])
def test_unpermute_and_norm(library, permutes, name, rows):
    """Of kernels apart, the first rounds its sums."""
    generator = torch.Generator().manual_seed(rows)
    fused, apart = library[name + "_back_norm"], library[name + "_norm"]
    (_, columns), (_, top_k) = [d["shape"] for d in fused.description["operands"][:2]]
    experts_rows = random_rows((rows * top_k, columns), torch.bfloat16, generator)
    slots = torch.randperm(rows * top_k, generator=generator).view(rows, top_k).int()
    weights = torch.rand(rows, top_k, generator=generator)
    others = [torch.randn(rows, columns, generator=generator).bfloat16() for _ in apart.description["operands"][2:]]
    others.append(torch.randn(columns, generator=generator).bfloat16())
    results = run(fused, experts_rows, slots, weights, *others, rows=rows, times=top_k)
    back = permutes[name + ("_back_bf16" if name == "odd" else "_back")]
    sums = run(back, experts_rows, slots, weights, rows=rows, times=top_k)[0][:rows]
    for found, want in zip(results, run(apart, sums, *others, rows=rows), strict=True):
        if found.dtype == torch.float32:
            found, want = [scales_of(scales, capacity_of(rows), rows) for scales in (found, want)]
            assert torch.equal(found, want)
        else:
            assert same_bits(found[:rows], want[:rows])
