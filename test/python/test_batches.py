"""Results do not depend on what else is in the batch, on chunks, or on threads.

To the bit, that holds for artifacts with one form of attention. Where prefill and decode have forms
of their own (--epi-specialize-phases), the batch decides which of them runs, and results agree
within rounding.
"""

import random

import numpy as np
import pytest

import epigraph


ONE_FORM = {"compute": "bf16", "disable_pass": "epi-specialize-phases"}


@pytest.fixture(scope="module")
def artifact(artifacts):
    return artifacts.get(**ONE_FORM)


@pytest.fixture(scope="module")
def session(artifact):
    return epigraph.Session(artifact)


def mixed_prompts(window, count=32):
    """Prompts of 1 to 150 tokens: page borders (64, 128) and both sides of them included."""
    random.seed(7)
    lengths = [1, 2, 63, 64, 65, 127, 128, 129] + [random.randint(1, 150) for _ in range(count - 8)]
    ids = window["input_ids"].tolist()
    return [ids[start : start + length]
            for start, length in zip(random.choices(range(40), k=count), lengths)]


def test_batched_equals_single(session, window):
    prompts = mixed_prompts(window)
    together = session.generate(prompts, max_tokens=24)
    alone = [session.generate([prompt], max_tokens=24)[0] for prompt in prompts]
    assert together == alone


def test_forms_by_phase_agree(artifacts, window):
    """Prefill and decode in forms of their own: the same texts, alone and together."""
    session = epigraph.Session(artifacts.get(compute="float32"))
    prompts = mixed_prompts(window, 12)
    together = session.generate(prompts, max_tokens=12)
    assert together == [session.generate([prompt], max_tokens=12)[0] for prompt in prompts]
    one_form = epigraph.Session(artifacts.get(**{**ONE_FORM, "compute": "float32"}))
    assert together == one_form.generate(prompts, max_tokens=12)


def test_more_prompts_than_sequences_fit(artifacts, window):
    """Those that find no place wait; order and results stay."""
    small = epigraph.Session(
        artifacts.get(**ONE_FORM, max_seqs=4, max_batch_tokens=48, max_context=256)
    )
    prompts = mixed_prompts(window, 12)
    together = small.generate(prompts, max_tokens=8)
    assert together == [small.generate([prompt], max_tokens=8)[0] for prompt in prompts]


def test_limits_do_not_change_numbers(artifacts, session, window):
    small = epigraph.Session(
        artifacts.get(**ONE_FORM, max_seqs=4, max_batch_tokens=48, max_context=256)
    )
    ids = window["input_ids"]
    np.testing.assert_array_equal(small.logits(ids), session.logits(ids))


def test_threads_do_not_change_numbers(artifact, session, window):
    one = epigraph.Session(artifact, threads=1)
    np.testing.assert_array_equal(one.logits(window["input_ids"]),
                                  session.logits(window["input_ids"]))


def test_steps_equal_logits(session, window):
    """Tokens given one by one, in chunks, and all at once."""
    ids = window["input_ids"].tolist()
    expected = session.logits(ids)
    single, chunks, whole = (session.add_sequence() for _ in range(3))
    rows = [session.step({single: [token]})[single] for token in ids[:70]]
    np.testing.assert_array_equal(np.stack(rows), expected[:70])
    pieces = [session.step({chunks: ids[a:b]}, outputs="all")[chunks]
              for a, b in [(0, 5), (5, 64), (64, 65), (65, 192)]]
    np.testing.assert_array_equal(np.concatenate(pieces), expected)
    np.testing.assert_array_equal(session.step({whole: ids})[whole], expected[-1])
    for handle, length in [(single, 70), (chunks, 192), (whole, 192)]:
        assert session.sequence_length(handle) == length
        session.close_sequence(handle)


def test_sequences_step_together(session, window):
    ids = window["input_ids"].tolist()
    a, b = session.add_sequence(), session.add_sequence()
    session.step({a: ids[:10]})
    both = session.step({a: ids[10:50], b: ids[:7]}, outputs="all")
    expected = session.logits(ids[:50])
    np.testing.assert_array_equal(both[a], expected[10:])
    np.testing.assert_array_equal(both[b], expected[:7])
    session.close_sequence(a)
    session.close_sequence(b)


def test_steps_refuse_what_they_cannot_do(session):
    handle = session.add_sequence()
    with pytest.raises(epigraph.InvalidInputError, match="vocabulary"):
        session.step({handle: [session.vocab]})
    with pytest.raises(epigraph.InvalidInputError, match="no tokens"):
        session.step({handle: []})
    with pytest.raises(epigraph.ResourceError, match="context"):
        session.step({handle: [0] * (session.max_context + 1)})
    with pytest.raises(ValueError, match="outputs"):
        session.step({handle: [0]}, outputs="some")
    session.close_sequence(handle)
    with pytest.raises(epigraph.InvalidInputError, match="not open"):
        session.step({handle: [0]})
    with pytest.raises(epigraph.InvalidInputError, match="not open"):
        session.close_sequence(handle)
