"""The token that each row of logits chooses: exact, whether it is the largest or drawn."""

import csv
from pathlib import Path

import pytest
import torch

from batch import Batch
from harness import DTYPES, compiled, time_us

NAMES = ["vocabulary", "vocabulary_bf16", "odd", "odd_bf16", "small", "one_column", "part"]
# None, one, the last and the first of the rows that a variant takes, more rows than are read at once.
ROWS = [0, 1, 3, 16, 17, 64, 65, 300]
NOT_WRITTEN = -7
PART = slice(36, 100)  # of kernel "part", which reads these columns in place
GOLDENS = next(path for path in (Path(__file__).parent / "sampling.csv", Path(__file__).parents[1] / "goldens/sampling.csv") if path.exists())


@pytest.fixture(scope="module")
def library():
    return compiled("sample")


def shape_of(library, name):
    described = library[name].description["operands"][0]
    return described["shape"][1], DTYPES[described["element"]]


def read_by(name, x):
    return x[:, PART] if name == "part" else x


def largest(x):
    """The first column of the largest; -1 where one is not a number."""
    x = x.double()
    columns = torch.arange(x.shape[1], device=x.device)
    most = x.amax(dim=1, keepdim=True) if x.shape[0] else x[:, :1]
    first = torch.where(x == most, columns, x.shape[1]).amin(dim=1)
    return torch.where(x.isnan().any(dim=1), -1, first).int()


def batch_of(sampling):
    return Batch([(0, len(sampling))] if sampling else [], sampling=sampling)


def chosen(library, name, x, sampling=(), **options):
    rows = x.shape[0]
    batch = batch_of(list(sampling)) if sampling else None
    launches, (result,) = library[name].prepare(x, rows=rows, capacity=rows + 4, batch=batch, **options)
    result.fill_(NOT_WRITTEN)
    launches.run()
    torch.cuda.synchronize()
    library.check_workspace()
    assert (result[rows:] == NOT_WRITTEN).all(), "written past the rows"
    return result[:rows]


def expect(found, want, what=""):
    wrong = (found != want).nonzero().flatten().tolist()
    assert not wrong, f"{what} rows {wrong[:5]} of {len(wrong)}: {found[wrong[:5]].tolist()} for {want[wrong[:5]].tolist()}"


def check(library, name, x, **options):
    expect(chosen(library, name, x, **options), largest(read_by(name, x)))


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("name", NAMES)
def test_random(library, name, rows):
    columns, dtype = shape_of(library, name)
    generator = torch.Generator("cuda").manual_seed(rows)
    check(library, name, torch.randn(rows, columns, device="cuda", generator=generator).to(dtype))


@pytest.mark.parametrize("name", NAMES)
def test_every_place(library, name):
    """The largest at the ends of rows and anywhere between, the others below 0."""
    columns, dtype = shape_of(library, name)
    generator = torch.Generator().manual_seed(1)
    places = torch.cat([torch.tensor([0, columns - 1, columns // 2]), torch.randint(0, columns, (125,), generator=generator)])
    x = -torch.ones(len(places), columns, dtype=dtype, device="cuda")
    x[torch.arange(len(places)), places] = 0.5
    check(library, name, x)


@pytest.mark.parametrize("rows", [2, 40, 70])
@pytest.mark.parametrize("name", NAMES)
def test_ties_go_to_the_first(library, name, rows):
    """Few different numbers, all negative or of both signs of zero; and rows of one number alone."""
    columns, dtype = shape_of(library, name)
    generator = torch.Generator("cuda").manual_seed(2)
    x = torch.randint(-4, -1, (rows, columns), device="cuda", generator=generator).to(dtype)
    check(library, name, x)
    check(library, name, torch.where(x == -2, -0.0, 0.0).to(dtype))
    check(library, name, torch.full_like(x, -3.0))
    # The largest twice, far apart.
    x[:, columns // 3] = 7
    x[:, -1] = 7
    check(library, name, x)


def unordinary(columns, dtype, rows):
    """NaN of either sign anywhere, beside infinities, and a row of minus infinity alone; then ordinary rows."""
    generator = torch.Generator("cuda").manual_seed(3)
    x = torch.randn(rows, columns, device="cuda", generator=generator).to(dtype)
    x[0] = -torch.inf
    x[1, columns // 2] = torch.inf
    x[2, -1] = torch.nan
    x[2, 0] = torch.inf
    x[3, columns * 2 // 3] = -torch.tensor(torch.nan, dtype=dtype)
    x[3, columns * 3 // 4] = torch.inf
    return x


@pytest.mark.parametrize("rows", [4, 40, 70])
@pytest.mark.parametrize("name", NAMES)
def test_what_is_no_ordinary_number(library, name, rows):
    columns, dtype = shape_of(library, name)
    x = unordinary(columns, dtype, rows)
    check(library, name, x)
    # Such rows are not drawn from, whatever they ask for.
    wild = [(7, 1.0, -torch.inf, 1 << 31, 50)] * rows
    found = chosen(library, name, x, wild)
    expect(found[:4], largest(read_by(name, x))[:4])
    assert ((found[4:] >= 0) & (found[4:] < columns)).all()
    for value in (torch.nan, torch.inf):
        x[:] = value
        check(library, name, x)
        expect(chosen(library, name, x, wild), largest(read_by(name, x)))


@pytest.mark.parametrize("name", NAMES)
def test_variants_agree(library, name):
    """Whatever is launched; and for more rows than there are, which the host knows no better."""
    columns, dtype = shape_of(library, name)
    x = torch.randn(24, columns, device="cuda").to(dtype)
    sampling = [(row, [0.0, 1.0, 0.5][row % 3], -torch.inf, [0, 1 << 31, 1 << 30][row % 3], [0, 0, 30][row % 3]) for row in range(24)]
    want = chosen(library, name, x, sampling)
    for variant in library[name].description["variants"]:
        check(library, name, x, variant=variant)
        check(library, name, x[:5], variant=variant, bound=24)
        expect(chosen(library, name, x, sampling, variant=variant), want, variant["launches"][0]["symbol"])


# Draws.


def random_bits(key, count):
    """The first numbers that start at `key` (runtime/base/SplitMix64.h), as int64."""
    wide = lambda bits: bits - (1 << 64) if bits >= 1 << 63 else bits  # noqa: E731
    upper = lambda bits, by: (bits >> by) & ((1 << (64 - by)) - 1)  # noqa: E731
    bits = torch.arange(1, count + 1, device="cuda") * wide(0x9E3779B97F4A7C15) + key
    bits = (bits ^ upper(bits, 30)) * wide(0xBF58476D1CE4E5B9)
    bits = (bits ^ upper(bits, 27)) * wide(0x94D049BB133111EB)
    return bits ^ upper(bits, 31)


def golden_rows():
    """(kernel, logits, sampling without a key, tokens of keys 0, 1, ...) of each line; its head says what they are."""
    names = {("129280", "f32"): "vocabulary", ("151936", "bf16"): "vocabulary_bf16", ("50257", "f32"): "odd"}
    names |= {("2047", "bf16"): "odd_bf16", ("2048", "f32"): "small", ("64", "f32"): "part"}
    with open(GOLDENS) as lines:
        for columns, element, row, scale, reach, top_p, top_k, *tokens in csv.reader(line for line in lines if not line.startswith("#")):
            drawn = (random_bits(int(row), int(columns)) >> 40) & 0xFFFFFF
            logits = ((drawn >> 12) * (drawn & 4095)).float() / 2**20 - 4
            name = names[columns, element]
            if name == "part":
                logits = torch.nn.functional.pad(logits, (PART.start, 0), value=99.0)
            how = (float(scale), float(reach), int(top_p), int(top_k))
            yield name, logits.to(DTYPES[element]), how, [int(token) for token in tokens]


@pytest.fixture(scope="module")
def goldens():
    return list(golden_rows())


@pytest.mark.parametrize("name", [name for name in NAMES if name != "one_column"])
def test_goldens(library, name, goldens):
    """The tokens that the reference chooses, to the bit; by few rows, and by many of all kinds at once."""
    lines = [line[1:] for line in goldens if line[0] == name]
    want = [torch.tensor(tokens, dtype=torch.int32, device="cuda") for _, _, tokens in lines]
    for (logits, how, tokens), expected in zip(lines, want, strict=True):
        sampling = [(key, *how) for key in range(len(tokens))]
        for count in (1, len(tokens)):
            found = chosen(library, name, logits.repeat(count, 1), sampling[:count])
            expect(found, expected[:count], f"{how}:")
    keys = range(len(lines[0][2]))
    mixed = torch.stack([logits for _ in keys for logits, _, _ in lines])
    sampling = [(key, *how) for key in keys for _, how, _ in lines]
    together = torch.stack(want, dim=1).flatten()
    expect(chosen(library, name, mixed, sampling), together, "mixed:")
    expect(chosen(library, name, mixed[:40], sampling[:40]), together[:40], "mixed:")


@pytest.mark.parametrize("name", ["vocabulary", "vocabulary_bf16", "small"])
def test_equal_logits(library, name):
    """The first of equal logits are kept; all of a row's are equal, or many at the end of what is kept."""
    columns, dtype = shape_of(library, name)
    rows = 128
    x = torch.full((rows, columns), 1.5, device="cuda", dtype=dtype)
    found = chosen(library, name, x, [(key, 1.0, -torch.inf, 0, 7) for key in range(rows)])
    assert sorted(set(found.tolist())) == list(range(7))
    x[:, : columns // 2] = 1.0
    x[:, -3] = 2.0
    found = chosen(library, name, x, [(key, 0.01, -torch.inf, 0, 7) for key in range(rows)])
    assert sorted(set(found.tolist())) == [columns // 2 + i for i in range(6)] + [columns - 3]
    # A share of the probability that some of them have together.
    share = int(2**32 * 9.5 / columns)
    found = chosen(library, name, torch.zeros_like(x), [(key, 1.0, -torch.inf, share, 0) for key in range(rows)])
    assert sorted(set(found.tolist())) == list(range(10))


def test_tokens_have_their_probabilities(library):
    """64 tokens drawn 60,000 times: chi-square, which exceeds 110 of 63 degrees of freedom once in 5,000 times."""
    logits = torch.cat([torch.zeros(36), torch.linspace(-2, 1, 64)]).cuda()
    counts = torch.zeros(64, dtype=torch.float64)
    for first in range(0, 60000, 300):
        sampling = [(int(key), 0.8, -torch.inf, 0, 0) for key in random_bits(12345 + first, 300).bitwise_and(2**62 - 1).tolist()]
        counts += torch.bincount(chosen(library, "part", logits.repeat(300, 1), sampling).cpu(), minlength=64)
    want = torch.softmax(logits[PART].double().cpu() * 0.8, 0) * 60000
    assert ((counts - want) ** 2 / want).sum() < 110


def benchmark():
    """Times of rows as models have them: greedy, with a temperature alone, with a top_k, with a top_p, and with both."""
    library = compiled("sample")
    hows = {"greedy": (0.0, 0.0, 0, 0), "T": (1.0, -torch.inf, 0, 0), "k 20": (1.0, -torch.inf, 0, 20)}
    hows |= {"p 0.95": (1.0, -torch.inf, 4080218931, 0), "k 20 p 0.95": (1.0, -torch.inf, 4080218931, 20)}
    for name in ("vocabulary", "vocabulary_bf16"):
        columns, dtype = shape_of(library, name)
        for rows in (1, 16, 64, 128, 256):
            inputs = [(3 * torch.randn(rows, columns, device="cuda")).to(dtype) for _ in range(4 if rows < 64 else 2)]
            times = []
            for how in hows.values():
                batch = batch_of([(row, *how) for row in range(rows)])
                calls = [library[name].prepare(x, rows=rows, batch=batch)[0].run for x in inputs]
                times.append(time_us(calls))
            print(f"{name} {rows}: " + ", ".join(f"{what} {us:.1f}" for what, us in zip(hows, times, strict=True)), flush=True)


if __name__ == "__main__":
    benchmark()
