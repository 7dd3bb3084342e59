"""Tokens that are drawn: what filters leave, and that a text depends on its seed alone."""

import json
import os
import pty
import subprocess

import numpy as np
import pytest

import epigraph
from epigraph import Sampling
from tools import BIN, run_json, run_tool

PROMPT = "def fibonacci(n):\n"
BAD_INPUT = 3


@pytest.fixture(scope="module")
def session(bf16_artifact):
    return epigraph.Session(bf16_artifact)


@pytest.fixture(scope="module")
def prompts(greedy):
    return [case["input_ids"] for case in greedy]


def run(artifact, *flags, tokens=16):
    return run_json("epigraph", "run", artifact, "--prompt", PROMPT, "--max-tokens", str(tokens),
                    *flags)


def test_a_seed_gives_one_text(bf16_artifact):
    first, again, other = (run(bf16_artifact, "--temperature", "1.5", "--seed", seed)
                           for seed in ("7", "7", "8"))
    assert first["token_ids"] == again["token_ids"] != other["token_ids"]
    assert first["sampling"] == {
        "temperature": 1.5, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "seed": 7
    }


def test_a_seed_that_was_drawn_is_told(bf16_artifact):
    first, second = (run(bf16_artifact, "--temperature", "1.5") for _ in range(2))
    assert first["token_ids"] != second["token_ids"]
    seed = str(first["sampling"]["seed"])
    again = run(bf16_artifact, "--temperature", "1.5", "--seed", seed)
    assert again["token_ids"] == first["token_ids"]


def test_a_terminal_is_told_the_seed(bf16_artifact):
    leader, follower = pty.openpty()
    subprocess.run([BIN / "epigraph", "run", bf16_artifact, "--prompt", PROMPT, "--max-tokens", "2",
                    "--temperature", "1", "--seed", "5"],
                   stdout=subprocess.PIPE, stderr=follower, check=True, timeout=300)
    assert "seed 5" in os.read(leader, 65536).decode()


@pytest.mark.parametrize("flags", [
    ("--temperature", "0", "--seed", "3", "--top-k", "5"),
    ("--temperature", "2", "--top-k", "1"),
    ("--temperature", "2", "--top-p", "1e-6"),
    ("--temperature", "2", "--min-p", "1"),
])
def test_what_leaves_one_token_is_greedy(bf16_artifact, flags):
    found = run(bf16_artifact, *flags)
    greedy = run(bf16_artifact)
    assert found["token_ids"] == greedy["token_ids"]
    assert greedy["sampling"] is None
    assert (found["sampling"] is None) == (flags[1] == "0")


def test_each_prompt_has_its_own(bf16_artifact, greedy, tmp_path):
    """Numbers of a line go before the flags; each line gets what it would get alone."""
    path = tmp_path / "prompts.jsonl"
    lines = [
        {"prompt": PROMPT},
        {"prompt": PROMPT, "temperature": 0},
        {"prompt": PROMPT, "temperature": 2, "top_k": 9, "top_p": 0.9, "min_p": 0.01, "seed": 4},
        {"prompt": PROMPT, "seed": 5},
    ]
    path.write_text("\n".join(map(json.dumps, lines)))
    results = run_json("epigraph", "run", bf16_artifact, "--prompts", path, "--max-tokens", "16",
                       "--temperature", "1", "--seed", "1")["results"]
    alone = [
        run(bf16_artifact, "--temperature", "1", "--seed", "1"),
        run(bf16_artifact),
        run(bf16_artifact, "--temperature", "2", "--top-k", "9", "--top-p", "0.9", "--min-p",
            "0.01", "--seed", "4"),
        run(bf16_artifact, "--temperature", "1", "--seed", "5"),
    ]
    assert [result["token_ids"] for result in results] == [one["token_ids"] for one in alone]
    assert [result["sampling"] for result in results] == [one["sampling"] for one in alone]


@pytest.mark.parametrize("flags,complaint", [
    (("--temperature", "-1"), "temperature is -1; expected 0, or 0.001 to 1000"),
    (("--temperature", "nan"), "temperature is nan; expected 0, or 0.001 to 1000"),
    (("--temperature", "1", "--top-k", "-5"), "top_k is -5; expected 0 or more"),
    (("--temperature", "1", "--top-p", "0"), "top_p is 0; expected more than 0, and at most 1"),
    (("--temperature", "1", "--top-p", "1.5"), "top_p is 1.5; expected more than 0"),
    (("--temperature", "1", "--min-p", "2"), "min_p is 2; expected 0 to 1"),
])
def test_numbers_out_of_range(bf16_artifact, flags, complaint):
    result = run_tool("epigraph", "run", bf16_artifact, "--prompt", PROMPT, *flags)
    assert result.returncode == BAD_INPUT
    assert "[E0616] the flags: " + complaint in result.stderr


@pytest.mark.parametrize("line,complaint", [
    ({"temperature": "hot"}, "\"temperature\": expected a number"),
    ({"seed": -1}, "\"seed\": expected an integer from 0 on"),
    ({"top_k": 1.5}, "\"top_k\": expected an integer"),
    ({"top_p": 7}, "prompt 1: top_p is 7"),
])
def test_bad_numbers_in_a_file(bf16_artifact, tmp_path, line, complaint):
    path = tmp_path / "prompts.jsonl"
    path.write_text(json.dumps({"prompt": "x"} | line) + "\n" + json.dumps({"prompt": "x"}))
    result = run_tool("epigraph", "run", bf16_artifact, "--prompts", path)
    assert result.returncode == BAD_INPUT
    assert complaint in result.stderr


def test_batches_change_nothing(session, prompts):
    """Each prompt with parameters of its own, together and alone."""
    sampling = [Sampling(0.5 + i % 3, top_k=[0, 20][i % 2], top_p=[1, 0.9, 0.5][i % 3], seed=i)
                for i in range(len(prompts))]
    together = session.generate(prompts, max_tokens=16, sampling=sampling)
    alone = [session.generate([prompt], max_tokens=16, sampling=one)[0]
             for prompt, one in zip(prompts, sampling)]
    assert together == alone
    assert together != session.generate(prompts, max_tokens=16)


@pytest.mark.parametrize("attention", ["replicated", "data"])
def test_ranks_change_nothing(session, artifacts, prompts, attention):
    ranks = epigraph.Session(artifacts.get(compute="bf16", ep=2, attention=attention))
    sampling = Sampling(1.2, top_p=0.95, seed=11)
    assert (ranks.generate(prompts, max_tokens=16, sampling=sampling)
            == session.generate(prompts, max_tokens=16, sampling=sampling))


def test_tokens_come_with_their_probabilities(session, prompts):
    """First tokens of 600 seeds, drawn from the ten most likely: chi-square, 9 degrees of freedom."""
    draws = session.generate([prompts[0]] * 600, max_tokens=1,
                             sampling=[Sampling(2.0, top_k=10, seed=i) for i in range(600)])
    logits = session.logits(prompts[0])[-1].astype(np.float64)
    kept = np.argsort(-logits, kind="stable")[:10]
    share = np.exp(logits[kept] / 2 - logits[kept].max() / 2)
    expected = 600 * share / share.sum()
    found = np.array([sum(ids == [token] for ids in draws) for token in kept])
    assert found.sum() == 600
    assert ((found - expected) ** 2 / expected).sum() < 30  # more once in 2,000 times


def test_completions_tell_their_seed(bf16_artifact):
    llm = epigraph.LLM(bf16_artifact)
    drawn, seeded = llm.generate([PROMPT] * 2, max_tokens=8,
                                 sampling=[Sampling(1.5), Sampling(1.5, seed=9)])
    assert seeded.seed == 9
    again = llm.generate(PROMPT, max_tokens=8, sampling=Sampling(1.5, seed=drawn.seed))[0]
    assert again.token_ids == drawn.token_ids


def test_as_many_samplings_as_prompts(session, prompts):
    with pytest.raises(ValueError, match="expected one for each"):
        session.generate(prompts[:2], sampling=[Sampling()])
