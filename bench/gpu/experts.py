"""DeepSeek-V3's experts in FP8 on one GPU as one of eight has them, beside PyTorch's grouped products; and on two GPUs, with
dispatch and combine."""

import torch

from harness import Raw, column_major, compiled, relative_error, time_us
from measure import BLOCK, peer_us, random_fp8, random_scales
from ranks import Rank, Tokens, meeting, time_ranks
from report import Row

TOKENS = [8, 32, 128, 256, 512, 1024, 2048, 4096]
HIDDEN, INNER, LOCAL, EXPERTS, TOP_K = 7168, 2048, 32, 256, 8


class Weights:
    """Those of 32 experts."""

    def __init__(self):
        self.gate_up, self.gate_up_scales = random_fp8(LOCAL, 2 * INNER, HIDDEN), random_scales(LOCAL, 2 * INNER // BLOCK, HIDDEN // BLOCK)
        self.down, self.down_scales = random_fp8(LOCAL, HIDDEN, INNER), random_scales(LOCAL, HIDDEN // BLOCK, INNER // BLOCK)

    @staticmethod
    def bytes_of(counts: torch.Tensor) -> int:
        """Those of experts that have rows."""
        return int((counts > 0).sum()) * 3 * HIDDEN * INNER


def local_counts(tokens: int) -> torch.Tensor:
    """Rows of each of 32 of 256 experts, when 8 ranks have `tokens` each that choose 8 at random."""
    choices = torch.rand(8 * tokens, EXPERTS, device="cuda").topk(TOP_K, dim=1).indices
    return torch.bincount(choices.flatten(), minlength=EXPERTS)[:LOCAL].int().cpu()


def flops_of(rows: int) -> int:
    return 2 * rows * 3 * HIDDEN * INNER


def one_expert(x, x_scales, weights: Weights, expert: int) -> torch.Tensor:
    """What an expert makes of rows, in float32."""

    def spread(values, scales):
        scales = scales.repeat_interleave(BLOCK, -1)
        return values.float() * (scales if len(scales) == len(values) else scales.repeat_interleave(BLOCK, 0))

    gate, up = (spread(x, x_scales) @ spread(weights.gate_up[expert], weights.gate_up_scales[expert]).T).bfloat16().float().chunk(2, 1)
    inner = (torch.nn.functional.silu(gate) * up).view(len(x), -1, BLOCK)
    scales = inner.abs().amax(-1, keepdim=True).clamp(min=1e-4) / 448
    inner = ((inner / scales).to(torch.float8_e4m3fn).float() * scales).view(len(x), -1)
    return inner @ spread(weights.down[expert], weights.down_scales[expert]).T


def row_wise_fp8(x: torch.Tensor, offsets: torch.Tensor, weights: Weights):
    """PyTorch's two products of FP8 with a scale for each row and column: neither what is between them nor weighting."""
    inner = random_fp8(len(x), INNER)
    x_scales, gate_up, down = random_scales(len(x)), random_scales(LOCAL, 2 * INNER), random_scales(LOCAL, HIDDEN)

    def run():
        for a, w, scales in ((x, weights.gate_up, gate_up), (inner, weights.down, down)):
            torch._scaled_grouped_mm(a, w.transpose(1, 2), x_scales, scales, offs=offsets, out_dtype=torch.bfloat16, use_fast_accum=True)

    return run


def bf16_products(rows: int, offsets: torch.Tensor):
    """PyTorch's two products in bf16."""
    x, inner = (torch.randn(rows, size, device="cuda", dtype=torch.bfloat16) for size in (HIDDEN, INNER))
    gate_up, down = (
        torch.zeros(LOCAL, *shape, device="cuda", dtype=torch.bfloat16).normal_() for shape in ((2 * INNER, HIDDEN), (HIDDEN, INNER))
    )

    def run():
        torch._grouped_mm(x, gate_up.transpose(1, 2), offs=offsets)
        torch._grouped_mm(inner, down.transpose(1, 2), offs=offsets)

    return run


def experts_of(library, weights: Weights, tokens: int) -> Row:
    counts = local_counts(tokens)
    rows = int(counts.sum())
    capacity = -(-rows // 4) * 4
    x, x_scales = random_fp8(rows, HIDDEN), random_scales(rows, HIDDEN // BLOCK)
    shares = torch.rand(rows, 1, device="cuda").bfloat16()
    first, inner = library["gate_up"].prepare(
        x, Raw(column_major(x_scales, capacity)), counts, Raw(weights.gate_up), weights.gate_up_scales, rows=rows, capacity=capacity
    )
    second, (result,) = library["down_weighted"].prepare(
        *map(Raw, inner), counts, Raw(weights.down), weights.down_scales, shares, rows=rows, capacity=capacity
    )
    us = time_us([lambda: (first.run(), second.run())])
    offsets = counts.cumsum(0).int().cuda()
    busiest = int(counts.argmax())
    own = slice(int(offsets[busiest] - counts[busiest]), int(offsets[busiest]))
    expected = one_expert(x[own], x_scales[own], weights, busiest) * shares[own].float()
    return Row(
        "experts",
        "gate and up, SwiGLU, quantize, down, weighting",
        f"{tokens} tokens a rank",
        us,
        bytes=weights.bytes_of(counts) + rows * (HIDDEN + 2 * INNER + 2 * HIDDEN),
        flops=flops_of(rows),
        format="fp8",
        peers=peer_us("scaled_grouped_mm", [row_wise_fp8(x, offsets, weights)]) | peer_us("grouped_mm", [bf16_products(rows, offsets)]),
        error=relative_error(result[own], expected),
        tolerance=4e-2,
    )


def benchmark():
    library, weights = compiled("deepseek_v3_experts"), Weights()
    for tokens in TOKENS:
        yield experts_of(library, weights, tokens)


def layer_calls(rank: Rank, sent: Tokens, weights: Weights):
    """The six launches of a layer on one rank: what it keeps, and what runs."""
    counted = {"bound": min(rank.room, rank.ranks * sent.count * TOP_K), "capacity": rank.room}
    send, _ = rank.prepare("dispatch_send", *sent.operands(rank), rows=sent.count)
    receive, (x, counts, received, places, shares, scales) = rank.prepare("dispatch_receive", rows=0)
    first, inner = rank.library["gate_up"].prepare(
        Raw(x), Raw(scales), Raw(counts), Raw(weights.gate_up), Raw(weights.gate_up_scales), rows=0, count=received, **counted
    )
    second, (made,) = rank.library["down"].prepare(
        *map(Raw, inner), Raw(counts), Raw(weights.down), Raw(weights.down_scales), rows=0, count=received, **counted
    )
    back, _ = rank.prepare("combine_send", Raw(made), Raw(places), Raw(shares), rows=0)
    last, _ = rank.prepare("combine_receive", Raw(made), Raw(places), sent.ids, sent.weights, rows=sent.count)
    return [one.run for one in (send, receive, first, second, back, last)]


def check_met(ranks) -> None:
    for rank in ranks:
        if rank.failure[0] != 0:
            raise RuntimeError(f"rank {rank.rank} waited in vain: {rank.failure[0].item():#x}")


def layer_benchmark():
    if torch.cuda.device_count() < 2:
        return
    weights = []
    for device in range(2):
        with torch.cuda.device(device):
            weights.append(Weights())
    for tokens in TOKENS:
        ranks = meeting([Rank("layer", r, 2, 4096, lambda: compiled("deepseek_v3_layer")) for r in range(2)])
        sent = [Tokens(rank, tokens, seed=tokens) for rank in ranks]
        us = time_ranks(ranks, lambda rank: layer_calls(rank, sent[rank.rank], weights[rank.rank]), repeats=20)  # noqa: B023
        check_met(ranks)
        counts = torch.bincount(torch.cat([one.ids for one in sent]).flatten(), minlength=2 * LOCAL).view(2, LOCAL)
        yield Row(
            "layer",
            "dispatch, experts, combine",
            f"{tokens} tokens a rank",
            us,
            bytes=max(Weights.bytes_of(own) for own in counts),
            flops=flops_of(int(counts.sum(1).max())),
            format="fp8",
        )


def exchange_calls(rank: Rank, sent: Tokens):
    """The four launches of dispatch and combine."""
    send, _ = rank.prepare("dispatch_send", *sent.operands(rank), rows=sent.count)
    receive, got = rank.prepare("dispatch_receive", rows=0)
    made = torch.zeros(rank.room, rank.hidden, dtype=torch.bfloat16, device="cuda")
    back, _ = rank.prepare("combine_send", Raw(made), Raw(got[3]), Raw(got[4]), rows=0)
    last, _ = rank.prepare("combine_receive", Raw(made), Raw(got[3]), sent.ids, sent.weights, rows=sent.count)
    return [one.run for one in (send, receive, back, last)]


def exchange_benchmark():
    if torch.cuda.device_count() < 2:
        return
    for name, case in (("deepseek_v3_quantized", "FP8 out, bf16 back"), ("deepseek_v3", "bf16 both ways")):
        for tokens in (1, 8, 32, 128, 512):
            ranks = meeting([Rank(name, r, 2, 512, lambda: compiled(f"exchange_{name}")) for r in range(2)])
            us = time_ranks(ranks, lambda rank: exchange_calls(rank, Tokens(rank, tokens, seed=tokens)))  # noqa: B023
            check_met(ranks)
            yield Row("exchange", case, f"{tokens} tokens a rank", us)
