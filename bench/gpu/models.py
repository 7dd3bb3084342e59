"""Decode steps of whole models of random weights, beside transformers with the same configuration in bf16, in CUDA graphs."""

import gc
import json
import os
import subprocess

import torch

from measure import BUNDLE, EPIGRAPH, note
from report import Row

CONTEXT = 1024
# By folder of bench/models: the batches of a step.
MODELS = {"deepseek-v3-4-layers": (1, 8, 32, 128), "qwen3-30b-a3b": (1, 8, 32)}
# transformers multiplies experts by a grouped product, or gathers each token's; the latter takes memory for each token.
IMPLEMENTATIONS = {"grouped_mm": 1024, "batched_mm": 8}
REPLAYS = 12


def artifacts(name: str):
    """(ranks, path) of each artifact of the model that there is, and that fits the GPUs."""
    for ranks, path in ((1, BUNDLE / "artifacts" / f"{name}.epi"), (2, BUNDLE / "artifacts" / f"{name}-ep2.epi")):
        if path.exists() and torch.cuda.device_count() >= ranks:
            yield ranks, path
        else:
            note(f"{path.name}: not measured: no such artifact, or not {ranks} GPUs")


def decode_ms(ranks: int, artifact, batches) -> dict[int, float]:
    """Milliseconds of a step by number of sequences, as `epigraph bench` measures them; a process for each rank."""
    command = [EPIGRAPH, "bench", artifact, "--batch", ",".join(map(str, batches)), "--context", str(CONTEXT), "--json"]

    def start(rank: int):
        environment = dict(os.environ, RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(ranks), MASTER_PORT="29511")
        return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    processes = [start(rank) for rank in range(ranks)]
    try:
        ended = [process.communicate(timeout=300) for process in processes]
    finally:
        for process in processes:
            process.kill()
    if processes[0].returncode != 0:
        raise RuntimeError(ended[0][1].strip() or f"epigraph bench ended with {processes[0].returncode}")
    return {step["sequences"]: step["ms"] for step in json.loads(ended[0][0])["steps"]}


def transformers_model(name: str):
    """In bf16: transformers would dequantize FP8 weights, and has no faster form for them."""
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(BUNDLE / "bench/models" / name)
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    with torch.device("cuda"):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16, attn_implementation="sdpa").eval()
    with torch.no_grad():  # Not all classes initialize all of their weights, and what is in memory may be NaN.
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.normal_(std=config.initializer_range)
    return model


@torch.inference_mode()
def transformers_ms(model, sequences: int) -> float:
    """Milliseconds of a decode step with a static cache: the median of replays of its CUDA graph."""
    from transformers import StaticCache

    cache = StaticCache(config=model.config, max_cache_len=CONTEXT + 64)
    ids = torch.randint(model.config.vocab_size, (sequences, 1), device="cuda")

    def step():
        return model(input_ids=ids, past_key_values=cache, use_cache=True).logits

    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for _ in range(2):  # The first call makes the caches.
            step()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        step()
    for layer in cache.layers:
        layer.cumulative_length.fill_(CONTEXT)
    times = []
    for _ in range(REPLAYS):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        graph.replay()
        end.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(end))
    return sorted(times[2:])[(REPLAYS - 2) // 2]


def best_of_transformers(model, sequences: int) -> dict[str, float]:
    """{name: microseconds} of the fastest way to multiply experts."""
    times = {}
    for implementation, most in IMPLEMENTATIONS.items():
        if sequences > most:
            continue
        try:
            model.set_experts_implementation(implementation)
            times[implementation] = transformers_ms(model, sequences)
        except (RuntimeError, ValueError, AttributeError, TypeError) as error:
            note(f"transformers, {implementation}, {sequences} sequences: {str(error).splitlines()[0]}")
        gc.collect()
        torch.cuda.empty_cache()
    if not times:
        return {}
    best = min(times, key=times.get)
    return {f"transformers ({best})": times[best] * 1000}


def benchmark():
    for name, batches in MODELS.items():
        measured = [(ranks, decode_ms(ranks, artifact, batches)) for ranks, artifact in artifacts(name)]
        if not measured:
            continue
        model = transformers_model(name)
        peers = {batch: best_of_transformers(model, batch) for batch in batches}
        del model
        gc.collect()
        torch.cuda.empty_cache()
        for ranks, times in measured:
            for batch, ms in times.items():
                yield Row("models", f"{name}, {ranks} GPU{'s' if ranks > 1 else ''}", f"{batch} x {CONTEXT}", ms * 1000, peers=peers[batch])
