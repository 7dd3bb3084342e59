"""Models on two GPUs, a process each: the same results as on one, and an end of all when one of them ends."""

import json
import os
import shutil
import signal
import subprocess
import time

import pytest
import safetensors.torch
import torch

from harness import relative_error
from test_models import EPIGRAPH, GOLDENS, TINY, WINDOW_ERROR, artifact, epigraph

pytestmark = pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")

# Longest time from the end of a rank to that of the others, in seconds.
NOTICED = 10
RANK_LOST, DEADLINE = "E0615", "E0610"


def start(rank: int, ranks: int, *arguments) -> subprocess.Popen:
    environment = dict(os.environ, RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(ranks), MASTER_PORT="29500")
    command = [EPIGRAPH, *map(str, arguments)]
    return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def finish(processes, limit: float = 120):
    """Exit code, output and errors of each; none outlives the test."""
    try:
        ended = [(*p.communicate(timeout=limit), p.returncode) for p in processes]
    finally:
        for process in processes:
            process.kill()
    return [(code, out, err) for out, err, code in ended]


def on_two(*arguments) -> dict:
    """What rank 0 says with --json; the other says nothing."""
    (code, out, err), other = finish([start(rank, 2, *arguments, "--json") for rank in range(2)])
    assert (code, other[0]) == (0, 0), err + other[2]
    assert other[1] == ""
    return json.loads(out)


def window_logits(run, name: str, folder, golden) -> torch.Tensor:
    file = folder / f"{name}.safetensors"
    run("run", artifact(name), "--ids", ",".join(map(str, golden.flatten().tolist())), "--max-tokens", 0, "--logits", file)
    return safetensors.torch.load_file(file)["logits"]


@pytest.mark.parametrize("name", ["tiny-bf16-ep2", "tiny-bf16-ep2-data", "tiny-bf16-tp2"])
def test_window(name, tmp_path):
    """As near to transformers as one GPU is; and to that, within the rounding of the sums that ranks exchange."""
    golden = safetensors.torch.load_file(TINY / "window.safetensors")
    two = window_logits(on_two, name, tmp_path, golden["input_ids"])
    assert relative_error(two, golden["logits"].reshape(two.shape)) < WINDOW_ERROR
    assert relative_error(two, window_logits(epigraph, "tiny-bf16", tmp_path, golden["input_ids"])) < WINDOW_ERROR


@pytest.mark.parametrize("name", ["deepseek_v3-ep2", "qwen3_moe-ep2", "deepseek_v3-tp2", "llama-tp2"])
def test_random_models(name, tmp_path):
    golden = safetensors.torch.load_file(GOLDENS / name.rsplit("-", 1)[0] / "golden.safetensors")
    found = window_logits(on_two, name, tmp_path, golden["input_ids"])
    expected = golden["logits"].reshape(found.shape)
    rows = torch.tensor([relative_error(f, e) for f, e in zip(found, expected)])
    # In bf16 a row whose experts nearly tie may choose others.
    assert rows.median() < 2e-2 and (rows > 5e-2).float().mean() <= 0.1, rows


@pytest.mark.parametrize("name", ["tiny-bf16-ep2", "tiny-bf16-ep2-data", "tiny-bf16-tp2"])
def test_texts(name, tmp_path):
    """All prompts at once: with data-parallel attention each rank has some of the sequences."""
    cases = json.loads((TINY / "greedy.json").read_text())
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text("".join(json.dumps({"ids": c["input_ids"], "max_tokens": len(c["greedy_ids"])}) + "\n" for c in cases))
    one = epigraph("run", artifact("tiny-bf16"), "--prompts", prompts)["results"]
    two = on_two("run", artifact(name), "--prompts", prompts)["results"]
    same = sum(a["token_ids"] == b["token_ids"] for a, b in zip(one, two))
    golden = sum(c["greedy_ids"] == b["token_ids"] for c, b in zip(cases, two))
    assert same >= 7 and golden >= 5, f"{same} as on one GPU, {golden} as transformers, of {len(cases)}"


@pytest.mark.parametrize("name", ["tiny-bf16-ep2", "tiny-bf16-ep2-data"])
def test_decode_steps_repeat(name):
    ids = json.loads((TINY / "greedy.json").read_text())[0]["input_ids"]
    first, second = (on_two("run", artifact(name), "--ids", ",".join(map(str, ids)), "--max-tokens", 1000)["token_ids"] for _ in range(2))
    assert first == second


@pytest.mark.parametrize("name", ["tiny-bf16-ep2", "tiny-bf16-ep2-data"])
def test_memory_of_the_host_gives_the_same(name):
    """What ranks do whose GPUs are not linked."""
    ids = json.loads((TINY / "greedy.json").read_text())[0]["input_ids"]
    command = ["run", artifact(name), "--ids", ",".join(map(str, ids)), "--max-tokens", 64]
    assert on_two(*command, "--peer-memory", "host")["token_ids"] == on_two(*command, "--peer-memory", "gpu")["token_ids"]


@pytest.mark.parametrize(
    ("name", "expected", "tolerance"),
    [("tiny-bf16-ep2", 11.0878, 0.005), ("tiny-bf16-ep2-data", 11.0878, 0.005), ("tiny-fp8-ep2", 11.143, 0.01), ("tiny-fp8-ep2-data", 11.143, 0.01)],
)
def test_perplexity(name, expected, tolerance):
    found = on_two("eval", artifact(name), "--text", TINY / "eval.txt")["perplexity"]
    assert abs(found / expected - 1) < tolerance, found


def test_mpirun():
    """Open MPI's variables."""
    if not shutil.which("mpirun"):
        pytest.skip("no mpirun")
    command = ["mpirun", "--allow-run-as-root", "--oversubscribe", "-n", "2", EPIGRAPH, "run", artifact("tiny-bf16-ep2"), "--ids", "0,5,7", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["token_ids"] == on_two("run", artifact("tiny-bf16-ep2"), "--ids", "0,5,7")["token_ids"]


def endless(name: str):
    """Two ranks in the middle of generating."""
    processes = [start(rank, 2, "run", artifact(name), "--ids", "0,5,7", "--max-tokens", 4000) for rank in range(2)]
    process = processes[0]
    assert process.stdout.read(1), process.stderr.read()
    return processes


@pytest.mark.parametrize("name", ["tiny-bf16-ep2", "tiny-bf16-ep2-data", "tiny-bf16-tp2"])
@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGSTOP])
@pytest.mark.parametrize("victim", [0, 1])
def test_all_end_with_one(name, sign, victim):
    """A killed rank is noticed at once, a stopped one when it is waited for; and named."""
    processes = endless(name)
    other = processes[1 - victim]
    begin = time.monotonic()
    try:
        processes[victim].send_signal(sign)
        _, err = other.communicate(timeout=NOTICED)
    finally:
        for process in processes:
            process.kill()
            process.wait()
    took = time.monotonic() - begin
    assert other.returncode not in (0, -signal.SIGKILL), f"after {took:.1f} s: {err}"
    assert f"rank {victim}" in err and (RANK_LOST in err or DEADLINE in err), err


def test_refuses_another_number_of_ranks():
    for code, _, err in finish([start(rank, 3, "run", artifact("tiny-bf16-ep2"), "--ids", "0") for rank in range(3)]):
        assert code not in (0, None) and "E0612" in err, err


def test_refuses_different_artifacts():
    names = ["tiny-bf16-ep2", "tiny-bf16-ep2-data"]
    for code, _, err in finish([start(rank, 2, "run", artifact(name), "--ids", "0") for rank, name in enumerate(names)]):
        assert code not in (0, None) and "E0614" in err, err
