"""Projections of DeepSeek-V3 beside cuBLASLt, as PyTorch gives it: torch.mm, and torch._scaled_mm with the same block scales."""

import torch

from harness import Raw, column_major, compiled, relative_error, time_us
from measure import BLOCK, error_to_peer, peer_us, random_fp8, random_scales, turns
from report import Row

ROWS = [1, 8, 16, 32, 64, 128, 512, 4096]


def bf16_rows(kernel, columns: int, depth: int):
    copies = turns(columns * depth * 2)
    weights = [torch.randn(columns, depth, device="cuda", dtype=torch.bfloat16) for _ in range(copies)]
    for rows in ROWS:
        x = torch.randn(rows, depth, device="cuda", dtype=torch.bfloat16)
        launches = [kernel.prepare(x, Raw(w), rows=rows) for w in weights]
        us = time_us([one.run for one, _ in launches])
        found = launches[0][1][0][:rows]
        yield Row(
            "linear",
            f"bf16 {columns} x {depth}",
            f"{rows} rows",
            us,
            bytes=2 * (columns * depth + rows * (columns + depth)),
            flops=2 * rows * columns * depth,
            peers=peer_us("mm", [lambda w=w: torch.mm(x, w.T) for w in weights]),
            error=relative_error(found, torch.mm(x, weights[0].T)),
            tolerance=1e-2,
        )


class BlockScaled:
    """x W^T as torch._scaled_mm multiplies it: rows a multiple of 4, scales of x column-major, those of W with as many
    values along K as 4 divides."""

    def __init__(self, x: torch.Tensor, x_scales: torch.Tensor, weight_scales: torch.Tensor):
        rows = -(-len(x) // 4) * 4
        self.x = torch.zeros(rows, x.shape[1], device="cuda").to(torch.float8_e4m3fn)
        self.x[: len(x)] = x
        self.x_scales = torch.ones(x_scales.shape[1], rows, device="cuda").T
        self.x_scales[: len(x)] = x_scales
        blocks = weight_scales.shape[1]
        padded = torch.ones(len(weight_scales), -(-blocks // 4) * 4, device="cuda")
        padded[:, :blocks] = weight_scales
        self.weight_scales = padded[:, :blocks].T

    def __call__(self, w: torch.Tensor) -> torch.Tensor:
        return torch._scaled_mm(self.x, w.T, self.x_scales, self.weight_scales, out_dtype=torch.bfloat16)


def fp8_rows(kernel, columns: int, depth: int):
    weights = [random_fp8(columns, depth) for _ in range(turns(columns * depth))]
    weight_scales = random_scales(-(-columns // BLOCK), depth // BLOCK)
    for rows in ROWS:
        capacity = -(-rows // 4) * 4
        x, x_scales = random_fp8(rows, depth), random_scales(rows, depth // BLOCK)
        operands = [x, Raw(column_major(x_scales, capacity))]
        launches = [kernel.prepare(*operands, Raw(w), weight_scales, rows=rows, capacity=capacity) for w in weights]
        peer = BlockScaled(x, x_scales, weight_scales)
        us = time_us([one.run for one, _ in launches])
        yield Row(
            "linear",
            f"FP8 {columns} x {depth}",
            f"{rows} rows",
            us,
            bytes=columns * depth + rows * (2 * columns + depth),
            flops=2 * rows * columns * depth,
            format="fp8",
            peers=peer_us("scaled_mm", [lambda w=w: peer(w) for w in weights]),
            error=error_to_peer(launches[0][1][0][:rows], lambda: peer(weights[0])),
            tolerance=2e-2,
        )


def benchmark():
    for name, kernel in compiled("deepseek_v3_linear").kernels.items():
        element, columns, depth = name.split("_")
        yield from (bf16_rows if element == "bf16" else fp8_rows)(kernel, int(columns), int(depth))
