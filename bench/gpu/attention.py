"""Attention of DeepSeek-V3 and of Qwen3-30B-A3B: decode steps over caches in no cache of the GPU, and prefill; the latter two
beside PyTorch's attention."""

import torch

from batch import PAGE, Batch
from harness import Raw, compiled, relative_error, time_us
from measure import peer_us, turns
from report import Row

DECODES = [(1, 1024), (1, 8192), (8, 1024), (16, 1024), (16, 8192), (32, 1024), (64, 1024), (64, 4096), (128, 1024), (128, 8192)]
QWEN3_DECODES = [(1, 1024), (8, 1024), (32, 1024), (128, 1024), (1, 8192), (8, 8192), (32, 8192)]
PREFILLS = [(0, 512), (0, 2048), (0, 4096), (3584, 512)]
LATENT, ROPE, HEADS = 512, 64, 128
SCALE = {"deepseek_v3": 0.1147213867929261, "qwen3": 0.08838834764831845}


def decode_batches(library, sequences: int, context: int, pool_pages: int):
    """Batches whose caches are different parts of a pool."""
    pages = sequences * context // PAGE
    for start in range(0, max(pool_pages // pages, 1) * pages, pages):
        batch = Batch([(context - 1, 1)] * sequences, token_items=library.token_items, spare_pages=0, seed=start)
        batch.table += start
        batch._upload()
        yield batch


def seen_of(batch: Batch, pool: torch.Tensor) -> torch.Tensor:
    """The cache entries of the first sequence."""
    return pool[batch.slots(0, batch.positions[0] + 1).cuda()].float()


def latent_decode():
    library, pool_pages = compiled("deepseek_v3_attention"), 16384
    kernel = library["deepseek_v3"]
    pool = torch.randn(pool_pages * PAGE, LATENT + ROPE, device="cuda", dtype=torch.bfloat16)
    for sequences, context in DECODES:
        queries = torch.randn(sequences, HEADS, LATENT + ROPE, device="cuda", dtype=torch.bfloat16)
        bytes_read = 2 * sequences * context * (LATENT + ROPE)
        batches = [b for _, b in zip(range(turns(bytes_read)), decode_batches(library, sequences, context, pool_pages))]
        operands = [queries[..., :LATENT], queries[..., LATENT:], pool]
        calls = [kernel.prepare(*operands, rows=sequences, batch=batch) for batch in batches]
        us = time_us([one.run for one, _ in calls])
        seen = seen_of(batches[0], pool)
        weights = torch.softmax(queries[0].float() @ seen.T * SCALE["deepseek_v3"], -1)
        yield Row(
            "attention",
            "DeepSeek-V3 decode",
            f"{sequences} x {context}",
            us,
            bytes=bytes_read + 2 * sequences * HEADS * (2 * LATENT + ROPE),
            flops=2 * HEADS * sequences * context * (2 * LATENT + ROPE),
            error=relative_error(calls[0][1][0][0], weights @ seen[:, :LATENT]),
            tolerance=1e-2,
        )


def latent_prefill():
    kernel = compiled("expanded_attention")["deepseek_v3"]
    up = torch.randn(32768, LATENT, device="cuda", dtype=torch.bfloat16) / 16
    for old, new in PREFILLS:
        batch = Batch([(old, new)])
        cache = torch.randn(batch.page_count * PAGE, LATENT + ROPE, device="cuda", dtype=torch.bfloat16)
        x = torch.randn(new, 24576, device="cuda", dtype=torch.bfloat16)
        rope = torch.randn(new, HEADS, ROPE, device="cuda", dtype=torch.bfloat16)
        launches, _ = kernel.prepare(x, rope, Raw(cache), up, rows=new, batch=batch)
        yield Row(
            "attention",
            "DeepSeek-V3 prefill, expansion included",
            f"{new} after {old}",
            time_us([launches.run]),
            flops=2 * HEADS * (new * (old + new / 2) * 320 + (old + new) * 256 * LATENT),
        )


def torch_attention(q, keys, values, causal: bool):
    """PyTorch's, over keys and values without pages."""
    return lambda: torch.nn.functional.scaled_dot_product_attention(q, keys, values, is_causal=causal, enable_gqa=True)


def grouped_decode():
    library = compiled("qwen3_attention")
    for sequences, context in QWEN3_DECODES:
        bytes_read = sequences * context * 2048
        pool_pages = turns(bytes_read) * sequences * context // PAGE
        pool = torch.randn(pool_pages * PAGE, 1024, device="cuda", dtype=torch.bfloat16)
        q = torch.randn(sequences, 32, 128, device="cuda", dtype=torch.bfloat16)
        batches = list(decode_batches(library, sequences, context, pool_pages))
        calls = [library["qwen3"].prepare(q, Raw(pool), rows=sequences, batch=batch) for batch in batches]
        us = time_us([one.run for one, _ in calls])
        seen = seen_of(batches[0], pool)
        keys, values = (part.view(-1, 4, 128).repeat_interleave(8, 1) for part in seen.chunk(2, 1))
        weights = torch.softmax(torch.einsum("hd,khd->hk", q[0].float(), keys) * SCALE["qwen3"], -1)
        plain = pool.view(len(batches), sequences, context, 8, 128).transpose(2, 3)
        yield Row(
            "attention",
            "Qwen3 decode",
            f"{sequences} x {context}",
            us,
            bytes=bytes_read,
            flops=4 * 128 * 32 * sequences * context,
            peers=peer_us("sdpa", [torch_attention(q[:, :, None], part[:, :4], part[:, 4:], False) for part in plain]),
            error=relative_error(calls[0][1][0][0], torch.einsum("hk,khd->hd", weights, values)),
            tolerance=1e-2,
        )


def grouped_prefill():
    library = compiled("qwen3_attention")
    for old, new in PREFILLS:
        batch = Batch([(old, new)])
        q = torch.randn(new, 32, 128, device="cuda", dtype=torch.bfloat16)
        cache = torch.randn(batch.page_count * PAGE, 1024, device="cuda", dtype=torch.bfloat16)
        launches, (found,) = library["qwen3"].prepare(q, Raw(cache), rows=new, batch=batch)
        us = time_us([launches.run])
        entries = cache[batch.slots(0, old + new).cuda()].view(old + new, 8, 128).transpose(0, 1).contiguous()
        plain = torch_attention(q.transpose(0, 1)[None], entries[None, :4], entries[None, 4:], True)
        peers = {} if old else peer_us("sdpa", [plain])
        yield Row(
            "attention",
            "Qwen3 prefill",
            f"{new} after {old}",
            us,
            flops=4 * 128 * 32 * new * (old + new / 2),
            peers=peers,
            error=None if old else relative_error(found[:new], plain()[0].transpose(0, 1)),
            tolerance=1e-2,
        )


def benchmark():
    for part in (latent_decode, latent_prefill, grouped_decode, grouped_prefill):
        yield from part()
