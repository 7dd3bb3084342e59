"""What every benchmark measures with: times with cold caches, peers that may be missing, and the machine's limits."""

import json
import os
import subprocess
import sys
from pathlib import Path

import torch

from harness import relative_error, time_us
from report import Limits

BLOCK = 128
# Operands take turns so that together they are several times the second-level cache.
COLD_BYTES = 200e6
BUNDLE = Path(os.environ.get("EPIGRAPH_BUNDLE", "build/gpu-bundle"))
EPIGRAPH = BUNDLE / "bin/epigraph"


def turns(size: int, most: int = 16) -> int:
    """How many operands of `size` bytes take turns."""
    return max(1, min(most, int(COLD_BYTES / size)))


def note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def peer_us(name: str, calls) -> dict[str, float]:
    """{name: microseconds}; nothing, and a note, where this PyTorch cannot do it."""
    try:
        return {name: time_us(calls)}
    except (RuntimeError, AttributeError, ValueError) as error:
        note(f"no {name}: {str(error).splitlines()[0]}")
        return {}


def error_to_peer(found: torch.Tensor, make) -> float | None:
    """Relative error to what the peer makes; None where it cannot."""
    try:
        return relative_error(found, make()[: len(found)])
    except (RuntimeError, AttributeError, ValueError):
        return None


def random_fp8(*shape) -> torch.Tensor:
    """Normal values; in pieces, since whole matrices of float32 would take several times the room."""
    values = torch.empty(shape, dtype=torch.float8_e4m3fn, device="cuda")
    for piece in values.view(-1, shape[-1]).split(1 << 14):
        piece.copy_(torch.randn(piece.shape, device="cuda", dtype=torch.bfloat16))
    return values


def random_scales(*shape) -> torch.Tensor:
    return torch.rand(shape, device="cuda") * 0.02 + 0.01


def read_limit() -> float:
    done = subprocess.run([EPIGRAPH, "doctor", "--json", "--gpu", "0"], capture_output=True, text=True, timeout=60, check=True)
    return json.loads(done.stdout)["memory"]["gbps"] * 1e9


def product_limits() -> dict[str, float]:
    """Operations a second of PyTorch's largest products: cuBLASLt's bf16, and FP8 with a scale for each tensor."""
    best = dict.fromkeys(["bf16", "fp8"], 0.0)
    one = torch.ones((), device="cuda")
    for rows, columns, depth in [(4096, 4096, 7168), (8192, 8192, 8192), (8192, 4096, 7168)]:
        x = torch.randn(rows, depth, device="cuda", dtype=torch.bfloat16)
        w = torch.randn(columns, depth, device="cuda", dtype=torch.bfloat16)
        x8, w8 = x.to(torch.float8_e4m3fn), w.to(torch.float8_e4m3fn)
        products = {
            "bf16": lambda x=x, w=w: torch.mm(x, w.T),
            "fp8": lambda x=x8, w=w8: torch._scaled_mm(x, w.T, one, one, out_dtype=torch.bfloat16, use_fast_accum=True),
        }
        for name, product in products.items():
            best[name] = max(best[name], 2 * rows * columns * depth / time_us([product], rounds=3) * 1e6)
    return best


def measured_limits() -> Limits:
    return Limits(read_limit(), product_limits())


def machine() -> dict:
    """What a table must say of where it was measured."""
    query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    gpus = subprocess.run(query, capture_output=True, text=True, timeout=30, check=True).stdout.strip().splitlines()
    commit = BUNDLE / "commit"
    return {"gpus": gpus, "torch": torch.__version__, "commit": commit.read_text().strip() if commit.exists() else "unknown"}
