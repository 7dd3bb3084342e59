"""The CPU target against transformers: logits, MTP logits, greedy text, perplexity.

Tolerances. float32: the same arithmetic in another order of summation, hence 1e-5. bf16:
transformers' own bfloat16 run differs from its float32 run by 1.64e-2 on these logits; 2.5e-2
leaves room for rounding at other places, and none for a mistake.
"""

import numpy as np
import pytest

import epigraph
from conftest import DEEPSEEK_V3
from tools import relative_error

LOGITS_WITHIN = {"float32": 1e-5, "bf16": 2.5e-2}
PERPLEXITY_WITHIN = {"float32": 1e-3, "bf16": 5e-3}

both_types = pytest.mark.parametrize("compute", ["float32", "bf16"])


@both_types
def test_logits(artifacts, window, compute):
    session = epigraph.Session(artifacts.get(compute=compute))
    found = session.logits(window["input_ids"])
    assert relative_error(found, window["logits"]) < LOGITS_WITHIN[compute]


@both_types
def test_mtp_logits(artifacts, window, compute):
    session = epigraph.Session(artifacts.get(compute=compute))
    assert session.has_mtp
    found = session.mtp_logits(window["input_ids"], window["next_ids"])
    assert relative_error(found, window["mtp_logits"]) < LOGITS_WITHIN[compute]


def test_greedy_text(float32_artifact, greedy):
    completions = epigraph.LLM(float32_artifact).generate(
        [case["prompt"] for case in greedy], max_tokens=48
    )
    for completion, case in zip(completions, greedy, strict=True):
        assert completion.prompt_token_ids == case["input_ids"]
        assert completion.token_ids == case["greedy_ids"]
        assert completion.text == case["text"]


@both_types
def test_perplexity(artifacts, eval_text, perplexity_golden, compute):
    result = epigraph.LLM(artifacts.get(compute=compute)).perplexity(
        eval_text, window=perplexity_golden["window"]
    )
    assert result.tokens == perplexity_golden["tokens"]
    assert len(result.window_nll) == perplexity_golden["windows"]
    within = PERPLEXITY_WITHIN[compute]
    assert result.value == pytest.approx(perplexity_golden["ppl"], rel=within)
    # A window that is off must not hide in the mean: its share of the tolerance is larger only by
    # the noise of fewer tokens.
    assert result.window_nll == pytest.approx(perplexity_golden["window_nll"], rel=4 * within)


@pytest.fixture(scope="module")
def random_model(artifacts):
    """A checkpoint as transformers 5 writes it: rope_parameters, no MTP layer, no tokenizer."""
    def load(compute):
        return epigraph.Session(artifacts.get(model=DEEPSEEK_V3, compute=compute))
    return load


def test_random_model(random_model, random_model_golden):
    session = random_model("float32")
    assert not session.has_mtp
    ids = random_model_golden["input_ids"]
    error = relative_error(session.logits(ids), random_model_golden["logits"])
    assert error < LOGITS_WITHIN["float32"]
    expected = random_model_golden["greedy_ids"].tolist()
    assert session.generate([ids], max_tokens=len(expected)) == [expected]


def test_random_model_in_bf16(random_model, random_model_golden):
    """Its router is untrained: scores of experts lie so close that rounding to bf16, wherever it is
    done, now and then moves a token to another expert, whose output has nothing to do with the
    first one's. Such a token is off by far; all others are within the tolerance.
    """
    found = random_model("bf16").logits(random_model_golden["input_ids"])
    errors = [relative_error(*rows) for rows in zip(found, random_model_golden["logits"])]
    rerouted = [error for error in errors if error > 2 * LOGITS_WITHIN["bf16"]]
    assert len(rerouted) <= len(errors) // 10
    assert np.median(errors) < LOGITS_WITHIN["bf16"]


@pytest.mark.parametrize("target", ["cpu:x86-64-v3", "cpu:x86-64-v4"])
def test_named_targets(artifacts, window, target):
    """Kernels for older processors: other instructions, the same model."""
    artifact = artifacts.get(compute="bf16", target=target)
    try:
        session = epigraph.Session(artifact)
    except epigraph.UnsupportedError as error:
        # This machine lacks what the target needs: then the refusal says what.
        assert "avx" in str(error)
        pytest.skip(f"counted, not run: {error}")
    found = session.logits(window["input_ids"])
    assert relative_error(found, window["logits"]) < LOGITS_WITHIN["bf16"]
