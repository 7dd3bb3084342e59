"""The command line: output, JSON, streaming, exit codes, interruption, and what running loads."""

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest
from safetensors.numpy import load_file

from tools import BIN, BUILD, MODEL, relative_error, run_json, run_tool

USAGE, INTERRUPTED = 2, 130
PROMPT = "def fibonacci(n):\n"


def test_run_prints_the_text(bf16_artifact):
    result = run_tool("epigraph", "run", bf16_artifact, "--prompt", PROMPT, "--max-tokens", "24",
                      check=True)
    json_ = run_json("epigraph", "run", bf16_artifact, "--prompt", PROMPT, "--max-tokens", "24")
    assert result.stdout == json_["text"] + "\n"
    assert len(json_["token_ids"]) == 24
    assert result.stderr == ""  # no terminal: no timings, no progress


def test_run_json_times_what_it_did(bf16_artifact, greedy):
    json_ = run_json("epigraph", "run", bf16_artifact, "--prompt", PROMPT, "--max-tokens", "8")
    timings = json_["timings"]
    assert timings["prefill_tokens"] == len(greedy[0]["input_ids"])
    assert timings["decode_tokens"] == 7  # the first token comes out of the prompt
    for key in ("load_seconds", "prefill_tokens_per_second", "decode_tokens_per_second"):
        assert timings[key] > 0


def test_ids_instead_of_text(bf16_artifact, greedy):
    ids = ",".join(map(str, greedy[0]["input_ids"]))
    flags = ["--max-tokens", "12"]
    by_ids = run_json("epigraph", "run", bf16_artifact, "--ids", ids, *flags)
    by_text = run_json("epigraph", "run", bf16_artifact, "--prompt", PROMPT, *flags)
    assert by_ids["token_ids"] == by_text["token_ids"]


def test_prompts_file(float32_artifact, greedy, tmp_path):
    """Results in the order of the file, ids and texts mixed, each with its own length."""
    path = tmp_path / "prompts.jsonl"
    lines = [{"prompt": case["prompt"]} for case in greedy]
    lines[1] = {"ids": greedy[1]["input_ids"], "max_tokens": 5}
    path.write_text("\n".join(json.dumps(line) for line in lines) + "\n\n")
    results = run_json("epigraph", "run", float32_artifact, "--prompts", path,
                       "--max-tokens", "48")["results"]
    expected = [case["greedy_ids"] for case in greedy]
    expected[1] = expected[1][:5]
    assert [result["token_ids"] for result in results] == expected


@pytest.mark.parametrize("line,complaint", [
    ("{", "line 2"), ('{"prompt": 5}', "prompt"), ('{"text": "x"}', "text"),
    ('{"ids": [1], "prompt": "x"}', "either"), ('{"ids": [-1]}', "-1"),
])
def test_bad_prompts_file(bf16_artifact, tmp_path, line, complaint):
    path = tmp_path / "prompts.jsonl"
    path.write_text('{"prompt": "x"}\n' + line + "\n")
    result = run_tool("epigraph", "run", bf16_artifact, "--prompts", path)
    assert result.returncode == 3
    assert complaint in result.stderr and "prompts.jsonl" in result.stderr


def test_logits_file(float32_artifact, window, tmp_path):
    ids = ",".join(map(str, window["input_ids"]))
    run_tool("epigraph", "run", float32_artifact, "--ids", ids, "--max-tokens", "0",
             "--logits", tmp_path / "l.safetensors", "--mtp-logits", tmp_path / "m.safetensors",
             check=True)
    logits = load_file(tmp_path / "l.safetensors")["logits"]
    assert logits.dtype == "float32"
    assert relative_error(logits, window["logits"]) < 1e-5
    mtp = load_file(tmp_path / "m.safetensors")["mtp_logits"]
    assert relative_error(mtp, window["mtp_logits"][:-1]) < 1e-5


def test_eval(float32_artifact, perplexity_golden, tmp_path, eval_text):
    path = tmp_path / "eval.txt"
    path.write_text(eval_text[: len(eval_text) // 8])
    found = run_json("epigraph", "eval", float32_artifact, "--text", path, "--window", "1024")
    windows = found["windows"]
    assert 1 <= windows < 30
    # The cut may split the last token, which no complete window holds.
    assert found["window_nll"] == pytest.approx(
        perplexity_golden["window_nll"][:windows], rel=4e-3)
    short = run_tool("epigraph", "eval", float32_artifact, "--text", MODEL / "config.json",
                     "--window", "4000")
    assert short.returncode == 3 and "--window" in short.stderr


def test_inspect(bf16_artifact):
    manifest = run_json("epigraph", "inspect", bf16_artifact)
    assert manifest == json.loads((bf16_artifact / "manifest.json").read_text())
    text = run_tool("epigraph", "inspect", bf16_artifact, "--plan", "--verify", check=True).stdout
    for part in ("DeepseekV3ForCausalLM", "weights/shared.safetensors", "bf16", "main", "mtp"):
        assert part in text


def test_compile_reports(tmp_path):
    report = run_json("epigraph", "compile", MODEL, "-o", tmp_path / "x.epi", "--ep", "2",
                      "--report")
    assert report["ops"] > report["kernels"] > 0
    assert 0 < report["fused_share"] < 1
    assert set(report["seconds"]) >= {"import", "fuse", "codegen", "pack"}
    assert report["arena_bytes"] < report["arena_naive_bytes"]


def test_stop_after_prints_the_ir(tmp_path):
    result = run_tool("epigraph", "compile", MODEL, "--stop-after", "import", check=True)
    assert "epi.mla_attention" in result.stdout
    assert run_tool("epigraph-opt", "-", input=result.stdout).returncode == 0


def test_help():
    for arguments in ([], ["run"], ["eval"], ["inspect"], ["compile"]):
        result = run_tool("epigraph", *arguments, "--help", check=True)
        assert "Example" in result.stdout
    version = run_tool("epigraph", "--version", check=True).stdout
    assert re.fullmatch(r"epigraph \d+\.\d+\.\d+\n", version)


@pytest.mark.parametrize("arguments", [
    [], ["walk"], ["run"], ["run", "x.epi"], ["run", "x.epi", "--prompt", "a", "--ids", "0"],
    ["run", "x.epi", "--ids", "0", "--max-tokens", "-1"], ["eval", "x.epi"], ["inspect"],
    ["compile"], ["compile", MODEL], ["compile", MODEL, "-o", "x.epi", "--ep", "0"],
    ["compile", MODEL, "-o", "x.epi", "--compute", "fp3"],
    ["compile", MODEL, "--stop-after", "dinner"],
])
def test_usage_errors(arguments, tmp_path):
    result = run_tool("epigraph", *arguments, cwd=tmp_path)
    assert result.returncode == USAGE
    assert result.stdout == ""
    assert "--help" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_text_is_streamed(bf16_artifact):
    """The first text is there long before the last."""
    command = [BIN / "epigraph", "run", bf16_artifact, "--prompt", PROMPT, "--max-tokens", "1500"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        first = os.read(process.stdout.fileno(), 1)
        assert first and process.poll() is None
        process.kill()


def test_timings_on_a_terminal(bf16_artifact):
    """Standard error is a terminal: load time and rates follow the text, on it and not in it."""
    ours, theirs = pty.openpty()
    command = [BIN / "epigraph", "run", bf16_artifact, "--prompt", PROMPT, "--max-tokens", "4"]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=theirs, check=True)
    os.close(theirs)
    seen = os.read(ours, 4096).decode()
    os.close(ours)
    assert "tokens/s" in seen and "loaded in" in seen
    assert b"tokens/s" not in result.stdout


def test_the_same_inputs_give_the_same_bytes(tmp_path):
    """Whatever the name, the place, the time and the process."""
    for name in ("a.epi", "other/b.epi"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        run_tool("epigraph", "compile", MODEL, "-o", name, "--ep", "2", cwd=tmp_path, check=True)
    first, second = tmp_path / "a.epi", tmp_path / "other/b.epi"
    files = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())
    assert files == sorted(p.relative_to(second) for p in second.rglob("*") if p.is_file())
    assert len(files) >= 6
    for file in files:
        assert (first / file).read_bytes() == (second / file).read_bytes(), file


def test_interrupting_a_run(bf16_artifact, tmp_path):
    logits = tmp_path / "logits.safetensors"
    ids = ",".join(["5"] * 4000)
    command = [BIN / "epigraph", "run", bf16_artifact, "--ids", ids, "--logits", logits]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == INTERRUPTED, errors
    assert b"interrupted" in errors
    assert list(tmp_path.iterdir()) == []


def test_interrupting_a_compilation(tmp_path):
    command = [BIN / "epigraph", "compile", MODEL, "-o", tmp_path / "x.epi", "--ep", "8"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=120)
    assert process.returncode == INTERRUPTED, errors
    assert list(tmp_path.iterdir()) == []


def test_a_failed_compilation_keeps_the_old_artifact(copied):
    before = (copied / "manifest.json").read_bytes()
    result = run_tool("epigraph", "compile", MODEL, "-o", copied, "--ep", "3")
    assert result.returncode == 4
    assert (copied / "manifest.json").read_bytes() == before
    assert [path.name for path in copied.parent.iterdir()] == [copied.name]


def test_starts_quickly(bf16_artifact):
    """From the start of the process to the first token, best of five: this machine may be busy."""
    def once():
        start = time.perf_counter()
        run_tool("epigraph", "run", bf16_artifact, "--prompt", PROMPT, "--max-tokens", "1",
                 check=True)
        return time.perf_counter() - start
    best = min(once() for _ in range(5))
    print(f"start-up to first token: {best:.3f} s")
    assert best < 0.3


def libraries_of(program):
    return subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout


def test_running_loads_no_llvm(bf16_artifact):
    assert "libabsl" in libraries_of(BIN / "epigraph")
    for line in libraries_of(BIN / "epigraph").splitlines():
        assert not re.search(r"LLVM|MLIR|lld|clang", line)
    script = (
        "import epigraph, sys\n"
        f"epigraph.LLM({str(bf16_artifact)!r}).generate('x', max_tokens=1)\n"
        "assert 'epigraph._compiler' not in sys.modules\n"
        "assert 'libLLVM' not in open('/proc/self/maps').read()\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True,
                   env={**os.environ, "PYTHONPATH": str(BUILD / "python")})


def test_the_runtime_is_small(tmp_path):
    stripped = tmp_path / "epigraph"
    shutil.copy(BIN / "epigraph", stripped)
    subprocess.run(["strip", stripped], check=True)
    print(f"stripped: {stripped.stat().st_size / 1e6:.2f} MB")
    assert stripped.stat().st_size < 10e6
