"""What is between the products: routing, ordering by expert and back, norms with residual and quantization, and all of it that
stands before the experts as one kernel, beside its parts; and the largest logit of each row, beside torch.argmax."""

import math

import torch

from batch import PAGE, Batch
from harness import compiled, time_us
from measure import peer_us, turns
from report import Row

TOKENS = [1, 8, 32, 128, 512, 4096]
HIDDEN, EXPERTS, TOP_K = 7168, 256, 8


def routing(library, tokens: int) -> Row:
    logits, bias = torch.randn(tokens, EXPERTS, device="cuda"), torch.rand(EXPERTS, device="cuda")
    launches, _ = library["deepseek_v3"].prepare(logits, bias, rows=tokens)
    return Row("rows", "routing", f"{tokens} tokens", time_us([launches.run]))


def ordering(library, tokens: int):
    ids = torch.rand(tokens, EXPERTS, device="cuda").topk(TOP_K, 1).indices.int()
    for name, case, element in (
        ("deepseek_v3", "permute bf16", torch.bfloat16),
        ("deepseek_v3_quantized", "permute FP8", torch.float8_e4m3fn),
    ):
        x = torch.randn(tokens, HIDDEN, device="cuda").to(element)
        launches, results = library[name].prepare(x, ids, rows=tokens, capacity=tokens * TOP_K)
        yield Row("rows", case, f"{tokens} tokens", time_us([launches.run]), bytes=(1 + TOP_K) * x.numel() * x.element_size())
    rows = torch.randn(tokens * TOP_K, HIDDEN, device="cuda").bfloat16()
    shares = torch.rand(tokens, TOP_K, device="cuda")
    launches, _ = library["deepseek_v3_back"].prepare(rows, results[1][:tokens], shares, rows=tokens, capacity=tokens * TOP_K)
    yield Row("rows", "unpermute", f"{tokens} tokens", time_us([launches.run]), bytes=(1 + TOP_K) * tokens * 2 * HIDDEN)


def router(library, tokens: int) -> Row:
    """Norm, logits, routing and permutation, with weights that are in no cache; beside the launches of the parts."""
    kernel = library["qwen3"]
    shapes = [[tokens if size == -1 else size for size in d["shape"]] for d in kernel.description["operands"]]
    size = 2 * math.prod(shapes[2])
    parts = next(v for v in kernel.description["variants"] if len(v["launches"]) > 1 and not 0 < v["most_rows"] < tokens)
    times = []
    for variant in (None, parts):
        calls = []
        for _ in range(turns(size, most=128)):
            operands = [torch.randn(shape, device="cuda").bfloat16() for shape in shapes]
            calls.append(kernel.prepare(*operands, rows=tokens, room=-(-tokens // 4) * 4 * TOP_K, variant=variant)[0])
        times.append(time_us([call.run for call in calls]))
    return Row("rows", "Qwen3 norm to permutation", f"{tokens} tokens", times[0], bytes=size, peers={"its parts": times[1]})


def norms(library, tokens: int):
    x, residual = (torch.randn(tokens, HIDDEN, device="cuda").bfloat16() for _ in range(2))
    w = torch.randn(HIDDEN, device="cuda").bfloat16()
    for name, case, written in (("add_rms_norm", "add, norm", 4), ("add_rms_norm_quantize", "add, norm, quantize", 3)):
        launches, _ = library[name].prepare(x, residual, w, rows=tokens)
        yield Row("rows", case, f"{tokens} tokens", time_us([launches.run]), bytes=tokens * HIDDEN * (4 + written))


def before_attention(library, tokens: int):
    """Norms and rotation of queries and keys, and the append; a decode step or, of more tokens, one sequence's prefill."""
    batch = Batch([(300, 1)] * tokens if tokens <= 128 else [(0, tokens)])
    for name, case in (("qwen3", "Qwen3 norms, rope, append"), ("llama", "Llama rope, append"), ("deepseek", "DeepSeek norms, rope, append")):
        operands = []
        for description in library[name].description["operands"]:
            shape = [batch.page_count * PAGE, description["entry"]] if "entry" in description else description["shape"]
            x = torch.randn([tokens if size == -1 else size for size in shape], device="cuda")
            operands.append(x if description["element"] == "f32" else x.bfloat16())
        launches, results = library[name].prepare(*operands, rows=tokens, batch=batch)
        moved = [operands[0], *results]
        bytes = sum(x.numel() * x.element_size() for x in moved) + tokens * operands[-1].shape[1] * 2
        yield Row("rows", case, f"{tokens} tokens", time_us([launches.run]), bytes=bytes)


def largest(library, rows: int) -> Row:
    kernel = library["vocabulary"]
    columns = kernel.description["operands"][0]["shape"][1]
    inputs = [torch.randn(rows, columns, device="cuda") for _ in range(turns(4 * rows * columns))]
    calls = [kernel.prepare(x, rows=rows) for x in inputs]
    us = time_us([one.run for one, _ in calls])
    wrong = (calls[0][1][0][:rows] != inputs[0].argmax(1)).sum().item()
    peers = peer_us("argmax", [lambda x=x: torch.argmax(x, 1) for x in inputs])
    return Row("rows", f"argmax of {columns}", f"{rows} tokens", us, bytes=4 * rows * columns, peers=peers, error=wrong)


def benchmark():
    libraries = ("route", "permute", "router", "rows", "token_rows", "sample")
    route, permute, routers, fused, token_rows, sample = (compiled(name) for name in libraries)
    for tokens in TOKENS:
        yield routing(route, tokens)
    for tokens in TOKENS:
        yield from ordering(permute, tokens)
    for tokens in (1, 2, 4, 8, 32, 128):
        yield router(routers, tokens)
    for tokens in TOKENS:
        yield from norms(fused, tokens)
    for tokens in TOKENS:
        yield from before_attention(token_rows, tokens)
    for tokens in (1, 8, 32, 128, 512):
        yield largest(sample, tokens)
