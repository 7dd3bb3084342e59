"""Norms, rotations and the append of one kernel against their definitions in float64, with the roundings that types say."""

import pytest
import torch

from batch import PAGE, Batch
from harness import compiled, relative_error
from test_rope import rotated
from test_rows import check_quantized, norm, scales_of

# Of what is rounded to bf16 three times at most; of float32.
TOLERANCES = {torch.bfloat16: 6e-3, torch.float32: 1e-5}
BATCHES = {
    "none": [],
    "first token": [(0, 1)],
    "one token of each": [(5, 1), (0, 1), (1000, 1), (63, 1), (64, 1)],
    "ragged": [(5, 7), (0, 1), (1000, 30), (62, 4)],
    "many rows": [(17, 300), (0, 213), (63, 1)],
}


@pytest.fixture(scope="module")
def library():
    return compiled("token_rows")


class Reference:
    """What each kernel makes of its projection: results in order, then the parts of an entry."""

    def __init__(self, table, positions, dtype):
        self.table, self.positions, self.dtype = table, positions, dtype

    def rounded(self, x):
        return x.to(self.dtype).double()

    def heads(self, x, columns, w=None):
        """Rotated heads, normalised before if there are weights."""
        x = x.reshape(-1, x.shape[1] // columns, columns)
        x = self.rounded(norm(x, w)) if w is not None else x
        return rotated(x, self.table[self.positions].double(), False)

    def qwen3(self, x, q_norm, k_norm):
        keys = self.heads(x[:, 4096:4608], 128, k_norm)
        return [self.heads(x[:, :4096], 128, q_norm)], [keys, x[:, 4608:]]

    def llama(self, x):
        return [self.heads(x[:, :4096], 128)], [self.heads(x[:, 4096:5120], 128), x[:, 5120:]]

    def deepseek(self, x, q_norm, kv_norm):
        latent = self.rounded(norm(x[:, 1536:2048], kv_norm))
        keys = rotated(x[:, 2048:], self.table[self.positions].double(), True)
        return [self.rounded(norm(x[:, :1536], q_norm))], [latent, keys]

    def norms_of_rows(self, x, q_norm, k_norm):
        queries = self.heads(norm(x[:, :1024], q_norm, 1e-5), 64)
        keys = self.heads(norm(x[:, 1024:1280], k_norm, 1e-5), 64)
        return [queries, keys], [keys, x[:, 1280:]]

    def narrow(self, x, bias):
        return [self.heads(self.rounded(x + bias), 32)[:, 0]], None


def random_operands(kernel, tokens, cache):
    """Operands in order: `cache` for the cache; and of these, the table."""
    operands, table = [], None
    for description in kernel.description["operands"]:
        if "entry" in description:
            operands.append(cache)
            continue
        x = torch.randn([tokens if size == -1 else size for size in description["shape"]], device="cuda")
        operands.append(x if description["element"] == "f32" else x.bfloat16())
        if len(description["shape"]) == 2 and description["shape"][0] != -1:
            table = x
    return operands, table


def check_cache(cache, before, batch, parts, dtype):
    """The batch's entries hold `parts`, all others what they held."""
    slots = torch.cat([batch.slots(row, old + new)[old:] for row, (old, new) in enumerate(batch.sequences)]).cuda()
    others = torch.ones(cache.shape[0], dtype=torch.bool, device="cuda")
    others[slots] = False
    assert torch.equal(cache[others], before[others]), "another entry was written"
    start = 0
    for part in parts:
        part = part.reshape(batch.tokens, -1)
        assert relative_error(cache[slots, start : start + part.shape[1]], part) < TOLERANCES[dtype]
        start += part.shape[1]
    assert start == cache.shape[1]


@pytest.mark.parametrize("name", ["qwen3", "llama", "deepseek", "norms_of_rows", "narrow"])
@pytest.mark.parametrize("case", BATCHES)
def test_agrees_with_the_definitions(library, name, case):
    torch.manual_seed(1)
    kernel, batch = library[name], Batch(BATCHES[case])
    described = kernel.description["operands"]
    dtype = torch.float32 if described[0]["element"] == "f32" else torch.bfloat16
    entry = max(d.get("entry", 0) for d in described)
    before = torch.randn(batch.page_count * PAGE, entry, device="cuda").to(dtype)
    cache = before.clone()
    operands, table = random_operands(kernel, batch.tokens, cache)
    capacity = (batch.tokens + 11) // 4 * 4
    launches, results = kernel.prepare(*operands, rows=batch.tokens, bound=batch.tokens + 5, capacity=capacity, batch=batch)
    launches.run()
    torch.cuda.synchronize()
    if not batch.tokens:
        assert torch.equal(cache, before)
        assert all((result.view(torch.uint8) == 0xFF).all() for result in results), "something was written"
        return
    inputs = [x.double() for x in operands if x is not table and x is not cache]
    expected, parts = getattr(Reference(table, batch.positions, dtype), name)(*inputs)
    if name == "deepseek":
        check_quantized(expected[0], results[0][: batch.tokens], scales_of(results.pop(), batch.tokens))
    else:
        for found, value in zip(results, expected, strict=True):
            assert relative_error(found[: batch.tokens], value) < TOLERANCES[dtype]
    assert all((result[batch.tokens :].view(torch.uint8) == 0xFF).all() for result in results), "rows past the last were written"
    if parts:
        check_cache(cache, before, batch, parts, dtype)
