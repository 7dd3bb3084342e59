"""Every form of latent attention against transformers: absorbed, expanded, and by phase.

As a model is compiled by default, prefill steps run expanded and steps that decode absorbed, in
functions of their own.
"""

import re

import pytest

import epigraph
from tools import relative_error

TOKENS = 80  # more than a page of the cache
LOGITS_WITHIN = {"float32": 1e-5, "bf16": 2.5e-2}

# Form -> passes to leave out.
FORMS = {
    "absorbed": {"disable_pass": "epi-specialize-phases"},
    "expanded": {"disable_pass": ("epi-choose-attention-form", "epi-specialize-phases")},
    "by-phase": {},
}

every_form = pytest.mark.parametrize("form", FORMS)


def attentions(artifact, function):
    """The latent attentions of a function, as its last IR before kernels has them: True for each
    that is expanded."""
    text = (artifact.parent / "phases").glob("*fuse.mlir").__next__().read_text()
    body = re.search(rf"func\.func @{function}\(.*?\n  }}", text, re.DOTALL)
    return [" up %" in line for line in body[0].splitlines() if "epi.mla_attention" in line] \
        if body else []


@every_form
def test_the_form_is_what_the_name_says(artifacts, form):
    artifact = artifacts.get(compute="float32", **FORMS[form])
    main, decode = attentions(artifact, "main"), attentions(artifact, "decode")
    assert main and all(expanded == (form != "absorbed") for expanded in main)
    assert (len(decode) == len(main)) == (form == "by-phase")
    assert not any(decode)


@pytest.mark.parametrize("compute", ["float32", "bf16"])
@every_form
def test_logits(artifacts, window, form, compute):
    session = epigraph.Session(artifacts.get(compute=compute, **FORMS[form]))
    ids, next_ids = window["input_ids"][:TOKENS], window["next_ids"][:TOKENS]
    found = session.logits(ids)
    assert relative_error(found, window["logits"][:TOKENS]) < LOGITS_WITHIN[compute]
    found = session.mtp_logits(ids, next_ids)
    assert relative_error(found, window["mtp_logits"][:TOKENS]) < LOGITS_WITHIN[compute]


@every_form
def test_greedy_text(artifacts, greedy, form):
    """Prefill and decode, several sequences together: steps of both functions on one cache."""
    cases = greedy[:3]
    completions = epigraph.LLM(artifacts.get(compute="float32", **FORMS[form])).generate(
        [case["prompt"] for case in cases], max_tokens=12
    )
    for completion, case in zip(completions, cases, strict=True):
        assert completion.token_ids == case["greedy_ids"][:12]


@pytest.mark.parametrize("attention", ["replicated", "data"])
def test_ranks_run_one_function(artifacts, greedy, attention):
    """Fewer sequences than ranks: one that has no tokens must meet the others all the same."""
    artifact = artifacts.get(compute="float32", ep=4, attention=attention)
    cases = greedy[:2]
    completions = epigraph.LLM(artifact).generate(
        [case["prompt"] for case in cases], max_tokens=6
    )
    for completion, case in zip(completions, cases, strict=True):
        assert completion.token_ids == case["greedy_ids"][:6]
