"""Decode steps of whole models of random weights, beside transformers with the same configuration in bf16, in CUDA graphs."""

import gc
import json
import shutil
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


def commands(name: str):
    """(ranks, artifact, command) for each artifact of the model that there is."""
    for ranks in (1, 2):
        artifact = BUNDLE / "artifacts" / (f"{name}.epi" if ranks == 1 else f"{name}-ep{ranks}.epi")
        launcher = [] if ranks == 1 else ["mpirun", "--allow-run-as-root", "-n", str(ranks)]
        if not artifact.exists() or torch.cuda.device_count() < ranks or (launcher and not shutil.which(launcher[0])):
            note(f"{artifact.name}: not measured: no artifact, or no {ranks} GPUs with mpirun")
            continue
        yield ranks, [*launcher, str(EPIGRAPH), "bench", str(artifact)]


def decode_ms(command, batches) -> dict[int, float]:
    """Milliseconds of a step by number of sequences, as `epigraph bench` measures them."""
    flags = ["--batch", ",".join(map(str, batches)), "--context", str(CONTEXT), "--json"]
    done = subprocess.run([*command, *flags], capture_output=True, text=True, timeout=300, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip() or f"{command[0]} ended with {done.returncode}")
    return {step["sequences"]: step["ms"] for step in json.loads(done.stdout.splitlines()[-1])["steps"]}


def transformers_model(name: str):
    """In bf16: transformers would dequantize FP8 weights, and has no faster form for them."""
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(BUNDLE / "bench/models" / name)
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    with torch.device("cuda"):
        return AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16, attn_implementation="sdpa").eval()


@torch.inference_mode()
def transformers_ms(model, sequences: int) -> float:
    """Milliseconds of a decode step with a static cache: the median of replays of its CUDA graph."""
    from transformers import StaticCache

    cache = StaticCache(config=model.config, max_cache_len=CONTEXT + 2 * REPLAYS)
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
        measured = [(ranks, decode_ms(command, batches)) for ranks, command in commands(name)]
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
