"""The reference interpreter against transformers, and every phase and pass against it.

The interpreter is float32 throughout, so what a pass may change is the order of sums: 1e-5 from
the golden, as for any float32 implementation, and 2e-6 from the IR before the pass.
"""

import json
import re

import pytest

import epigraph
from conftest import DEEPSEEK_V3
from tools import MODEL, ROOT, relative_error, run_tool

LOGITS_WITHIN = 1e-5
PASS_WITHIN = 2e-6
# Enough for a page border (64); the interpreter is slow.
PASS_TOKENS = 70
# Print the IR as the driver does.
LOCATIONS = ("--mlir-print-debuginfo", "--mlir-print-local-scope")


@pytest.fixture(scope="module")
def phases(artifacts):
    """Phase -> IR after it, for one rank and for four in both attention modes."""
    def of(ranks, attention="replicated", compute="bf16"):
        artifact = artifacts.get(compute=compute, ep=ranks, attention=attention)
        return {path.stem.split("-", 1)[1]: path
                for path in sorted((artifact.parent / "phases").glob("*.mlir"))}
    return of


@pytest.fixture(scope="module")
def imported(phases):
    return epigraph.reference(phases(1)["import"], MODEL)


def test_logits(imported, window):
    found = imported.logits(window["input_ids"])
    assert relative_error(found, window["logits"]) < LOGITS_WITHIN


def test_mtp_logits(imported, window):
    found = imported.mtp_logits(window["input_ids"], window["next_ids"])
    assert relative_error(found, window["mtp_logits"]) < LOGITS_WITHIN


def test_greedy_tokens(imported, greedy):
    found = imported.generate([case["input_ids"] for case in greedy], max_tokens=48)
    assert found == [case["greedy_ids"] for case in greedy]


def test_perplexity(imported, eval_text, perplexity_golden):
    tokenizer = epigraph.Tokenizer(str(MODEL / "tokenizer.json"))
    ids = tokenizer.encode(eval_text, add_special=False)
    assert len(ids) == perplexity_golden["all_tokens"]
    result = imported.perplexity(ids, bos=0, window=perplexity_golden["window"])
    assert result.tokens == perplexity_golden["tokens"]
    assert result.value == pytest.approx(perplexity_golden["ppl"], rel=1e-3)
    assert result.window_nll == pytest.approx(perplexity_golden["window_nll"], rel=1e-4)


def test_random_model(artifacts, random_model_golden):
    artifact = artifacts.get(model=DEEPSEEK_V3, compute="bf16")
    session = epigraph.reference(artifact.parent / "phases/00-import.mlir", DEEPSEEK_V3)
    ids = random_model_golden["input_ids"]
    assert relative_error(session.logits(ids), random_model_golden["logits"]) < LOGITS_WITHIN
    expected = random_model_golden["greedy_ids"].tolist()
    assert session.generate([ids], max_tokens=len(expected)) == [expected]


PHASES = ["import", "canonicalize", "fuse", "quantize", "sparsify", "partition", "schedule",
          "plan-memory", "codegen"]


@pytest.mark.parametrize("ranks,attention", [(1, "replicated"), (4, "replicated"), (4, "data")])
@pytest.mark.parametrize("phase", PHASES)
def test_after_every_phase(phases, window, phase, ranks, attention):
    session = epigraph.reference(phases(ranks, attention)[phase], MODEL)
    found = session.logits(window["input_ids"])
    assert relative_error(found, window["logits"]) < LOGITS_WITHIN
    mtp = session.mtp_logits(window["input_ids"], window["next_ids"])
    assert relative_error(mtp, window["mtp_logits"]) < LOGITS_WITHIN


@pytest.mark.parametrize("phase", PHASES)
def test_text_and_bytecode_round_trips(phases, tmp_path, phase):
    """The whole model, as any phase leaves it, is the same read back from text and from bytecode."""
    text = phases(4)[phase].read_text()
    assert run_tool("epigraph-opt", "-", *LOCATIONS, input=text, check=True).stdout == text
    bytecode = tmp_path / "module.mlirbc"
    run_tool("epigraph-opt", "-", "--emit-bytecode", "-o", bytecode, input=text, check=True)
    assert run_tool("epigraph-opt", bytecode, *LOCATIONS, check=True).stdout == text


@pytest.mark.parametrize("ranks", [1, 2, 4, 8])
def test_imported_graph_on_ranks(phases, window, ranks):
    """The graph as imported, run by several ranks at once: each computes all of it."""
    session = epigraph.reference(phases(1)["import"], MODEL, ranks=ranks)
    ids = window["input_ids"][:PASS_TOKENS]
    assert relative_error(session.logits(ids), window["logits"][:PASS_TOKENS]) < LOGITS_WITHIN


OUTLINED = "partition --ep-decompose-dispatch --exec-hoist-weights --exec-outline-kernels"

# Pass -> the phase whose IR it is given, and the passes that its precondition asks for. Every pass
# of the project must be here.
PASSES = {
    "--epi-elide-dead-weights": "import",
    "--epi-specialize-phases": "canonicalize",
    "--epi-choose-attention-form": "canonicalize",
    "--epi-fuse-projections": "canonicalize",
    "--epi-fuse-residual-norm": "canonicalize",
    "--epi-fuse-swiglu": "canonicalize",
    "--epi-eliminate-common": "import",
    "--epi-elide-layout-changes": "fuse",
    "--epi-fuse-routing": "fuse",
    "--epi-fuse-linear-epilogue": "canonicalize",
    "--epi-fuse-gated-epilogue": "partition",
    "--epi-form-fusion-groups": "canonicalize",
    "--epi-fuse-cache-append": "partition",
    "--epi-fuse-query-rotation": "partition",
    "--epi-convert-compute-type=type=float32": "fuse",
    "--ep-partition-tensor=tensor=2 expert=2": "canonicalize",
    "--ep-place-experts=load={load} ranks=4 redundant=8": "sparsify",
    "--ep-partition-experts=ranks=4": "sparsify",
    # Taken apart at any length.
    "--ep-choose-collectives=threshold=0": "canonicalize --ep-partition-tensor=tensor=2,expert=2 "
                                           "--ep-partition-experts=ranks=2",
    "--ep-lower-dispatch": "partition",
    "--ep-decompose-dispatch": "partition",
    "--epi-fuse-permutation": "sparsify --ep-partition-experts=ranks=1 --ep-decompose-dispatch",
    "--epi-fuse-router": "sparsify --ep-partition-experts=ranks=1 --ep-decompose-dispatch "
                         "--epi-fuse-permutation",
    "--epi-materialize-sample": "partition",
    "--exec-hoist-weights": "partition",
    "--exec-outline-kernels": "partition --ep-decompose-dispatch --exec-hoist-weights",
    "--exec-start-collectives": OUTLINED,
    "--ep-split-batches=batches=2": OUTLINED + " --exec-start-collectives",
    "--ep-overlap": OUTLINED + " --exec-start-collectives --ep-split-batches=batches=2",
    "--exec-insert-waits": OUTLINED + " --exec-start-collectives",
    "--exec-verify-waits": "plan-memory",
    "--exec-deduplicate-kernels": "partition --ep-decompose-dispatch --exec-hoist-weights "
                                  "--exec-outline-kernels",
    "--exec-plan-memory": "schedule",
    "--exec-verify-memory-plan": "plan-memory",
    "--cpu-pack-weights": "plan-memory",
    "--epigraph-verify-phase=phase=partition": "partition",
}


# test_fp8.py tries them, on a model that they are for.
FP8_PASSES = {"epi-fold-dequantize", "epi-fuse-quantize", "epi-quantize-activations"}
# These find nothing to do in this model, or never change anything.
CHANGES_NOTHING = {"--epi-elide-dead-weights", "--epi-elide-layout-changes", "--epi-eliminate-common",
                   "--epi-fuse-routing", "--epigraph-verify-phase=phase=partition",
                   "--exec-verify-memory-plan", "--exec-verify-waits"}


def runnable(ir):
    """The module as the interpreter takes it: what has started is waited for, and groups of ranks
    that a pass only announced share the experts."""
    pending = "ep.pending_experts" in ir
    passes = ["--ep-partition-experts=ranks=2"] if pending else []
    return run_tool("epigraph-opt", "-", *passes, "--exec-insert-waits", input=ir,
                    check=True).stdout


@pytest.fixture(scope="module")
def expert_load(tmp_path_factory):
    """Every layer's first experts are the busy ones."""
    layers = {f"model.layers.{layer}.mlp": [1000 - 10 * expert for expert in range(32)]
              for layer in range(1, 6)}
    path = tmp_path_factory.mktemp("load") / "load.json"
    path.write_text(json.dumps({"format": "epigraph-expert-load", "version": 1, "layers": layers}))
    return path


def test_every_pass_is_tested():
    defined = {
        flag
        for path in [*ROOT.glob("passes/*/Passes.td"), *ROOT.glob("codegen/*/Passes.td")]
        for flag in re.findall(r'Pass<"([\w-]+)"', path.read_text())
    }
    assert defined == {flag.removeprefix("--").split("=")[0] for flag in PASSES} | FP8_PASSES


@pytest.mark.parametrize("flag", PASSES)
def test_a_single_pass_changes_no_number(phases, window, expert_load, flag):
    phase, *preparation = (word.replace(",", " ") for word in PASSES[flag].split())
    before_ir = run_tool("epigraph-opt", phases(4)[phase], *preparation, check=True).stdout
    after_ir = run_tool("epigraph-opt", "-", flag.format(load=expert_load), input=before_ir,
                        check=True).stdout
    assert (before_ir == after_ir) == (flag in CHANGES_NOTHING)
    before = epigraph.reference(runnable(before_ir), MODEL)
    after = epigraph.reference(runnable(after_ir), MODEL)
    ids = window["input_ids"][:PASS_TOKENS]
    next_ids = window["next_ids"][:PASS_TOKENS]
    assert relative_error(after.logits(ids), before.logits(ids)) < PASS_WITHIN
    found = after.mtp_logits(ids, next_ids)
    assert relative_error(found, before.mtp_logits(ids, next_ids)) < PASS_WITHIN


def test_broken_ir_is_refused(tmp_path):
    with pytest.raises(epigraph.InvalidInputError, match="expected"):
        epigraph.reference("func.func @main( {\n}\n", MODEL)
