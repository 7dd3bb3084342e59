"""Ordering rows by expert and back, against PyTorch: the order to the bit, sums within rounding."""

import pytest
import torch

from harness import DTYPES, compiled

PERMUTES = ["deepseek_v3", "deepseek_v3_quantized", "qwen3", "tiny", "odd", "split"]
# Around the bounds of the variant for few tokens, and of what a block orders at a time.
ROWS = [0, 1, 2, 31, 32, 33, 264, 265, 1000]


@pytest.fixture(scope="module")
def library():
    return compiled("permute")


def random_bytes(shape, dtype, generator):
    """Any bits, NaN among them: rows are copied as they are."""
    width = torch.empty((), dtype=dtype).element_size()
    bits = torch.randint(0, 256, (*shape[:-1], shape[-1] * width), dtype=torch.uint8, generator=generator)
    return bits.view(dtype)


def random_ids(rows, top_k, experts, spread, generator):
    """Distinct experts for each token; of the first `spread` only where that is enough."""
    among = max(min(experts, spread), top_k)
    return torch.stack([torch.randperm(among, generator=generator)[:top_k] for _ in range(rows)]).to(torch.int32) if rows else torch.zeros(0, top_k, dtype=torch.int32)


def problem(library, name, rows, spread, seed=0):
    generator = torch.Generator().manual_seed(seed * 1000 + rows)
    x, ids = library[name].description["operands"]
    experts = library[name].description["results"][2]["shape"][0]
    return (
        random_bytes((rows, x["shape"][1]), DTYPES[x["element"]], generator),
        random_ids(rows, ids["shape"][1], experts, spread, generator),
        experts,
    )


def permute(library, name, x, ids, **options):
    """All rows, slots and counts: there are more permuted rows than a launch counts."""
    launches, results = library[name].prepare(x, ids, rows=len(x), capacity=max(ids.numel(), 1), **options)
    launches.run()
    torch.cuda.synchronize()
    return results[0][: ids.numel()].cpu(), results[1][: len(x)].cpu(), results[2].cpu()


def check_permute(library, name, x, ids, experts, **options):
    rows, slots, counts = permute(library, name, x, ids, **options)
    order = torch.sort(ids.flatten(), stable=True).indices
    want_slots = torch.empty_like(order)
    want_slots[order] = torch.arange(ids.numel())
    assert torch.equal(counts, torch.bincount(ids.flatten(), minlength=experts).int())
    assert torch.equal(slots, want_slots.view(ids.shape).int())
    source = (x[:, x.shape[1] // 2 :] if name == "split" else x).contiguous().view(torch.uint8)
    assert torch.equal(rows.view(torch.uint8), source[order // ids.shape[1]])


@pytest.mark.parametrize("spread", [1, 10000], ids=["crowded", "spread"])
@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("name", PERMUTES)
def test_permute(library, name, rows, spread):
    check_permute(library, name, *problem(library, name, rows, spread))


@pytest.mark.parametrize("name", ["qwen3", "tiny"])
def test_permute_the_most_tokens(library, name):
    check_permute(library, name, *problem(library, name, 4096, 10000))


def test_fewer_rows_than_the_host_knows_of(library):
    """A launch for 100 rows of which the step has 7: as when a recorded step is replayed."""
    x, ids, experts = problem(library, "tiny", 7, 10000)
    check_permute(library, "tiny", x, ids, experts, bound=100)


def back(library, name, rows, slots, weights, **options):
    launches, results = library[name].prepare(rows, slots, weights, rows=len(slots), capacity=max(slots.numel(), 1), **options)
    launches.run()
    torch.cuda.synchronize()
    return results[0][: len(slots)].cpu(), results[0][len(slots) :].cpu()


@pytest.mark.parametrize("count", [0, 1, 3, 32, 33, 512])
@pytest.mark.parametrize("name", ["deepseek_v3_back", "qwen3_back", "tiny_back", "odd_back", "odd_back_bf16"])
def test_unpermute(library, name, count):
    generator = torch.Generator().manual_seed(count)
    columns = library[name].description["operands"][0]["shape"][1]
    top_k = library[name].description["operands"][1]["shape"][1]
    rows = torch.randn(count * top_k, columns, generator=generator).bfloat16()
    slots = torch.randperm(count * top_k, generator=generator).view(count, top_k).int()
    weights = torch.rand(count, top_k, generator=generator)
    found, rest = back(library, name, rows, slots, weights)
    terms = weights.double()[:, :, None] * rows.double()[slots.long()]
    want = terms.sum(1)
    # A sum may cancel, so that errors are those of its terms; then one rounding of the result.
    bound = terms.abs().sum(1) * 2**-22 + (want.abs() * 2**-8 if found.dtype == torch.bfloat16 else 0)
    assert ((found.double() - want).abs() <= bound).all()
    assert rest.isnan().all(), "rows past the count were written"
