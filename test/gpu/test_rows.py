"""Fused rows against their definitions in float64, with the roundings that the types of values say."""

import pytest
import torch

from harness import compiled, relative_error

ROWS = [0, 1, 3, 130, 1000]
FP8_LARGEST, LEAST_AMAX = 448.0, 1e-4


@pytest.fixture(scope="module")
def library():
    return compiled("rows")


def rounded(x):
    return x.bfloat16().double()


def norm(x, w, eps=1e-6):
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + eps) * w


def silu(x):
    return x * torch.sigmoid(x)


def swiglu(x):
    gate, up = x.chunk(2, -1)
    return rounded(silu(gate)) * up


def clamped_swiglu(x):
    gate, up = x.chunk(2, -1)
    gate, up = gate.clamp(max=7.0), up.clamp(-7.0, 7.0)
    return (up + 1) * gate * torch.sigmoid(1.702 * gate)


class Quantized:
    """What the values and scales of a quantization should give together."""

    def __init__(self, values):
        self.values = values


DEFINITIONS = {
    "rms_norm": lambda x, w: [norm(x, w)],
    "rms_norm_short": lambda x, w: [norm(x, w, 1e-5)],
    "rms_norm_float32": lambda x, w: [norm(x, w)],
    "rms_norm_x2": lambda x, w, v: [norm(x[:, :1536], w), norm(x[:, 1536:2048], v)],
    "rms_norm_x2_concat": lambda x, w, y, v: [torch.cat([norm(y, v), norm(x, w)], -1)],
    "rms_norm_heads": lambda x, w, v: [norm(x[:, :4096].reshape(-1, 32, 128), w), norm(x[:, 4096:4608].reshape(-1, 4, 128), v)],
    "rms_norm_heads_96": lambda x, w: [norm(x, w)],
    "add_rms_norm": lambda x, r, w: [x + r, norm(rounded(x + r), w)],
    "add_rms_norm_quantize": lambda x, r, w: [x + r, Quantized(rounded(norm(rounded(x + r), w)))],
    "quantize": lambda x: [Quantized(x)],
    "quantize_partial": lambda x: [Quantized(x)],
    "quantize_odd": lambda x: [Quantized(x)],
    "swiglu": lambda x: [swiglu(x)],
    "swiglu_quantize": lambda x: [Quantized(rounded(swiglu(x)))],
    "clamped_swiglu": lambda x: [clamped_swiglu(x)],
    "gated_add": lambda x, g, y, b: [rounded(rounded(x * rounded(torch.sigmoid(g))) + y) + b],
    "softmax": lambda x: [x.softmax(-1)],
    "softmax_long": lambda x: [x.softmax(-1)],
}


def operands_of(kernel, rows):
    """Random operands, of rows of very different sizes; rows of zeros among them."""
    operands = []
    for description in kernel.description["operands"]:
        shape = [rows if size == -1 else size for size in description["shape"]]
        x = torch.randn(shape, device="cuda")
        if description["shape"][0] == -1 and rows > 2:
            x *= torch.logspace(-3, 1, rows, device="cuda").reshape(-1, *[1] * (x.dim() - 1))
            x[1] = 0
        operands.append(x if description["element"] == "f32" else x.bfloat16())
    return operands


def scales_of(result, rows):
    """Column-major scales as [rows, blocks]."""
    capacity, blocks = result.shape
    return result.reshape(-1)[: capacity * blocks].reshape(blocks, capacity).T[:rows]


def check_quantized(expected, values, scales):
    rows, columns = expected.shape
    padded = torch.nn.functional.pad(expected, (0, -columns % 128)).reshape(rows, -1, 128)
    scale = (padded.abs().amax(-1).clamp(min=LEAST_AMAX).float() / FP8_LARGEST).double()
    assert relative_error(scales, scale) < 1e-2  # amax may be the neighbouring bf16.
    found = values.double() * scales.double().repeat_interleave(128, -1)[:, :columns]
    # Half a unit of 3 bits of mantissa, or of the least subnormal of the block.
    bound = expected.abs() / 16 + scale.repeat_interleave(128, -1)[:, :columns] * 2.0**-10
    assert ((found - expected).abs() <= 1.15 * bound + 1e-12).all()


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("name", DEFINITIONS)
def test_agrees_with_the_definition(library, name, rows):
    torch.manual_seed(rows + 1)
    kernel = library[name]
    operands = operands_of(kernel, rows)
    capacity = (rows + 7) // 4 * 4
    launches, results = kernel.prepare(*operands, rows=rows, capacity=capacity)
    launches.run()
    torch.cuda.synchronize()
    expected = DEFINITIONS[name](*[x.double() for x in operands])
    results = iter(results)
    if rows == 0:
        assert all((result.view(torch.uint8) == 0xFF).all() for result in results), "something was written"
        return
    for value in expected:
        result = next(results)
        assert (result[rows:].view(torch.uint8) == 0xFF).all(), "rows past the last were written"
        if isinstance(value, Quantized):
            check_quantized(value.values, result[:rows], scales_of(next(results), rows))
        else:
            tolerance = 1e-5 if result.dtype == torch.float32 else 4e-3
            assert relative_error(result[:rows], value) < tolerance


def test_exact_quantization(library):
    """Values whose quotients are exact, and ties, are rounded to even."""
    x = torch.zeros(4, 2048, device="cuda")
    x[:, ::128] = 448.0
    x[:, 1::128], x[:, 2::128], x[:, 3::128] = 17.0, 19.0, -0.0009765625  # ties of 16..20, and of 0 and the least
    values, scales = library["quantize"](x.bfloat16(), rows=4)
    assert (scales_of(scales, 4) == 1.0).all()
    assert torch.equal(values.float()[:, :4], torch.tensor([[448.0, 16.0, 20.0, 0.0]] * 4, device="cuda"))


@pytest.mark.parametrize("name", ["add_rms_norm_quantize", "rms_norm_x2"])
def test_fewer_rows_than_the_host_knows_of(library, name):
    """A launch for 30 rows of which the step has 3: as when a recorded step is replayed."""
    operands = operands_of(library[name], 3)
    expected = library[name](*operands, rows=3, capacity=32)
    found = library[name](*operands, rows=3, capacity=32, bound=30)
    assert all(torch.equal(a.view(torch.uint8), b.view(torch.uint8)) for a, b in zip(found, expected, strict=True))
