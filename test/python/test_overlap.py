"""Starting collectives, splitting batches and reordering change no bit of any number."""

import numpy as np
import pytest

import epigraph
from tools import MODEL, run_tool

# Nothing started; started and scheduled; two batches, in both orders.
FORMS = {
    "blocking": {"disable_pass": "exec-start-collectives"},
    "overlapped": {"batches": 1},
    "two-batches": {"batches": 2},
    "two-batches-in-order": {"batches": 2, "disable_pass": "ep-overlap"},
}
MODES = [(ranks, attention) for ranks in (2, 4) for attention in ("replicated", "data")]
every_mode = pytest.mark.parametrize("ranks,attention", MODES)


@pytest.fixture(scope="module")
def one_rank(bf16_artifact):
    return epigraph.Session(bf16_artifact)


@pytest.fixture(scope="module")
def artifact(artifacts):
    def made(form, ranks, attention, compute="bf16"):
        return artifacts.get(compute=compute, ep=ranks, attention=attention, **FORMS[form])
    return made


@every_mode
@pytest.mark.parametrize("form", FORMS)
def test_same_logits(one_rank, artifact, window, form, ranks, attention):
    session = epigraph.Session(artifact(form, ranks, attention))
    ids, next_ids = window["input_ids"], window["next_ids"]
    np.testing.assert_array_equal(session.logits(ids), one_rank.logits(ids))
    np.testing.assert_array_equal(
        session.mtp_logits(ids, next_ids), one_rank.mtp_logits(ids, next_ids)
    )


@every_mode
@pytest.mark.parametrize("form", ["overlapped", "two-batches"])
def test_single_tokens_and_skewed_batches(one_rank, artifact, form, ranks, attention):
    """A batch of one token has an empty half, and most ranks then have nothing at all."""
    session = epigraph.Session(artifact(form, ranks, attention))
    for ids in ([0], [5, 5], [0] + [201] * 100):
        np.testing.assert_array_equal(session.logits(ids), one_rank.logits(ids))


@every_mode
def test_greedy_tokens(artifact, greedy, ranks, attention):
    session = epigraph.Session(artifact("two-batches", ranks, attention, compute="float32"))
    found = session.generate([case["input_ids"] for case in greedy], max_tokens=48)
    assert found == [case["greedy_ids"] for case in greedy]


@every_mode
def test_reference(artifact, window, ranks, attention):
    """The interpreter, which poisons what has started, on the schedule with its memory plan."""
    ids = window["input_ids"][:70]
    logits = {}
    for form in ("blocking", "two-batches"):
        phases = artifact(form, ranks, attention).parent / "phases"
        logits[form] = epigraph.reference(phases / "07-plan-memory.mlir", MODEL).logits(ids)
    np.testing.assert_array_equal(logits["two-batches"], logits["blocking"])


@every_mode
def test_plans(artifact, ranks, attention):
    """What the forms are about: collectives that start, waits, and every layer's part twice."""
    def steps(form):
        plan = run_tool("epigraph", "inspect", artifact(form, ranks, attention), "--plan",
                        check=True).stdout
        return [plan.count(text) for text in ("start ", "  Wait(", "ScatterExperts(")]

    started, waits, scatters = steps("blocking")
    assert started == waits == 0
    assert scatters > 0
    started, waits, overlapped = steps("overlapped")
    assert 0 < waits <= started
    assert overlapped == scatters
    started, waits, split = steps("two-batches")
    assert 0 < waits <= started
    assert split == 2 * scatters
