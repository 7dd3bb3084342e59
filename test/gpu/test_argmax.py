"""The largest element of each row: exact, ties and what is not a number included."""

import pytest
import torch

from harness import DTYPES, compiled

NAMES = ["vocabulary", "vocabulary_bf16", "odd", "odd_bf16", "small", "one_column", "part"]
# None, one, the last and the first of the rows that a variant takes, more rows than are read at once.
ROWS = [0, 1, 3, 16, 17, 64, 65, 300]
NOT_WRITTEN = -7
PART = slice(36, 100)  # of kernel "part", which reads these columns in place


@pytest.fixture(scope="module")
def library():
    return compiled("argmax")


def shape_of(library, name):
    described = library[name].description["operands"][0]
    return described["shape"][1], DTYPES[described["element"]]


def read_by(name, x):
    return x[:, PART] if name == "part" else x


def expected(x):
    """The first column of the largest; -1 where one is not a number."""
    x = x.double()
    columns = torch.arange(x.shape[1], device=x.device)
    largest = x.amax(dim=1, keepdim=True) if x.shape[0] else x[:, :1]
    first = torch.where(x == largest, columns, x.shape[1]).amin(dim=1)
    return torch.where(x.isnan().any(dim=1), -1, first).int()


def check(library, name, x, **options):
    rows = x.shape[0]
    launches, (result,) = library[name].prepare(x, rows=rows, capacity=rows + 4, **options)
    result.fill_(NOT_WRITTEN)
    launches.run()
    torch.cuda.synchronize()
    library.check_workspace()
    found, want = result[:rows], expected(read_by(name, x))
    wrong = (found != want).nonzero().flatten().tolist()
    assert not wrong, f"rows {wrong[:5]} of {len(wrong)}: {found[wrong[:5]].tolist()} for {want[wrong[:5]].tolist()}"
    assert (result[rows:] == NOT_WRITTEN).all(), "written past the rows"


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


@pytest.mark.parametrize("rows", [4, 40, 70])
@pytest.mark.parametrize("name", NAMES)
def test_what_is_no_ordinary_number(library, name, rows):
    """NaN of either sign anywhere, beside infinities; rows of minus infinity alone have their first."""
    columns, dtype = shape_of(library, name)
    generator = torch.Generator("cuda").manual_seed(3)
    x = torch.randn(rows, columns, device="cuda", generator=generator).to(dtype)
    x[0] = -torch.inf
    x[1, columns // 2] = torch.inf
    x[2, -1] = torch.nan
    x[2, 0] = torch.inf
    x[3, columns // 3] = -torch.tensor(torch.nan, dtype=dtype)
    x[3, columns // 4] = torch.inf
    check(library, name, x)
    x[:] = torch.nan
    check(library, name, x)
    x[:] = torch.inf
    check(library, name, x)


@pytest.mark.parametrize("name", NAMES)
def test_variants_agree(library, name):
    """Whatever is launched; and for more rows than there are, which the host knows no better."""
    columns, dtype = shape_of(library, name)
    x = torch.randn(24, columns, device="cuda").to(dtype)
    for variant in library[name].description["variants"]:
        check(library, name, x, variant=variant)
        check(library, name, x[:5], variant=variant, bound=24)
