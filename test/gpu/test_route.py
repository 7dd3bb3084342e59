"""Routing against PyTorch: ids exactly, where choices differ by more than rounding, and weights."""

import pytest
import torch

from harness import compiled

# Of each kernel: score function, groups kept of how many, whether a group's score is the sum of its two best, top_k,
# normalized, scale, biased.
ROUTES = {
    "deepseek_v3": ("sigmoid", 8, 4, True, 8, True, 2.5, True),
    "tiny": ("sigmoid", 4, 2, True, 4, True, 2.5, True),
    "deepseek_v2": ("softmax", 8, 3, False, 6, False, 16.0, False),
    "qwen3": ("softmax", 1, 1, False, 8, True, 1.0, False),
    "uneven": ("identity", 3, 2, True, 3, False, 1.0, False),
    "few": ("softmax", 1, 1, False, 6, False, 1.0, False),
    "many": ("sigmoid", 16, 8, True, 16, True, 1.0, True),
}
ROWS = [0, 1, 3, 4, 5, 130, 4096]


@pytest.fixture(scope="module")
def library():
    return compiled("route")


def first_best(values: torch.Tensor, count: int) -> torch.Tensor:
    """Indices of the largest values in falling order; the lower index wins a tie."""
    return torch.sort(values, dim=-1, descending=True, stable=True).indices[:, :count]


def expected(logits, bias, route):
    score, groups, top_groups, two, top_k, normalize, scale, _ = route
    scores = {"sigmoid": torch.sigmoid, "softmax": lambda x: torch.softmax(x, -1), "identity": lambda x: x}[score](logits.double()).float()
    choice = scores + bias if bias is not None else scores
    if groups > 1:
        grouped = choice.view(len(choice), groups, choice.shape[1] // groups)
        best = grouped.topk(2 if two else 1, dim=-1).values.sum(-1)
        kept = torch.zeros_like(best).scatter_(1, first_best(best, top_groups), 1).bool()
        choice = torch.where(kept[:, :, None], grouped, -torch.inf).view_as(choice)
    ids = first_best(choice, top_k)
    weights = scores.gather(1, ids)
    if normalize:
        weights = weights / (weights.sum(-1, keepdim=True) + 1e-20)
    return ids, weights * scale


def inputs(library, name, rows, seed, steps):
    """Logits whose scores and choices lie apart: multiples of 1/`steps`, without two equal ones in a row if there are so many."""
    generator = torch.Generator().manual_seed(seed)
    experts = library[name].description["operands"][0]["shape"][1]
    order = torch.stack([torch.randperm(experts, generator=generator) for _ in range(rows)]) if rows else torch.zeros(0, experts)
    logits = (order.float() - experts / 2) / steps
    bias = torch.randn(experts, generator=generator) if ROUTES[name][-1] else None
    return logits, bias


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("name", ROUTES)
def test_route(library, name, rows):
    logits, bias = inputs(library, name, rows, seed=rows, steps=64)
    operands = [logits] if bias is None else [logits, bias]
    ids, weights = library[name](*operands, rows=rows)
    want_ids, want_weights = expected(logits, bias, ROUTES[name])
    same = (ids.cpu() == want_ids).all(-1)
    # A sum of score and bias may round apart in a few rows.
    assert same.float().mean() >= 0.99 if rows else True
    torch.testing.assert_close(weights.cpu()[same], want_weights[same], rtol=1e-5, atol=1e-7)
    if ROUTES[name][0] == "identity":
        assert same.all()


@pytest.mark.parametrize("name", ROUTES)
def test_ties_go_to_the_lower_index(library, name):
    """All logits equal, and of both signs of zero."""
    experts = library[name].description["operands"][0]["shape"][1]
    logits = torch.zeros(2, experts)
    logits[1, ::2] = -0.0
    operands = [logits, torch.zeros(experts)] if ROUTES[name][-1] else [logits]
    ids, _ = library[name](*operands, rows=2)
    assert ids.cpu().tolist() == [list(range(ROUTES[name][4]))] * 2


@pytest.mark.parametrize("name", ROUTES)
def test_ids_stay_in_range_without_numbers(library, name):
    experts = library[name].description["operands"][0]["shape"][1]
    logits = torch.full((3, experts), torch.nan)
    logits[1] = -torch.nan
    logits[2] = -torch.inf
    operands = [logits, torch.zeros(experts)] if ROUTES[name][-1] else [logits]
    ids, _ = library[name](*operands, rows=3)
    assert ((ids >= 0) & (ids < experts)).all()
