"""Every example in the ODS of our dialects parses, verifies, and survives a round trip.

An example uses values that it does not define; the table says their types. Symbols that an example
refers to come from PRELUDE.
"""

import re

import pytest

from tools import ROOT, run_tool

PRELUDE = """
ep.mesh @world {expert = 2 : i64, tensor = 2 : i64, attention = #ep.attention<replicated>}
exec.weight @"model.layers.0.self_attn.q_kv_a" : tensor<176x192xbf16> {
  %0 = epi.weight "w" : tensor<176x192xbf16>
  exec.yield %0 : tensor<176x192xbf16>
}
exec.kernel @linear_3(%x: tensor<?x192xbf16>, %w: tensor<176x192xbf16>) -> tensor<?x176xbf16> {
  %0 = epi.linear %x, %w : (tensor<?x192xbf16>, tensor<176x192xbf16>) -> tensor<?x176xbf16>
  exec.yield %0 : tensor<?x176xbf16>
}
"""

# Operation -> the values that its example takes as given.
OPERANDS = {
    "epi.weight": {},
    "epi.weight_stack": {},
    "epi.kv_cache": {},
    "epi.output_rows": {"x": "tensor<?x7168xbf16>", "step": "!epi.step"},
    "epi.fused": {
        "x": "tensor<?x64xbf16>", "a": "tensor<?x64xbf16>", "w": "tensor<64xbf16>",
    },
    "epi.linear": {
        "x": "tensor<?x7168xbf16>", "w": "tensor<1536x7168xbf16>",
        "x8": "tensor<?x7168xf8E4M3FN>", "xs": "tensor<?x56xf32>",
        "w8": "tensor<1536x7168xf8E4M3FN>", "ws": "tensor<12x56xf32>",
    },
    "epi.head_linear": {"x": "tensor<?x6x32xbf16>", "w": "tensor<6x64x32xbf16>"},
    "epi.embedding": {"ids": "tensor<?xi32>", "table": "tensor<2048x192xbf16>"},
    "epi.rms_norm": {"x": "tensor<?x7168xbf16>", "w": "tensor<7168xbf16>"},
    "epi.rope_table": {},
    "epi.rope": {
        "x": "tensor<?x128x64xbf16>", "table": "tensor<4096x64xf32>", "step": "!epi.step",
    },
    "epi.add": {
        "x": "tensor<?x64xbf16>", "y": "tensor<?x64xbf16>", "bias": "tensor<64xbf16>",
    },
    "epi.mul": {
        "x": "tensor<?x64xbf16>", "y": "tensor<?x64xbf16>", "gate": "tensor<?x1xbf16>",
    },
    "epi.sigmoid": {"x": "tensor<?x1xbf16>"},
    "epi.softmax": {"x": "tensor<?x64xf32>"},
    "epi.clamped_swiglu": {"gate": "tensor<?x64xbf16>", "up": "tensor<?x64xbf16>"},
    "epi.halve_rows": {"x": "tensor<?x7168xbf16>"},
    "epi.join_rows": {"y": "tensor<?x7168xbf16>"},
    "epi.silu": {"x": "tensor<?x64xbf16>"},
    "epi.cast": {"x": "tensor<64x64xbf16>"},
    "epi.reshape": {"x": "tensor<?x288xbf16>"},
    "epi.transpose": {"x": "tensor<6x32x64xbf16>"},
    "epi.split": {"x": "tensor<?x576xbf16>"},
    "epi.concat": {"q": "tensor<96x192xbf16>", "kv": "tensor<80x192xbf16>"},
    "epi.kv_append": {
        "cache": "!epi.mla_cache<latent = 64, rope = 16, bf16>",
        "latent": "tensor<?x64xbf16>", "rope": "tensor<?x16xbf16>", "step": "!epi.step",
    },
    "epi.attention": {
        "q": "tensor<?x8x64xbf16>",
        "cache": "!epi.kv_cache<heads = 2, key = 64, value = 64, bf16>", "step": "!epi.step",
        "s": "tensor<8xbf16>",
    },
    "epi.mla_attention": {
        "q": "tensor<?x6x32xbf16>", "qr": "tensor<?x6x16xbf16>",
        "cache": "!epi.mla_cache<latent = 64, rope = 16, bf16>", "step": "!epi.step",
        "w": "tensor<384x64xbf16>",
    },
    "epi.sample": {"logits": "tensor<?x129280xf32>", "step": "!epi.step"},
    "epi.route": {"logits": "tensor<?x256xf32>", "b": "tensor<256xf32>"},
    "epi.experts": {
        "x": "tensor<?x64xbf16>", "ids": "tensor<?x2xi32>", "w": "tensor<?x2xf32>",
        "gate": "tensor<8x32x64xbf16>", "up": "tensor<8x32x64xbf16>",
        "down": "tensor<8x64x32xbf16>",
    },
    "epi.permute": {"x": "tensor<?x64xbf16>", "ids": "tensor<?x2xi32>"},
    "epi.unpermute": {
        "rows": "tensor<?x64xbf16>", "slots": "tensor<?x2xi32>", "w": "tensor<?x2xf32>",
    },
    "epi.grouped_linear": {
        "x": "tensor<?x64xbf16>", "counts": "tensor<8xi32>", "w": "tensor<8x32x64xbf16>",
        "x8": "tensor<?x64xf8E4M3FN>", "xs": "tensor<?x1xf32>",
        "w8": "tensor<8x32x64xf8E4M3FN>", "ws": "tensor<8x1x1xf32>",
    },
    "epi.dequantize": {"q": "tensor<576x7168xf8E4M3FN>", "s": "tensor<5x56xf32>"},
    "epi.quantize": {"x": "tensor<?x7168xbf16>"},
    "ep.mesh": None,
    "ep.local_shard": {"w": "tensor<384x64xbf16>"},
    "ep.replica_table": {},
    "ep.assign_replicas": {"ids": "tensor<?x4xi32>", "table": "tensor<32x3xi32>"},
    "ep.wait": {"t": "!ep.token"},
    "ep.gather_columns": {"x": "tensor<?x32xbf16>"},
    "ep.shard_columns": {"x": "tensor<?x64xbf16>"},
    "ep.local_experts": {"w": "tensor<32x64x192xbf16>"},
    "ep.shard_rows": {"x": "tensor<?x64xbf16>"},
    "ep.all_gather": {"x": "tensor<?x64xbf16>"},
    "ep.all_reduce": {"x": "tensor<?x64xbf16>"},
    "ep.reduce_scatter": {"x": "tensor<?x64xbf16>"},
    "ep.dispatch": {"x": "tensor<?x64xbf16>", "ids": "tensor<?x4xi32>"},
    "ep.combine": {
        "rows": "tensor<?x64xbf16>", "w": "tensor<?x4xf32>", "back": "!ep.exchange",
    },
    "ep.dispatch_send": {
        "x": "tensor<?x64xbf16>", "ids": "tensor<?x4xi32>", "w": "tensor<?x4xf32>",
    },
    "ep.dispatch_receive": {},
    "ep.combine_send": {
        "y": "tensor<?x64xbf16>", "places": "tensor<256x4xi32>", "w": "tensor<256x4xf32>",
    },
    "ep.combine_receive": {
        "y": "tensor<?x64xbf16>", "places": "tensor<256x4xi32>", "ids": "tensor<?x4xi32>",
        "w": "tensor<?x4xf32>",
    },
    "ep.scatter_experts": {"rows": "tensor<?x64xbf16>", "counts": "tensor<32xi32>"},
    "ep.gather_experts": {
        "y": "tensor<?x64xbf16>", "rows": "tensor<?x64xbf16>", "counts": "tensor<32xi32>",
    },
    "exec.weight": None,
    "exec.kernel": None,
    "exec.load_weight": {},
    "exec.pack": {"w": "tensor<96x192xbf16>"},
    "exec.launch": {"x": "tensor<?x192xbf16>", "w": "tensor<176x192xbf16>"},
}

# Operation -> what must come before its example: it undoes another operation.
BEFORE = {
    "epi.join_rows": """
      %a, %b = epi.halve_rows %y : tensor<?x7168xbf16>""",
    "ep.gather_experts": """
      %r, %n = ep.scatter_experts %rows, %counts on @world {
          placement = #ep.placement<experts = 32, ranks = 2>}
        : tensor<?x64xbf16>, tensor<32xi32> -> tensor<?x64xbf16>, tensor<16xi32>""",
}

# Operations that end a region: their example is that of the operation around them.
WITHOUT_EXAMPLE = {"epi.yield", "exec.yield"}

DEFINITION = re.compile(r'^def (\w+) : (Epi|Ep|Exec)_\w+<"(\w+)"', re.M)


def definitions():
    """(operation, its examples) of every operation in our .td files."""
    for path in sorted(ROOT.glob("dialects/*/*.td")):
        text = path.read_text()
        found = [m for m in DEFINITION.finditer(text) if m.group(1).endswith("Op")]
        for match, after in zip(found, [*(m.start() for m in found[1:]), len(text)]):
            body = text[match.start() : after]
            operation = f"{match.group(2).lower()}.{match.group(3)}"
            yield operation, re.findall(r"```mlir\n(.*?)```", body, re.S)


EXAMPLES = dict(definitions())


def module_of(operation, example):
    operands = OPERANDS[operation]
    if operands is None:  # stands at the top of a module itself
        return example
    arguments = ", ".join(f"%{name}: {type_}" for name, type_ in operands.items())
    body = BEFORE.get(operation, "") + "\n" + example
    return f"{PRELUDE}\nfunc.func @example({arguments}) {{{body}\nreturn\n}}\n"


def test_every_operation_has_an_example():
    without = {operation for operation, examples in EXAMPLES.items() if not examples}
    assert without == WITHOUT_EXAMPLE


def test_the_table_names_what_exists():
    assert set(OPERANDS) == set(EXAMPLES) - WITHOUT_EXAMPLE


@pytest.mark.parametrize("operation", sorted(OPERANDS))
def test_example(operation, tmp_path):
    for example in EXAMPLES[operation]:
        first = run_tool("epigraph-opt", "-", input=module_of(operation, example))
        assert first.returncode == 0, first.stderr
        assert operation in first.stdout
        again = run_tool("epigraph-opt", "-", input=first.stdout)
        assert again.stdout == first.stdout, again.stderr
        # Bytecode too.
        bytecode = tmp_path / "example.mlirbc"
        run_tool("epigraph-opt", "-", "--emit-bytecode", "-o", bytecode, input=first.stdout)
        assert run_tool("epigraph-opt", bytecode).stdout == first.stdout
